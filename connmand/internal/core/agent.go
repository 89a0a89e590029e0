package core

import "slices"

// agents are the programs that speak with the user. One that wants a service
// connected is asked itself, if it is an agent, otherwise the one that registered
// first. Each is asked one thing at a time.
type agents struct {
	m         *Manager
	list      []AgentID
	questions []*question // in the order in which they came up
}

// question is what an agent is asked. The first of each agent's has been put to
// it, the others wait.
type question struct {
	agent  AgentID
	put    func(ended func()) (cancel func())
	drop   func() // answers it, as there is nobody left to ask
	cancel func() // once it was put
}

// RegisterAgent makes a program's object an agent. A program has one.
func (m *Manager) RegisterAgent(a AgentID) error {
	if slices.ContainsFunc(m.agents.list, func(o AgentID) bool { return o.Owner == a.Owner }) {
		return ErrAlreadyExists
	}
	m.agents.list = append(m.agents.list, a)
	return nil
}

// UnregisterAgent ends that for the program's agent, whatever its path: a
// program has one.
func (m *Manager) UnregisterAgent(owner string) error {
	i := slices.IndexFunc(m.agents.list, func(a AgentID) bool { return a.Owner == owner })
	if i < 0 {
		return ErrNotRegistered
	}
	gone := m.agents.list[i]
	m.agents.list = slices.Delete(m.agents.list, i, i+1)
	m.agents.drop(gone)
	return nil
}

// AgentGone forgets the agents of a program that left the bus. Requests that
// it had not answered are answered with an error by the caller's side.
func (m *Manager) AgentGone(owner string) {
	i := slices.IndexFunc(m.agents.list, func(a AgentID) bool { return a.Owner == owner })
	if i < 0 {
		return
	}
	gone := m.agents.list[i]
	m.agents.list = slices.Delete(m.agents.list, i, i+1)
	m.agents.drop(gone)
}

// forService is the agent to ask about a service, if there is one.
func (g *agents) forService(s *Service) (a AgentID, there bool) {
	if len(g.list) == 0 {
		return a, false
	}
	i := slices.IndexFunc(g.list, func(a AgentID) bool { return a.Owner == s.caller })
	return g.list[max(i, 0)], true
}

// ask puts a question as soon as its agent has answered the others.
func (g *agents) ask(q *question) (cancel func()) {
	g.questions = append(g.questions, q)
	g.next(q.agent)
	return func() {
		if !g.remove(q) {
			return
		}
		if q.cancel != nil {
			q.cancel()
		}
		g.next(q.agent)
	}
}

// remove forgets a question, and reports whether there was still an answer due.
func (g *agents) remove(q *question) bool {
	i := slices.Index(g.questions, q)
	if i >= 0 {
		g.questions = slices.Delete(g.questions, i, i+1)
	}
	return i >= 0
}

// next puts an agent's first question unless that was done.
func (g *agents) next(a AgentID) {
	i := slices.IndexFunc(g.questions, func(q *question) bool { return q.agent == a })
	if i < 0 || g.questions[i].cancel != nil {
		return
	}
	q := g.questions[i]
	q.cancel = q.put(func() {
		g.remove(q)
		g.next(a)
	})
}

// drop answers what an agent that is gone was not asked yet. The bus answers the
// rest.
func (g *agents) drop(gone AgentID) {
	for _, q := range slices.Clone(g.questions) {
		if q.agent == gone && q.cancel == nil && g.remove(q) {
			q.drop()
		}
	}
}

// reportError shows the failure of a service to the user; asked is false when
// there is no agent.
func (g *agents) reportError(s *Service, done func(again bool)) (cancel func(), asked bool) {
	a, there := g.forService(s)
	if !there || s.failure == NoFailure {
		return nil, false
	}
	failure := string(s.failure)
	return g.ask(&question{agent: a, drop: func() { done(false) }, put: func(ended func()) func() {
		return g.m.ports.Agents.ReportError(a, s.id, failure, g.m.cfg.InputRequestTimeout, func(retry bool, err error) {
			ended()
			done(retry && err == nil)
		})
	}}), true
}

// requestInput asks the user for what a service needs; asked is false when there
// is no agent.
func (g *agents) requestInput(s *Service, fields []InputField, done func(Input, error)) (cancel func(), asked bool) {
	a, there := g.forService(s)
	if !there {
		return nil, false
	}
	return g.ask(&question{agent: a, drop: func() { done(Input{}, ErrAborted) }, put: func(ended func()) func() {
		return g.m.ports.Agents.RequestInput(a, s.id, fields, g.m.cfg.InputRequestTimeout, func(in Input, err error) {
			ended()
			done(in, err)
		})
	}}), true
}

func (g *agents) releaseAll() {
	for _, a := range g.list {
		g.m.ports.Agents.Release(a)
	}
	g.list = nil
}
