package core

import "slices"

// agents are the programs that speak with the user. The one that registered
// first is asked.
type agents struct {
	m    *Manager
	list []AgentID
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
	m.agents.list = slices.Delete(m.agents.list, i, i+1)
	return nil
}

// AgentGone forgets the agents of a program that left the bus. Requests that
// it had not answered are answered with an error by the caller's side.
func (m *Manager) AgentGone(owner string) {
	m.agents.list = slices.DeleteFunc(m.agents.list, func(a AgentID) bool { return a.Owner == owner })
}

// reportError shows the failure of a service to the user; asked is false when
// there is no agent.
func (g *agents) reportError(s *Service, done func(again bool)) (cancel func(), asked bool) {
	if len(g.list) == 0 || s.failure == NoFailure {
		return nil, false
	}
	cancel = g.m.ports.Agents.ReportError(g.list[0], s.id, string(s.failure), g.m.cfg.InputRequestTimeout,
		func(retry bool, err error) { done(retry && err == nil) })
	return cancel, true
}

func (g *agents) releaseAll() {
	for _, a := range g.list {
		g.m.ports.Agents.Release(a)
	}
	g.list = nil
}
