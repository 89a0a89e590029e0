package dnsproxy

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// client is where an answer goes to: a datagram's sender, or a connection.
type client struct {
	udp  *listener
	addr *sockaddr
	tcp  *tcpClient
}

// gone reports whether the client cannot be answered any more.
func (c *client) gone() bool { return c.tcp != nil && c.tcp.closed || c.udp != nil && c.udp.udp < 0 }

// maxDatagram is what fits into one of IPv4.
const maxDatagram = 65507

// limit is the longest message that the client of this query takes.
func (c *client) limit(q *query) int {
	if c.tcp != nil {
		return maxMessage
	}
	return min(int(q.size), maxDatagram)
}

// send answers the client with a message built in e.replies.room.
func (e *engine) send(c *client, msg []byte) {
	switch {
	case c.gone():
	case c.tcp != nil:
		c.tcp.queue(e, msg)
	default:
		e.replies.add(c.udp.udp, c.addr, msg)
	}
}

// Bounds of what clients on TCP may take up.
const (
	maxConns     = 256
	maxPending   = 128       // questions in flight of one connection
	fullOutput   = 16 << 10  // bytes of answers that are worth a write
	maxUnread    = 256 << 10 // … that one connection does not take
	maxUnreadAll = 2 << 20   // … that all of them don't
	clientIdle   = 10 * time.Second
)

// clients are the open connections.
type clients struct {
	conns  map[*tcpClient]bool
	unread int // bytes of answers waiting on all of them
	// spare is the last buffer that was emptied.
	spare []byte
}

// acceptor takes connections.
type acceptor struct{ listener *listener }

func (a *acceptor) ready(e *engine, _ uint32) {
	l := a.listener
	c := &tcpClient{listener: l, active: e.now}
	size := uint32(len(c.addr))
	fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(l.tcp), uintptr(unsafe.Pointer(&c.addr)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return
	}
	c.fd = int(fd)
	if !l.allows(&c.addr) {
		e.stats.Refused++
		unix.Close(c.fd)
		return
	}
	if len(e.clients.conns) >= maxConns {
		e.stats.Refused++
		e.clients.longestIdle().close(e)
	}
	e.clients.conns[c] = true
	e.at(e.now + clientIdle)
	// With TCP_DEFER_ACCEPT the first query is there already.
	c.read(e)
	c.write(e)
	if !c.closed {
		c.interest = c.wanted()
		if err := e.watch(c.fd, c, c.interest); err != nil {
			c.close(e)
		}
	}
}

// longestIdle returns the connection that is missed least: nothing asked, and
// silent for longest.
func (c *clients) longestIdle() (idle *tcpClient) {
	for o := range c.conns {
		if idle == nil || (o.pending == 0) != (idle.pending == 0) && o.pending == 0 ||
			(o.pending == 0) == (idle.pending == 0) && o.active < idle.active {
			idle = o
		}
	}
	return idle
}

// tickClients closes connections that are silent for long.
func (e *engine) tickClients() {
	for c := range e.clients.conns {
		switch end := c.active + clientIdle; {
		case e.now < end:
			e.at(end)
		case c.pending > 0:
			e.at(e.now + clientIdle)
		default:
			c.close(e)
		}
	}
	e.clients.spare = nil
}

// tcpClient is a client's connection.
type tcpClient struct {
	fd       int
	listener *listener
	addr     sockaddr
	active   time.Duration // when something was last heard or said
	pending  int           // questions in flight
	in       []byte        // read, but not complete or not handled yet
	out      []byte        // answers that are to be written
	interest uint32        // what epoll watches for
	dirty    bool          // waits for flush
	eof      bool          // the client has said all
	closed   bool
}

func (c *tcpClient) ready(e *engine, events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 && c.interest&unix.EPOLLIN == 0 {
		c.close(e)
		return
	}
	if events&unix.EPOLLIN != 0 {
		c.read(e)
	}
	c.flush(e)
}

// stalled reports whether the client has to take answers before it may ask on.
func (c *tcpClient) stalled() bool { return c.pending >= maxPending || len(c.out) >= fullOutput }

// read takes in what is there. e.stream is used.
func (c *tcpClient) read(e *engine) {
	for !c.closed && !c.stalled() {
		have := copy(e.stream, c.in)
		n, err := unix.Read(c.fd, e.stream[have:])
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			return
		case err != nil:
			c.close(e)
			return
		case n == 0:
			c.eof = true
			return
		}
		c.active = e.now
		c.handle(e, e.stream[:have+n])
		if have+n < len(e.stream) {
			return
		}
	}
}

// handle serves the complete queries in b (RFC 7766) and keeps the rest.
func (c *tcpClient) handle(e *engine, b []byte) {
	for len(b) >= 2 && !c.stalled() {
		size := int(be.Uint16(b))
		if size < headerLen || size > maxQuery {
			e.stats.Malformed++
			c.close(e)
			return
		}
		if len(b) < 2+size {
			break
		}
		e.serve(client{tcp: c}, b[2:2+size])
		if c.closed {
			return
		}
		b = b[2+size:]
	}
	c.in = append(c.in[:0], b...)
}

// queue has msg written at the end of the round.
func (c *tcpClient) queue(e *engine, msg []byte) {
	if c.out == nil {
		c.out, e.clients.spare = e.clients.spare[:0], nil
	}
	before := len(c.out)
	c.out = append(be.AppendUint16(c.out, uint16(len(msg))), msg...)
	e.clients.unread += len(c.out) - before
	if !c.dirty {
		c.dirty = true
		e.dirty = append(e.dirty, c)
	}
	if len(c.out) >= fullOutput {
		c.write(e)
	}
	if len(c.out) > maxUnread || e.clients.unread > maxUnreadAll {
		c.close(e)
	}
}

// write writes as much as the kernel takes.
func (c *tcpClient) write(e *engine) {
	if c.closed || len(c.out) == 0 {
		return
	}
	n, err := unix.Write(c.fd, c.out)
	if err != nil && err != unix.EAGAIN && err != unix.EINTR {
		c.close(e)
		return
	}
	if n > 0 {
		c.active = e.now
		e.clients.unread -= n
	}
	if n == len(c.out) {
		e.clients.spare, c.out = c.out, nil
	} else if n > 0 {
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
}

// flush writes, and reads on where a stalled client goes on.
func (c *tcpClient) flush(e *engine) {
	c.write(e)
	for before := -1; !c.closed && !c.stalled() && len(c.in) >= 2 && len(c.in) != before; {
		before = len(c.in)
		c.handle(e, c.in)
		c.write(e)
	}
	if c.closed {
		return
	}
	if c.eof && c.pending == 0 && len(c.out) == 0 {
		c.close(e)
		return
	}
	if want := c.wanted(); want != c.interest {
		c.interest = want
		e.rewatch(c.fd, want)
	}
}

// wanted is what the connection has to be watched for.
func (c *tcpClient) wanted() (events uint32) {
	if !c.eof && !c.stalled() {
		events |= unix.EPOLLIN
	}
	if len(c.out) > 0 {
		events |= unix.EPOLLOUT
	}
	return events
}

func (c *tcpClient) close(e *engine) {
	if c.closed {
		return
	}
	c.closed = true
	e.clients.unread -= len(c.out)
	c.in, c.out = nil, nil
	delete(e.clients.conns, c)
	e.drop(c.fd)
}
