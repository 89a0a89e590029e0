package bus

import (
	"errors"
	"fmt"
)

// RequestName asks for a well-known name and calls done on the loop when the
// bus has answered: with nil when the name is ours, with a [*NameTakenError]
// when another process owns it. Nothing queues for the name, and once owned it
// cannot be taken away.
func (c *Conn) RequestName(name string, done func(error)) {
	const (
		doNotQueue   = uint32(4)
		primaryOwner = uint32(1)
		exists       = uint32(3)
		alreadyOwner = uint32(4)
	)
	c.callBus("RequestName", func(values []any, err error) {
		if err != nil {
			done(fmt.Errorf("cannot own the bus name %s: %w", name, err))
			return
		}
		code, _ := single[uint32](values)
		switch code {
		case primaryOwner, alreadyOwner:
			done(nil)
		case exists:
			c.blame(&NameTakenError{Name: name}, done)
		default:
			done(fmt.Errorf("cannot own the bus name %s: the bus answers %d", name, code))
		}
	}, name, doNotQueue)
}

// blame completes taken with who has the name.
func (c *Conn) blame(taken *NameTakenError, done func(error)) {
	c.callBus("GetNameOwner", func(values []any, _ error) {
		taken.Owner, _ = single[string](values)
		if taken.Owner == "" {
			done(taken)
			return
		}
		c.callBus("GetConnectionUnixProcessID", func(values []any, _ error) {
			taken.PID, _ = single[uint32](values)
			done(taken)
		}, taken.Owner)
	}, taken.Name)
}

// single returns the only value, if it has the type T.
func single[T any](values []any) (T, bool) {
	if len(values) != 1 {
		var none T
		return none, false
	}
	v, ok := values[0].(T)
	return v, ok
}

// watchedName is a name whose owner is followed.
type watchedName struct {
	owner    string
	known    bool
	watchers []*nameWatcher
	stop     func()
}

type nameWatcher struct {
	fn      func(owner string)
	stopped bool
}

// WatchName calls fn on the loop with the unique name of who owns name, or ""
// when nobody does: once when that is known and again whenever it changes, until
// stop is called. A unique name may be watched too, to learn that its process
// left the bus.
func (c *Conn) WatchName(name string, fn func(owner string)) (stop func()) {
	w := c.names[name]
	if w == nil {
		w = c.followName(name)
	}
	watcher := &nameWatcher{fn: fn}
	w.watchers = append(w.watchers, watcher)
	if w.known {
		c.loop.Post("name owner", func() {
			if !watcher.stopped {
				fn(w.owner)
			}
		})
	}
	return func() {
		if watcher.stopped {
			return
		}
		watcher.stopped = true
		w.watchers = without(w.watchers, watcher)
		if len(w.watchers) == 0 {
			delete(c.names, name)
			w.stop()
		}
	}
}

func (c *Conn) followName(name string) *watchedName {
	w := &watchedName{}
	c.names[name] = w
	unsubscribe := c.Subscribe(Match{
		Sender: busName, Path: busPath, Interface: busName, Member: "NameOwnerChanged", Arg0: name,
	}, func(s ReceivedSignal) {
		if len(s.Args) == 3 {
			owner, _ := s.Args[2].(string)
			w.set(owner)
		}
	})
	cancel := c.callBus("GetNameOwner", func(values []any, err error) {
		if errors.Is(err, ErrDisconnected) {
			return
		}
		owner, _ := single[string](values)
		w.set(owner)
	}, name)
	w.stop = func() { cancel(); unsubscribe() }
	return w
}

func (w *watchedName) set(owner string) {
	if w.known && w.owner == owner {
		return
	}
	w.known, w.owner = true, owner
	for _, watcher := range w.watchers {
		if !watcher.stopped {
			watcher.fn(owner)
		}
	}
}

// ReleaseName gives a name back and calls done on the loop when the bus has
// answered. Calls to the name that the bus had taken before that arrive before
// done is called.
func (c *Conn) ReleaseName(name string, done func(error)) {
	c.callBus("ReleaseName", func(_ []any, err error) { done(err) }, name)
}
