package dnsproxy

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// engine is the proxy's one goroutine and all that belongs to it.
type engine struct {
	log   *slog.Logger
	relay Relay
	epoll int
	wake  int    // an eventfd that ends the wait
	slots []slot // by file descriptor
	clock clock
	now   time.Duration // of this round
	due   time.Duration // when tick is to run

	next  atomic.Pointer[plan] // what plan should be
	jobs  chan func(*engine)
	ended bool
	done  chan struct{}

	plan      *plan
	upstreams map[target]*upstream
	routes    [][]*upstream // of plan.routes
	cache     *cache        // nil without one
	quietAt   time.Duration // when the cache is looked after
	busy      uint64        // queries by then
	random    *rand.ChaCha8 // of cryptographic strength

	listeners map[*listener]bool
	clients   clients
	flights   flights
	round     uint64 // of the loop
	in        inbox  // from clients
	heard     inbox  // from servers
	replies   outbox // to clients
	asks      outbox // to servers
	buffers   []byte // holds the data of the boxes above, and stream
	stream    []byte // what was read from a TCP connection
	cleaned   []byte // an answer made fit for others
	dirty     []*tcpClient
	worn      []*socket

	question query // being handled; here it need not be allocated
	answer   reply
	key      []byte
	stats    Stats
}

// handler is whoever owns a file descriptor that epoll watches.
type handler interface {
	// ready is called with what epoll says.
	ready(e *engine, events uint32)
}

// slot leads from a file descriptor to its handler. gen tells apart handlers
// that had the same descriptor one after the other.
type slot struct {
	handler handler
	gen     int32
}

const (
	maxEvents = 64
	never     = time.Duration(math.MaxInt64)
)

func newEngine(log *slog.Logger, relay Relay, p *plan) (*engine, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make an epoll instance: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("cannot make an eventfd: %w", err)
	}
	e := &engine{
		log:       log,
		relay:     relay,
		epoll:     epoll,
		wake:      wake,
		due:       never,
		jobs:      make(chan func(*engine), 1),
		done:      make(chan struct{}),
		upstreams: map[target]*upstream{},
		random:    rand.NewChaCha8(seed()),
		listeners: map[*listener]bool{},
		key:       make([]byte, 0, maxName+5),
	}
	e.clients.conns = map[*tcpClient]bool{}
	e.now = e.clock.now()
	e.flights.init()
	err = e.mapBuffers()
	if err == nil {
		err = e.watch(wake, waker{}, unix.EPOLLIN)
	}
	if err != nil {
		e.release()
		unix.Close(wake)
		return nil, err
	}
	e.asks.failed = sendFailed
	e.next.Store(p)
	e.configure(p)
	return e, nil
}

// mapBuffers gets the memory for messages on their way: a megabyte, of which
// small messages touch little.
func (e *engine) mapBuffers() (err error) {
	const streamBytes, inBytes, heardBytes = maxMessage + 2, batch * maxQuery, batch / 4 * maxMessage
	e.buffers, err = mapMemory(streamBytes + inBytes + heardBytes + 2*outboxBytes)
	if err != nil {
		return err
	}
	rest := e.buffers
	part := func(bytes int) (b []byte) {
		b, rest = rest[:bytes:bytes], rest[bytes:]
		return b
	}
	e.stream = part(streamBytes)
	e.in.init(batch, maxQuery, part(inBytes))
	e.heard.init(batch/4, maxMessage, part(heardBytes))
	e.replies.init(part(outboxBytes))
	e.asks.init(part(outboxBytes))
	return nil
}

// clock tells the time since boot, time asleep included. To ask the kernel for
// that takes a system call, so in between it goes by the clock that takes none,
// and notices within a second that the machine was asleep.
type clock struct {
	base time.Time
	at   time.Duration // at base
}

func (c *clock) now() time.Duration {
	past := time.Since(c.base)
	if past > time.Second {
		var ts unix.Timespec
		unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // cannot fail
		c.base, c.at, past = time.Now(), time.Duration(ts.Nano()), 0
	}
	return c.at + past
}

// seed returns randomness of the kernel, which has no end once the system is up.
func seed() (s [32]byte) {
	for {
		if n, err := unix.Getrandom(s[:], 0); err == nil && n == len(s) {
			return s
		}
	}
}

// do runs f between two rounds of the engine and waits for it.
func (e *engine) do(f func(*engine)) {
	ran := make(chan struct{})
	e.jobs <- func(e *engine) { f(e); close(ran) }
	e.interrupt()
	select {
	case <-ran:
	case <-e.done:
	}
}

// set has the engine take over a plan soon.
func (e *engine) set(p *plan) {
	e.next.Store(p)
	e.interrupt()
}

func (e *engine) interrupt() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(e.wake, one[:]) // fails only where it is already signalled
}

// close ends the engine.
func (e *engine) close() {
	e.do(func(e *engine) { e.ended = true })
	<-e.done
	unix.Close(e.wake)
}

// run is the engine's goroutine.
func (e *engine) run() {
	defer close(e.done)
	defer e.release()
	var events [maxEvents]unix.EpollEvent
	for !e.ended {
		n, err := unix.EpollWait(e.epoll, events[:], e.timeout())
		if err != nil && err != unix.EINTR {
			e.log.Error("cannot wait for DNS packets: " + err.Error())
			return
		}
		e.now = e.clock.now()
		e.round++
		for _, ev := range events[:max(n, 0)] {
			if s := e.slots[ev.Fd]; s.handler != nil && s.gen == ev.Pad {
				s.handler.ready(e, ev.Events)
			}
		}
		if e.now >= e.due {
			e.tick()
		}
		e.flush()
		e.flights.recycle()
		e.renew()
		if e.cache != nil {
			e.cache.prepare()
		}
	}
}

// timeout is how long to wait for events, in milliseconds.
func (e *engine) timeout() int {
	if e.due == never {
		return -1
	}
	return int((max(0, e.due-e.now) + time.Millisecond - 1) / time.Millisecond)
}

// flush sends what one round of the engine has brought about.
func (e *engine) flush() {
	for i := 0; i < len(e.dirty); i++ { // stalled clients that go on become dirty again
		e.dirty[i].dirty = false
		e.dirty[i].flush(e)
	}
	e.dirty = e.dirty[:0]
	e.asks.flush(e)
	e.replies.flush(e)
}

// at has tick run at t or earlier.
func (e *engine) at(t time.Duration) { e.due = min(e.due, t) }

// tick does what is due. Everybody says with at when his turn comes next.
func (e *engine) tick() {
	e.due = never
	e.tickFlights()
	for _, u := range e.upstreams {
		u.tick(e)
	}
	e.tickClients()
	e.tickCache()
}

// watch has h called when fd is ready.
func (e *engine) watch(fd int, h handler, events uint32) error {
	for len(e.slots) <= fd {
		e.slots = append(e.slots, slot{})
	}
	s := &e.slots[fd]
	s.handler = h
	s.gen++
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: s.gen}
	if err := unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		s.handler = nil
		return fmt.Errorf("cannot watch a socket: %w", err)
	}
	return nil
}

// rewatch changes what a watched fd is to be ready for.
func (e *engine) rewatch(fd int, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: e.slots[fd].gen}
	unix.EpollCtl(e.epoll, unix.EPOLL_CTL_MOD, fd, &ev)
}

// drop closes fd, which may be watched.
func (e *engine) drop(fd int) {
	if fd < len(e.slots) {
		e.slots[fd].handler = nil
	}
	unix.Close(fd)
}

// waker handles interrupts.
type waker struct{}

func (waker) ready(e *engine, _ uint32) {
	var b [8]byte
	unix.Read(e.wake, b[:])
	if p := e.next.Load(); p != e.plan {
		e.configure(p)
	}
	for {
		select {
		case f := <-e.jobs:
			f(e)
		default:
			return
		}
	}
}

// release gives back what the engine holds.
func (e *engine) release() {
	for l := range e.listeners {
		e.removeListener(l)
	}
	for c := range e.clients.conns {
		c.close(e)
	}
	for _, u := range e.upstreams {
		u.close(e)
	}
	if e.cache != nil {
		e.cache.close()
	}
	unix.Close(e.epoll)
	unix.Munmap(e.buffers)
}

// report returns the counts.
func (e *engine) report() Stats {
	s := e.stats
	s.InFlight = len(e.flights.active)
	s.Connections = len(e.clients.conns)
	if e.cache != nil {
		s.CacheBytes = e.cache.held()
		s.CacheNames = e.cache.names
	}
	return s
}
