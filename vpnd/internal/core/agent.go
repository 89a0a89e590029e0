package core

import "slices"

// agents are the programs that speak with the user.
type agents struct {
	m    *Manager
	list []*agent // in the order in which they registered
}

// agent is asked one thing at a time: the first of its queue is under way.
type agent struct {
	id    AgentID
	queue []*request
}

// request is something that an agent is to be asked.
type request struct {
	// send asks and calls over when the agent has answered, before it looks at
	// the answer.
	send   func(id AgentID, over func()) (cancel func())
	lost   func() // called instead when the agent is gone
	cancel func() // nil until it is under way
}

// RegisterAgent makes a program's object an agent. A program has one.
func (m *Manager) RegisterAgent(id AgentID) error {
	if m.agents.of(id.Owner) != nil {
		return ErrAlreadyExists
	}
	m.agents.list = append(m.agents.list, &agent{id: id})
	return nil
}

// UnregisterAgent ends that for the program's agent, whatever its path: a
// program has one. What it was asked is over.
func (m *Manager) UnregisterAgent(owner string) error {
	a := m.agents.of(owner)
	if a == nil {
		return ErrNotRegistered
	}
	m.agents.list = slices.DeleteFunc(m.agents.list, func(o *agent) bool { return o == a })
	a.drain()
	return nil
}

// of returns a program's agent, or nil.
func (g *agents) of(owner string) *agent {
	for _, a := range g.list {
		if a.id.Owner == owner {
			return a
		}
	}
	return nil
}

// ask has an agent asked: that of sender, or else the one that registered first.
// After cancel neither of the request's functions is called.
func (g *agents) ask(sender string, r *request) (cancel func()) {
	a := g.of(sender)
	if a == nil && len(g.list) > 0 {
		a = g.list[0]
	}
	if a == nil {
		canceled := false
		g.m.loop.Post("no agent", func() {
			if !canceled {
				r.lost()
			}
		})
		return func() { canceled = true }
	}
	return a.ask(r)
}

// ask is agents.ask for one that is there.
func (a *agent) ask(r *request) (cancel func()) {
	a.queue = append(a.queue, r)
	a.next()
	return func() { a.drop(r) }
}

func (a *agent) next() {
	if len(a.queue) > 0 && a.queue[0].cancel == nil {
		first := a.queue[0]
		first.cancel = first.send(a.id, func() { a.over(first) })
	}
}

// over takes a request out that needs no more.
func (a *agent) over(r *request) {
	a.queue = slices.DeleteFunc(a.queue, func(o *request) bool { return o == r })
	a.next()
}

// drop is over for a request that nobody needs answered any more.
func (a *agent) drop(r *request) {
	if slices.Contains(a.queue, r) {
		if r.cancel != nil {
			r.cancel()
		}
		a.over(r)
	}
}

// drain ends all that the agent was to be asked.
func (a *agent) drain() {
	queue := a.queue
	a.queue = nil
	for _, r := range queue {
		if r.cancel != nil {
			r.cancel()
		}
		r.lost()
	}
}

func (g *agents) releaseAll() {
	list := g.list
	g.list = nil
	for _, a := range list {
		a.drain()
		g.m.ports.Agents.Release(a.id)
	}
}
