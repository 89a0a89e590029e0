package busapi

import (
	"errors"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
	"net.connman/pkg/logx"
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

// RequestInput implements core.AgentCaller.
func (a *Agents) RequestInput(agent core.AgentID, service string, fields []core.InputField, timeout time.Duration, done func(core.Input, error)) func() {
	path := bus.ObjectPath(agent.Path)
	call := connman.AgentRequestInputCall(agent.Owner, path, bus.ObjectPath(servicePrefix+service), inputDict(fields))
	call.Timeout = timeout
	cancel := a.conn.Call(call, func(values []any, err error) {
		if errors.Is(err, bus.ErrNoReply) {
			a.conn.Call(connman.AgentCancelCall(agent.Owner, path), nil)
		}
		switch answer, resultErr := bus.Result[bus.Dict](values, err); {
		case errors.Is(err, &bus.Error{Name: connman.AgentErrorCanceled}):
			done(core.Input{}, core.ErrAborted)
		case err != nil:
			done(core.Input{}, core.ErrTimeout)
		case resultErr != nil:
			done(core.Input{}, core.ErrInvalidArguments)
		default:
			done(parseInput(answer))
		}
	})
	return func() {
		cancel()
		a.conn.Call(connman.AgentCancelCall(agent.Owner, path), nil)
	}
}

// inputDict describes fields as agents read them.
func inputDict(fields []core.InputField) bus.Dict {
	d := bus.Dict{}
	for _, f := range fields {
		about := bus.Dict{
			{Key: connman.InputFieldType, Value: f.Type},
			{Key: connman.InputFieldRequirement, Value: f.Requirement},
		}
		if len(f.Alternates) > 0 {
			about = append(about, bus.Entry{Key: connman.InputFieldAlternates, Value: f.Alternates})
		}
		if f.Value != "" {
			about = append(about, bus.Entry{Key: connman.InputFieldValue, Value: f.Value.Reveal()})
		}
		d = append(d, bus.Entry{Key: f.Name, Value: about})
	}
	return d
}

// parseInput checks what an agent answered. Fields that nobody asked for are
// ignored.
func parseInput(d bus.Dict) (core.Input, error) {
	var in core.Input
	passphrase := ""
	for _, e := range d {
		var field *string
		switch e.Key {
		case connman.InputName:
			field = &in.SSID
		case connman.InputSSID:
			ssid, ok := e.Value.([]byte)
			if !ok {
				return core.Input{}, core.ErrInvalidArguments
			}
			in.SSID = string(ssid)
			continue
		case connman.InputIdentity:
			field = &in.Identity
		case connman.InputPassphrase:
			field = &passphrase
		case connman.InputWPS:
			in.WPS, field = true, &in.PIN
		default:
			continue
		}
		text, ok := e.Value.(string)
		if !ok {
			return core.Input{}, core.ErrInvalidArguments
		}
		*field = text
	}
	in.Passphrase = logx.Secret(passphrase)
	return in, nil
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
