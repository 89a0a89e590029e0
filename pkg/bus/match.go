package bus

import (
	"slices"
	"strings"
)

// Match says which signals to receive. Empty fields match everything.
type Match struct {
	Sender    string // bus name; a well-known one stands for whoever owns it
	Path      ObjectPath
	Interface string
	Member    string
	Arg0      string // value of the first argument, a string
}

// ReceivedSignal is a signal that arrived.
type ReceivedSignal struct {
	Sender    string // unique bus name
	Path      ObjectPath
	Interface string
	Member    string
	Args      []any
}

// match is what the subscribers of one Match share.
type match struct {
	Match
	rule        string
	owner       string // who the sender is, if a well-known name was asked for
	unwatch     func()
	subscribers []*subscriber
}

type subscriber struct {
	fn      func(ReceivedSignal)
	stopped bool
}

// Subscribe calls fn on the loop for every signal that matches m, in the order
// of arrival, until stop is called. Signals that another process sends in the
// name of m.Sender do not match.
func (c *Conn) Subscribe(m Match, fn func(ReceivedSignal)) (stop func()) {
	shared := c.match(m)
	s := &subscriber{fn: fn}
	shared.subscribers = append(shared.subscribers, s)
	return func() { c.unsubscribe(shared, s) }
}

// match returns what m's subscribers share, asking the bus for the signals if
// nobody did yet.
func (c *Conn) match(m Match) *match {
	rule := m.rule()
	for _, shared := range c.matches {
		if shared.rule == rule {
			return shared
		}
	}
	shared := &match{Match: m, rule: rule, owner: m.Sender, unwatch: func() {}}
	c.matches = append(c.matches, shared)
	c.callBus("AddMatch", func(_ []any, err error) {
		if err != nil {
			c.log.Error("cannot subscribe to signals", "rule", rule, "err", err)
		}
	}, rule)
	if isWellKnown(m.Sender) {
		shared.owner = ""
		shared.unwatch = c.WatchName(m.Sender, func(owner string) { shared.owner = owner })
	}
	return shared
}

func (c *Conn) unsubscribe(shared *match, s *subscriber) {
	if s.stopped {
		return
	}
	s.stopped = true
	shared.subscribers = without(shared.subscribers, s)
	if len(shared.subscribers) == 0 {
		c.matches = without(c.matches, shared)
		shared.unwatch()
		c.callBus("RemoveMatch", nil, shared.rule)
	}
}

// without returns a new list that lacks x, so that a walk over list goes on
// undisturbed.
func without[T comparable](list []T, x T) []T {
	i := slices.Index(list, x)
	return slices.Delete(slices.Clone(list), i, i+1)
}

func isWellKnown(name string) bool {
	return name != "" && name != busName && !strings.HasPrefix(name, ":")
}

// rule returns the match in the bus's own words (D-Bus specification, "Match
// Rules").
func (m Match) rule() string {
	rule := "type='signal'"
	for _, part := range []struct{ key, value string }{
		{"sender", m.Sender}, {"path", string(m.Path)}, {"interface", m.Interface},
		{"member", m.Member}, {"arg0", m.Arg0},
	} {
		if part.value != "" {
			rule += "," + part.key + "='" + strings.ReplaceAll(part.value, "'", `'\''`) + "'"
		}
	}
	return rule
}

func (c *Conn) signalled(m *message) {
	var s *ReceivedSignal
	for _, shared := range c.matches {
		if !shared.headerMatches(m) {
			continue
		}
		if s == nil {
			args, err := m.values()
			if err != nil {
				c.log.Debug("unreadable signal", "sender", m.sender, "member", m.member, "err", err)
				return
			}
			s = &ReceivedSignal{m.sender, m.path, m.iface, m.member, args}
		}
		if shared.argMatches(s.Args) {
			shared.deliver(*s)
		}
	}
}

func (m *match) deliver(s ReceivedSignal) {
	for _, sub := range m.subscribers {
		if !sub.stopped {
			sub.fn(s)
		}
	}
}

func (m *match) headerMatches(msg *message) bool {
	return (m.Sender == "" || m.owner == msg.sender) &&
		(m.Path == "" || m.Path == msg.path) &&
		(m.Interface == "" || m.Interface == msg.iface) &&
		(m.Member == "" || m.Member == msg.member)
}

func (m *match) argMatches(args []any) bool {
	if m.Arg0 == "" {
		return true
	}
	if len(args) == 0 {
		return false
	}
	s, ok := args[0].(string)
	return ok && s == m.Arg0
}

// callBus calls a method of the bus itself.
func (c *Conn) callBus(member string, done func([]any, error), args ...any) (cancel func()) {
	return c.Call(MethodCall{
		Destination: busName, Path: busPath, Interface: busName, Member: member, Args: args,
	}, done)
}
