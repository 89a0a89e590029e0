package busapi

import (
	"errors"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
)

// Agents talks to the programs that registered as agents. It exists before
// the API does, because the domain needs it from its beginning.
type Agents struct{ conn *bus.Conn }

// NewAgents returns the agents' side of conn.
func NewAgents(conn *bus.Conn) *Agents { return &Agents{conn} }

// ReportError implements core.AgentCaller.
func (a *Agents) ReportError(agent core.AgentID, service, reason string, timeout time.Duration, done func(bool, error)) func() {
	path := bus.ObjectPath(agent.Path)
	call := connman.AgentReportErrorCall(agent.Owner, path, bus.ObjectPath(servicePrefix+service), reason)
	call.Timeout = timeout
	cancel := a.conn.Call(call, func(_ []any, err error) {
		if errors.Is(err, bus.ErrNoReply) {
			a.conn.Call(connman.AgentCancelCall(agent.Owner, path), nil)
		}
		retry := errors.Is(err, &bus.Error{Name: connman.AgentErrorRetry})
		if retry {
			err = nil
		}
		done(retry, err)
	})
	return func() {
		cancel()
		a.conn.Call(connman.AgentCancelCall(agent.Owner, path), nil)
	}
}

// Release implements core.AgentCaller.
func (a *Agents) Release(agent core.AgentID) {
	a.conn.Call(connman.AgentReleaseCall(agent.Owner, bus.ObjectPath(agent.Path)), nil)
}

func (a *API) registerAgent(id core.AgentID) error {
	if err := a.core.RegisterAgent(id); err != nil {
		return err
	}
	a.agents[id.Owner] = a.conn.WatchName(id.Owner, func(owner string) {
		if owner == "" {
			a.forgetAgent(id.Owner)
			a.core.AgentGone(id.Owner)
		}
	})
	return nil
}

func (a *API) unregisterAgent(owner string) error {
	if err := a.core.UnregisterAgent(owner); err != nil {
		return err
	}
	a.forgetAgent(owner)
	return nil
}

func (a *API) forgetAgent(owner string) {
	if stop := a.agents[owner]; stop != nil {
		stop()
		delete(a.agents, owner)
	}
}
