package bus

import (
	"context"
	"fmt"
	"time"

	"net.connman/pkg/loop"
)

// DefaultTimeout is how long a call waits for its answer unless it says
// otherwise: libdbus's default.
const DefaultTimeout = 25 * time.Second

// MethodCall is a call of ours.
type MethodCall struct {
	Destination string // bus name
	Path        ObjectPath
	Interface   string
	Member      string
	Args        []any
	Timeout     time.Duration // 0: DefaultTimeout; below 0: none
	NoAutoStart bool          // do not let the bus start the destination

	// Properties, if not nil, are all that the caller needs of each [Object] in
	// the answer. Of the others at most one comes with them, so that an object
	// which has properties has them here too; the rest is not decoded, which
	// makes long lists cheap.
	Properties []string
}

type pendingCall struct {
	only  []string // as MethodCall.Properties
	done  func([]any, error)
	timer *loop.Timer
}

// Call sends m at the end of the turn and later calls done once, on the loop:
// with the answer's values, or with an [*Error] when the call was refused or ran
// out of time, or with ErrDisconnected. After cancel, done is never called.
// With a nil done no reply is asked for.
func (c *Conn) Call(m MethodCall, done func(values []any, err error)) (cancel func()) {
	msg := &message{
		kind: kindCall, destination: m.Destination, path: m.Path, iface: m.Interface, member: m.Member,
	}
	if m.NoAutoStart {
		msg.flags |= flagNoAutoStart
	}
	if done == nil {
		msg.flags |= flagNoReply
		c.queueSignal(msg, m.Args...)
		return func() {}
	}
	if c.gone != nil {
		cancelled := false
		c.loop.Post("call", func() {
			if !cancelled {
				done(nil, ErrDisconnected)
			}
		})
		return func() { cancelled = true }
	}
	c.queueSignal(msg, m.Args...)
	return c.await(msg.serial, m, done)
}

func (c *Conn) await(serial uint32, m MethodCall, done func([]any, error)) (cancel func()) {
	p := &pendingCall{only: m.Properties, done: done}
	c.pending[serial] = p
	timeout := m.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	if timeout > 0 {
		p.timer = c.loop.After("call timeout", timeout, func() {
			delete(c.pending, serial)
			done(nil, ErrNoReply)
		})
	}
	return func() {
		p.timer.Stop()
		delete(c.pending, serial)
	}
}

func (c *Conn) replied(m *message) {
	p := c.pending[m.replySerial]
	if p == nil {
		return // cancelled or too late
	}
	delete(c.pending, m.replySerial)
	p.timer.Stop()
	p.done(m.result(p.only))
}

// result returns what an answer says, of its objects only some properties
// unless only is nil.
func (m *message) result(only []string) ([]any, error) {
	values, err := m.only(only)
	if m.kind == kindError {
		e := &Error{Name: m.errorName}
		if len(values) > 0 {
			e.Text, _ = values[0].(string)
		}
		return nil, e
	}
	return values, err
}

func (c *Conn) failPending(err error) {
	pending := c.pending
	c.pending = map[uint32]*pendingCall{}
	for _, p := range pending {
		p.timer.Stop()
		p.done(nil, err)
	}
}

// Wait is Call for other goroutines than the loop's: it blocks until the answer
// is there or ctx ends. The loop must be running.
func (c *Conn) Wait(ctx context.Context, m MethodCall) ([]any, error) {
	type answer struct {
		values []any
		err    error
	}
	answers := make(chan answer, 1)
	var cancel func()
	c.loop.Post("call", func() {
		cancel = c.Call(m, func(values []any, err error) { answers <- answer{values, err} })
	})
	select {
	case a := <-answers:
		return a.values, a.err
	case <-ctx.Done():
		c.loop.Post("cancel call", func() { cancel() })
		return nil, ctx.Err()
	}
}

// Result unpacks an answer that consists of one value of the type T, from
// [Conn.Wait] or in the function given to [Conn.Call].
func Result[T any](values []any, err error) (T, error) {
	v, ok := single[T](values)
	if err == nil && !ok {
		err = fmt.Errorf("the answer has the type %q", SignatureOf(values...))
	}
	return v, err
}
