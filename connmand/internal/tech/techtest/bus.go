package techtest

import (
	"fmt"
	"sync"

	"net.connman/pkg/bus"
)

// Bus is a bus in memory with one daemon on it, which the test plays. Answers and
// signals come in later turns, as from a real one. Its methods may be called from
// any goroutine.
type Bus struct {
	w *World
	// Answer answers a call to the daemon, on the loop; answer may be called
	// later, or never.
	Answer func(m bus.MethodCall, answer func(values []any, err error))

	mu       sync.Mutex // guards what follows
	owner    string
	lives    int
	watchers []func(string)
	signals  []*subscription
}

type subscription struct {
	match   bus.Match
	fn      func(bus.ReceivedSignal)
	stopped bool // for the loop
}

// NewBus returns a bus whose daemon is not there.
func NewBus(w *World) *Bus { return &Bus{w: w} }

// Kill makes the daemon vanish.
func (b *Bus) Kill() { b.own("") }

// Revive brings the daemon, under a new unique name.
func (b *Bus) Revive() {
	b.mu.Lock()
	b.lives++
	owner := fmt.Sprintf(":1.%d", b.lives)
	b.mu.Unlock()
	b.own(owner)
}

func (b *Bus) own(owner string) {
	b.mu.Lock()
	b.owner = owner
	watchers := b.watchers
	b.mu.Unlock()
	for _, fn := range watchers {
		b.w.Loop.Post("owner", func() { fn(owner) })
	}
}

// WatchName follows the daemon, whatever the name.
func (b *Bus) WatchName(_ string, fn func(string)) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers = append(b.watchers, fn)
	owner := b.owner
	b.w.Loop.Post("owner", func() { fn(owner) })
	return func() {}
}

// Subscribe calls fn for the daemon's signals that match.
func (b *Bus) Subscribe(m bus.Match, fn func(bus.ReceivedSignal)) (stop func()) {
	s := &subscription{match: m, fn: fn}
	b.mu.Lock()
	b.signals = append(b.signals, s)
	b.mu.Unlock()
	return func() { s.stopped = true }
}

// Emit sends a signal of the daemon's.
func (b *Bus) Emit(path bus.ObjectPath, iface, member string, args ...any) {
	b.mu.Lock()
	owner, signals := b.owner, b.signals
	b.mu.Unlock()
	b.w.Loop.Post("signal", func() {
		for _, s := range signals {
			if !s.stopped && s.match.Sender == owner && s.match.Interface == iface && (s.match.Member == "" || s.match.Member == member) {
				s.fn(bus.ReceivedSignal{Sender: owner, Path: path, Interface: iface, Member: member, Args: args})
			}
		}
	})
}

// Call calls the daemon.
func (b *Bus) Call(m bus.MethodCall, done func([]any, error)) (cancel func()) {
	cancelled := false
	b.w.Loop.Post("call", func() {
		b.mu.Lock()
		owner := b.owner
		b.mu.Unlock()
		answer := func(values []any, err error) {
			b.w.Loop.Post("answer", func() {
				if !cancelled && done != nil {
					done(values, err)
				}
			})
		}
		if owner == "" {
			answer(nil, bus.ErrServiceUnknown)
			return
		}
		b.Answer(m, answer)
	})
	return func() { cancelled = true }
}
