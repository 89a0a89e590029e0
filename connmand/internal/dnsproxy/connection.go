package dnsproxy

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// connection is a TCP connection to a server: for answers that don't fit in a
// datagram. Questions are sent as they come; answers may come in any order (RFC
// 7766, section 6.2.1).
type connection struct {
	u         *upstream
	fd        int
	encrypted bool // it leads to the relay
	heard     bool // the server has answered
	ids       map[uint16]*flight
	open      bool // the server accepted
	waiting   bool // for room to write
	in, out   []byte
	active    time.Duration // when it was last made, heard or given its first question
}

// openConnection returns the connection to the server, nil if there is none to
// be had. It need not be open yet.
func (u *upstream) openConnection(e *engine) *connection {
	if c := u.connection; c != nil && c.idle(e) {
		c.fail(e)
	}
	if u.connection == nil {
		fd, err := u.dial(u.addr.Port())
		if err == nil {
			u.connection, err = u.newConnection(e, fd)
		}
		if err != nil {
			e.complain(u, err)
			return nil
		}
	}
	return u.connection
}

// dial returns a socket on its way to a port of the server.
func (u *upstream) dial(port uint16) (fd int, err error) {
	fd, err = newSocket(u.addr.Addr(), u.link, unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	to, err := kernelAddr(fd, netip.AddrPortFrom(u.addr.Addr(), port))
	if err == nil {
		err = unix.Connect(fd, to)
	}
	if err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// newConnection returns a connection on fd, which is closed if there is none to
// be had.
func (u *upstream) newConnection(e *engine, fd int) (*connection, error) {
	c := &connection{u: u, fd: fd, ids: map[uint16]*flight{}, waiting: true, active: e.now}
	if err := e.watch(fd, c, unix.EPOLLIN|unix.EPOLLOUT); err != nil {
		unix.Close(fd)
		return nil, err
	}
	e.at(e.now + idleStream)
	return c, nil
}

// send sends the question of f as soon as the connection is open.
func (c *connection) send(e *engine, f *flight) (id uint16) {
	if len(c.ids) == 0 {
		c.active = e.now
	}
	msg := f.asked
	if c.encrypted {
		msg, f.padded = pad(msg)
	}
	id = c.sendMessage(e, msg)
	c.ids[id] = f
	return id
}

func (c *connection) sendMessage(e *engine, msg []byte) (id uint16) {
	id = e.freshID(c.ids)
	at := len(c.out)
	c.out = append(be.AppendUint16(c.out, uint16(len(msg))), msg...)
	be.PutUint16(c.out[at+2:], id)
	c.watch(e)
	e.stats.Sent++
	return id
}

func (c *connection) server() *upstream { return c.u }

func (c *connection) forget(_ *engine, id uint16) { delete(c.ids, id) }

// watch has epoll say when what is queued can be written: at the end of the
// round at the earliest, so that many questions make one segment.
func (c *connection) watch(e *engine) {
	waiting := !c.open || len(c.out) > 0
	if waiting == c.waiting {
		return
	}
	c.waiting = waiting
	events := uint32(unix.EPOLLIN)
	if waiting {
		events |= unix.EPOLLOUT
	}
	e.rewatch(c.fd, events)
}

func (c *connection) ready(e *engine, events uint32) {
	if !c.open {
		if code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			c.fail(e)
			return
		}
		c.open = events&unix.EPOLLOUT != 0
	}
	if events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			c.fail(e)
			return
		}
		c.out = c.out[:copy(c.out, c.out[max(n, 0):])]
	}
	if events&^unix.EPOLLOUT != 0 && !c.read(e) {
		c.fail(e)
		return
	}
	c.watch(e)
}

// read takes in answers and reports whether the connection is of further use.
// e.stream is used.
func (c *connection) read(e *engine) bool {
	have := copy(e.stream, c.in)
	n, err := unix.Read(c.fd, e.stream[have:])
	if err == unix.EAGAIN || err == unix.EINTR {
		return true
	}
	if err != nil || n == 0 {
		return false
	}
	c.active = e.now
	b := e.stream[:have+n]
	for len(b) >= 2 {
		size := int(be.Uint16(b))
		if size < headerLen {
			return false
		}
		if len(b) < 2+size {
			break
		}
		if !c.heard {
			c.heard = true
			c.u.clear = c.u.clear && !c.encrypted
		}
		msg := b[2 : 2+size]
		id := be.Uint16(msg)
		if f := c.ids[id]; f != nil {
			e.replied(f, c, id, msg)
		} else {
			c.u.stranger(e, c, id)
		}
		b = b[2+size:]
	}
	c.in = append(c.in[:0], b...)
	return true
}

// fail closes the connection; whoever waits for an answer asks elsewhere. That
// a server closes one that it has answered all on is no failure of its. Over TLS
// connections are kept, so its end may cross a question's way: that is asked once
// more.
func (c *connection) fail(e *engine) {
	switch c {
	case c.u.connection:
		c.u.connection = nil
	case c.u.secure:
		c.u.secure = nil
	}
	e.drop(c.fd)
	ids := c.ids
	c.ids = map[uint16]*flight{}
	yields := c.yields(e)
	if len(ids) > 0 && !yields {
		c.u.health.failed(e.now)
	}
	for id, f := range ids {
		if yields || c.encrypted && c.heard && !f.again {
			f.again = true
			f.untry(e, c.u)
		}
		e.lost(f, c, id)
	}
}

// tick closes a connection that is not used, or not answered.
func (c *connection) tick(e *engine) {
	if end := c.end(); e.now < end {
		e.at(end)
		return
	}
	c.fail(e)
}

// end is when the connection is given up if nothing comes.
func (c *connection) end() time.Duration {
	switch {
	case len(c.ids) > 0:
		return c.active + deafStream
	case c.encrypted:
		return c.active + idleSecure
	}
	return c.active + idleStream
}

// idle reports whether the connection has been of no use for too long.
func (c *connection) idle(e *engine) bool { return len(c.ids) == 0 && e.now >= c.end() }
