package busapi

import (
	"errors"
	"fmt"
	"time"

	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/core"
)

// Agents talks to the programs that registered as agents. It exists before
// the API does, because the domain needs it from its beginning.
type Agents struct{ conn *bus.Conn }

// NewAgents returns the agents' side of conn.
func NewAgents(conn *bus.Conn) *Agents { return &Agents{conn} }

// RequestInput implements core.AgentCaller.
func (a *Agents) RequestInput(agent core.AgentID, id string, fields []core.Field, timeout time.Duration, done func(core.Answer, error)) func() {
	path := bus.ObjectPath(agent.Path)
	call := vpn.AgentRequestInputCall(agent.Owner, path, bus.ObjectPath(connectionPrefix+id), fieldDict(fields))
	call.Timeout = timeout
	return a.call(agent, call, func(values []any, err error) {
		switch answer, resultErr := bus.Result[bus.Dict](values, err); {
		case errors.Is(err, &bus.Error{Name: vpn.AgentErrorCanceled}):
			done(nil, core.ErrCanceled)
		case timedOut(err):
			done(nil, core.ErrTimeout)
		case err != nil:
			done(nil, fmt.Errorf("%w: %w", core.ErrNoAgent, err))
		case resultErr != nil:
			done(nil, fmt.Errorf("%w: %w", core.ErrAnswer, resultErr))
		default:
			done(parseAnswer(answer))
		}
	})
}

// ReportError implements core.AgentCaller.
func (a *Agents) ReportError(agent core.AgentID, id, reason string, timeout time.Duration, done func(bool)) func() {
	call := vpn.AgentReportErrorCall(agent.Owner, bus.ObjectPath(agent.Path), bus.ObjectPath(connectionPrefix+id), reason)
	call.Timeout = timeout
	return a.call(agent, call, func(_ []any, err error) {
		done(errors.Is(err, &bus.Error{Name: vpn.AgentErrorRetry}))
	})
}

// call asks an agent. One that lets the time pass, or need not answer any more,
// is told so.
func (a *Agents) call(agent core.AgentID, call bus.MethodCall, done func([]any, error)) (cancel func()) {
	tell := func() { a.conn.Call(vpn.AgentCancelCall(agent.Owner, bus.ObjectPath(agent.Path)), nil) }
	drop := a.conn.Call(call, func(values []any, err error) {
		if timedOut(err) {
			tell()
		}
		done(values, err)
	})
	return func() {
		drop()
		tell()
	}
}

// timedOut reports whether the agent let the time pass. The error that the bus
// sends in the name of an agent that left is another of the same name.
func timedOut(err error) bool { return err == error(bus.ErrNoReply) }

// Release implements core.AgentCaller.
func (a *Agents) Release(agent core.AgentID) {
	a.conn.Call(vpn.AgentReleaseCall(agent.Owner, bus.ObjectPath(agent.Path)), nil)
}

// control is the Requirement of fields whose Value is a boolean.
const control = "control"

// fieldDict describes fields as agents read them.
func fieldDict(fields []core.Field) bus.Dict {
	d := bus.Dict{}
	for _, f := range fields {
		about := bus.Dict{
			{Key: "Type", Value: f.Type},
			{Key: "Requirement", Value: f.Requirement},
		}
		if len(f.Alternates) > 0 {
			about = append(about, bus.Entry{Key: "Alternates", Value: f.Alternates})
		}
		switch {
		case f.Requirement == control:
			about = append(about, bus.Entry{Key: "Value", Value: f.Value == "true"})
		case f.Value != "":
			about = append(about, bus.Entry{Key: "Value", Value: f.Value})
		}
		d = append(d, bus.Entry{Key: f.Name, Value: about})
	}
	return d
}

// parseAnswer checks the types of what an agent answered: core knows what it
// asked for.
func parseAnswer(d bus.Dict) (core.Answer, error) {
	answer := make(core.Answer)
	for _, e := range d {
		switch v := e.Value.(type) {
		case string:
			answer[e.Key] = logx.Secret(v)
		case bool:
			answer[e.Key] = logx.Secret(fmt.Sprint(v))
		default:
			return nil, fmt.Errorf("%w: %.100q is neither text nor boolean", core.ErrAnswer, e.Key)
		}
	}
	return answer, nil
}
