package bus

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"net.connman/pkg/loop"
)

const (
	busName = "org.freedesktop.DBus"
	busPath = ObjectPath("/org/freedesktop/DBus")
)

// Conn is a connection to a message bus. Its methods are for the loop, except
// [Conn.Wait].
type Conn struct {
	loop   *loop.Loop
	log    *slog.Logger
	unique string
	in     *reader
	out    *writer

	// Sent at the end of the turn: signals and calls first, then replies.
	signals, replies []byte
	beforeFlush      []func()

	serial       uint32 // the last one used
	objects      objectTable
	pending      map[uint32]*pendingCall
	matches      []*match
	names        map[string]*watchedName
	credentials  map[string]*credentialCache
	onDisconnect []func(error)
	gone         error // why the connection ended

	room    chan struct{} // holds a token per batch that the loop has not handled
	closed  chan struct{}
	closing sync.Once
	reading sync.WaitGroup
}

// Dial connects to the bus at address: a D-Bus address, or "" for the one in
// DBUS_SYSTEM_BUS_ADDRESS or, without that, the system bus. It may be called
// before the loop runs. ctx bounds the dialling only; the connection lives until
// Close.
func Dial(ctx context.Context, l *loop.Loop, log *slog.Logger, address string) (*Conn, error) {
	c, err := connect(ctx, l, log, address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.in.sock.Close() })
	c.unique, err = c.in.handshake()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.gone = err
		c.in.sock.Close()
		return nil, fmt.Errorf("cannot join the bus: %w", err)
	}
	c.reading.Go(c.read)
	return c, nil
}

// Begin is Dial for who is in a hurry: it does not wait until the bus has
// accepted us, so that what the loop's first turn asks for leaves together with
// the greeting. A refusal is told as a disconnection, and until the bus has
// answered UniqueName is "".
func Begin(ctx context.Context, l *loop.Loop, log *slog.Logger, address string) (*Conn, error) {
	c, err := connect(ctx, l, log, address)
	if err != nil {
		return nil, err
	}
	c.signals = greeting()
	c.reading.Go(func() {
		name, err := c.in.welcome()
		if err != nil {
			l.Post("bus", func() { c.disconnected(fmt.Errorf("cannot join the bus: %w", err)) })
			return
		}
		l.Post("bus", func() { c.unique = name })
		c.read()
	})
	return c, nil
}

// connect makes a connection over which nothing has been sent.
func connect(ctx context.Context, l *loop.Loop, log *slog.Logger, address string) (*Conn, error) {
	sock, err := dialSocket(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the bus: %w", err)
	}
	c := newConn(l, log, sock)
	l.AtTurnEnd(c.flush)
	l.Post("bus", func() {}) // a first turn, to send what is asked for before the loop runs
	return c, nil
}

func newConn(l *loop.Loop, log *slog.Logger, sock *net.UnixConn) *Conn {
	raw, err := sock.SyscallConn()
	if err != nil {
		panic(err) // only a nil socket has none
	}
	return &Conn{
		loop:        l,
		serial:      helloSerial,
		log:         log,
		in:          &reader{sock: sock},
		out:         &writer{sock: sock, raw: raw},
		objects:     objectTable{byPath: map[ObjectPath]*object{}},
		pending:     map[uint32]*pendingCall{},
		names:       map[string]*watchedName{},
		credentials: map[string]*credentialCache{},
		room:        make(chan struct{}, 2),
		closed:      make(chan struct{}),
	}
}

// UniqueName returns the name that the bus gave the connection, such as ":1.5".
func (c *Conn) UniqueName() string { return c.unique }

// AcceptLarge lets in messages of any size that D-Bus allows, up to 128 MiB.
// Without it, calls and answers above 4 MiB end with an error and signals are
// lost: it is for clients that ask for long lists.
func (c *Conn) AcceptLarge() { c.in.large.Store(true) }

// OnDisconnect adds a function that runs once when the bus goes away, not after
// Close.
func (c *Conn) OnDisconnect(fn func(error)) { c.onDisconnect = append(c.onDisconnect, fn) }

// BeforeFlush adds a function that runs at the end of every turn before what the
// turn produced is sent. Signals that it emits precede the turn's replies.
func (c *Conn) BeforeFlush(fn func()) { c.beforeFlush = append(c.beforeFlush, fn) }

// Close sends what is waiting, for up to a second, and ends the connection.
// Calls under way are dropped. Call it from the loop or after the loop's Run.
func (c *Conn) Close() {
	c.closing.Do(func() {
		if c.gone == nil {
			c.flush()
			c.gone = net.ErrClosed
		}
		close(c.closed)
		c.out.close()
		c.reading.Wait()
	})
}

// read posts what the bus sends, in its order. It runs in its own goroutine and
// stops reading while the loop is more than two batches behind, so that the bus
// holds back whoever floods us.
func (c *Conn) read() {
	for {
		batch, err := c.in.batch()
		if len(batch) > 0 {
			select {
			case c.room <- struct{}{}:
			case <-c.closed:
				return
			}
			c.loop.Post("bus", func() {
				<-c.room
				for _, m := range batch {
					c.receive(m)
				}
			})
		}
		if err != nil {
			c.loop.Post("bus gone", func() { c.disconnected(err) })
			return
		}
	}
}

func (c *Conn) receive(m *message) {
	if c.gone != nil {
		return
	}
	switch m.kind {
	case kindCall:
		c.dispatch(m)
	case kindReply, kindError:
		c.replied(m)
	case kindSignal:
		c.signalled(m)
	}
}

func (c *Conn) disconnected(err error) {
	if c.gone != nil {
		return
	}
	c.gone = err
	c.failPending(ErrDisconnected)
	for _, fn := range c.onDisconnect {
		fn(fmt.Errorf("%w: %w", ErrDisconnected, err))
	}
}

func (c *Conn) nextSerial() uint32 {
	c.serial++
	if c.serial == 0 {
		c.serial = 1
	}
	return c.serial
}

// Flush sends at once what would be sent at the end of the turn. It is for
// before the loop runs: what takes the bus a while can be under way while a
// daemon is still being put together.
func (c *Conn) Flush() { c.flush() }

// flush ends a turn.
func (c *Conn) flush() {
	if c.gone != nil {
		return
	}
	for _, fn := range c.beforeFlush {
		fn()
	}
	c.announceObjects()
	batch := append(c.signals, c.replies...)
	if len(batch) == 0 {
		return
	}
	err := c.out.send(batch)
	c.signals, c.replies = reuse(batch), reuse(c.replies)
	if err != nil {
		c.disconnected(err)
	}
}

// maxReuse is how large a buffer is kept from one turn for the next, in bytes.
const maxReuse = 64 << 10

// reuse empties a buffer for the next turn, unless it grew so large that it
// should rather be freed.
func reuse(b []byte) []byte {
	if cap(b) > maxReuse {
		return nil
	}
	return b[:0]
}
