package core

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"net.connman/pkg/logx"
)

// attempt is a tunnel from Connect to Ended.
type attempt struct {
	c       *Connection
	sender  string  // who connects
	running Attempt // nil until the provider has returned it
	// answer tells whoever connects what became of it, once; nil when it did.
	answer   func(error)
	stopping bool
	// withdraw takes the report of the failure back; nil unless it has ended and
	// the user is to say whether to try again.
	withdraw func()
	// learnt are the answers that the user wants saved once they have served.
	learnt map[string]logx.Secret
}

// Connect makes the tunnel. done hears when it is up, or why it is not. Agents
// of sender, a unique bus name, are preferred.
func (c *Connection) Connect(sender string, done func(error)) {
	if !c.m.begun && c.m.stopped == nil {
		c.m.early = append(c.m.early, func() { c.Connect(sender, done) })
		return
	}
	if err := c.mayConnect(); err != nil {
		done(err)
		return
	}
	c.setState(Configuration, "told to connect")
	c.try(sender, done)
}

// try makes an attempt, in state Configuration.
func (c *Connection) try(sender string, done func(error)) {
	c.m.log.Info("connecting", "id", c.id, "type", c.typ)
	a := &attempt{c: c, sender: sender, answer: done}
	c.attempt = a
	a.running = c.kind.provider.Connect(Request{
		ID:       c.id,
		Settings: c.settings(),
		Refused:  c.countRefused(),
		Forgives: c.forgives(),
		Ask:      &asker{a},
	}, a.report)
}

func (c *Connection) mayConnect() error {
	switch {
	case c.m.stopped != nil:
		return ErrAborted
	case c.m.ending[c.id] != nil, c.state == Configuration, c.state == Disconnecting:
		return ErrInProgress
	case c.state == Ready:
		return ErrAlreadyConnected
	}
	return c.mayTry()
}

// mayTry says what the machine or the settings lack.
func (c *Connection) mayTry() error {
	if err := c.kind.provider.Missing(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSupported, err)
	}
	if err := c.kind.provider.Check(c.settings()); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidArguments, err)
	}
	return nil
}

// Disconnect takes the tunnel down; the state says when it is gone. Without one
// there is nothing to do.
func (c *Connection) Disconnect() { c.end("told to disconnect") }

func (c *Connection) end(why string) {
	a := c.attempt
	if a == nil || a.stopping {
		return
	}
	a.stopping = true
	c.setState(Disconnecting, why)
	a.finish(ErrAborted)
	switch {
	case a.withdraw != nil:
		a.withdraw()
		a.conclude(Ended{})
	case a.running != nil:
		a.running.Stop()
	}
}

// finish answers whoever connects.
func (a *attempt) finish(err error) {
	if a.answer == nil {
		return
	}
	answer := a.answer
	a.answer = nil
	answer(err)
}

// report hears what becomes of the tunnel, up to Ended.
func (a *attempt) report(e Event) {
	if a.c.attempt != a || a.withdraw != nil {
		return
	}
	switch e := e.(type) {
	case Up:
		if !a.stopping {
			a.up(e.Tunnel)
		}
	case Reconnecting:
		if a.c.state == Ready {
			a.c.setState(Configuration, "reconnecting")
		}
	case Ended:
		a.ended(e)
	}
}

func (a *attempt) up(t Tunnel) {
	c := a.c
	if len(t.Routes) > MaxRoutes {
		c.m.log.Warn("the server has too many routes, the first ones are used", "id", c.id, "routes", len(t.Routes))
		t.Routes = t.Routes[:MaxRoutes]
	}
	// What it said before need not be true any more: clients look at all of it
	// when the state comes back to ready.
	if c.state == Ready {
		c.setState(Configuration, "configured anew")
	}
	c.setTunnel(&t, t.Index)
	c.refused, c.lastUp = 0, c.m.loop.Now()
	a.remember()
	c.m.changes.property(c, PropIndex)
	for _, property := range []string{PropIPv4, PropIPv6, PropNameservers, PropDomain, PropServerRoutes, PropMTU, PropPAC} {
		if t.has(property) || c.last.has(property) {
			c.m.changes.property(c, property)
		}
	}
	c.last = t
	c.setState(Ready, "the tunnel is up")
	c.m.log.Info("connected", "id", c.id)
	a.finish(nil)
}

// remember saves what the user said and wanted saved.
func (a *attempt) remember() {
	if len(a.learnt) == 0 {
		return
	}
	for name, value := range a.learnt {
		if key, known := a.c.kind.key(name); known {
			_, _ = a.c.setValue(key, value.Reveal()) // was checked when it was said
		}
	}
	a.learnt = nil
	a.c.keep()
}

func (a *attempt) ended(e Ended) {
	c := a.c
	c.setTunnel(nil, -1)
	if a.stopping {
		c.m.log.Info("disconnected", "id", c.id)
	} else {
		c.m.log.Warn("VPN ended", "id", c.id, "err", a.outcome(e))
	}
	c.count(e.Cause)
	if !a.tell(e) {
		a.conclude(e)
	}
}

// failures are the words for why a tunnel could not be made, as users of
// connmand's services know them.
var failures = map[Cause]string{ConnectFailed: "connect-failed", LoginFailed: "login-failed", AuthFailed: "auth-failed"}

// tell has the agent of whoever connects, if it has one, tell the user that it
// failed, and tries again if he wants that. It does not if the user has stopped
// it, or has let a question pass.
func (a *attempt) tell(e Ended) (told bool) {
	agent, word := a.c.m.agents.of(a.sender), failures[e.Cause]
	unasked := slices.ContainsFunc([]error{ErrCanceled, ErrTimeout, ErrNoAgent}, func(why error) bool { return errors.Is(e.Err, why) })
	if a.answer == nil || a.stopping || agent == nil || word == "" || unasked {
		return false
	}
	a.withdraw = agent.ask(a.failed(word, func(again bool) {
		if !again || !a.again() {
			a.conclude(e)
		}
	}))
	return true
}

// again replaces the attempt by another one, if that can be made.
func (a *attempt) again() bool {
	if a.c.mayTry() != nil {
		return false
	}
	answer := a.answer
	a.answer = nil
	a.c.try(a.sender, answer)
	return true
}

// conclude is the end: nothing is left, nobody is asked any more.
func (a *attempt) conclude(e Ended) {
	c := a.c
	if c.m.ending[c.id] == a {
		delete(c.m.ending, c.id)
	}
	was := c.state
	c.attempt = nil
	err := a.outcome(e)
	switch refused := e.Cause == AuthFailed || e.Cause == LoginFailed; {
	case a.stopping, e.Cause == Stopped, errors.Is(err, ErrCanceled):
		c.setState(Idle, "it ended")
	case errors.Is(err, ErrTimeout), was == Ready && !refused:
		c.setState(Idle, err.Error())
	default:
		c.setState(Failure, err.Error())
	}
	a.finish(err)
	c.m.checkStopped()
}

// outcome is the end as an error for whoever connects.
func (a *attempt) outcome(e Ended) error {
	err := e.Err
	if err == nil {
		err = errors.New("the VPN ended")
	}
	switch e.Cause {
	case Stopped:
		return fmt.Errorf("%w: %w", ErrAborted, err)
	case LoginFailed, AuthFailed:
		return fmt.Errorf("%w: %w", ErrPermissionDenied, err)
	}
	return err
}

// okTime is how long after a success a refusal is doubted.
const okTime = time.Hour

// defaultAuthErrorLimit is the AuthErrorLimit of connections without one. An
// OpenVPN server refuses a client whose last connection it still takes for
// alive.
func defaultAuthErrorLimit(typ string) int {
	if typ == "openvpn" {
		return 10
	}
	return 1
}

// count keeps the counts that countRefused needs.
func (c *Connection) count(cause Cause) {
	switch cause {
	case LoginFailed, AuthFailed:
		c.refused++
	case ConnectFailed:
		c.lastUp = time.Time{}
	}
}

// countRefused is how many refusals speak against the credentials.
func (c *Connection) countRefused() int {
	if c.withinLimit(c.refused) {
		return 0
	}
	return c.refused
}

// forgives reports whether one more refusal would not speak against them either.
func (c *Connection) forgives() bool { return c.withinLimit(c.refused + 1) }

// withinLimit reports whether so many refusals don't speak against the credentials.
// Those soon after a success don't, up to AuthErrorLimit of them: servers that let a
// user in once only refuse him while they don't know that his last connection is
// dead.
func (c *Connection) withinLimit(refused int) bool {
	limit := defaultAuthErrorLimit(c.typ)
	if text := c.text[PropAuthErrorLimit]; text != "" {
		limit, _ = strconv.Atoi(text) // was checked
	}
	return !c.lastUp.IsZero() && c.m.loop.Now().Sub(c.lastUp) <= okTime && refused <= limit
}
