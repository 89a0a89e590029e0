package dnsproxy

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/pkg/netcfg"
)

// upstream is a server, as it is reached by one link.
//
// A question goes out from a socket chosen at random among a few, each on a
// port that the kernel chose at random. Sockets are connected: the kernel drops
// what does not come from the server's own address and port. None lives for
// long, and none is used for many questions, so that finding a port by trying
// comes too late. So an answer has to guess 16 bits of id and some 15 of port,
// as if each question had a socket of its own; all that is saved is the
// system calls. Questions of one round share a socket: they are about
// different names, since the same name is never asked twice at a time.
type upstream struct {
	target
	health     health
	sockets    [poolSize]*socket
	retired    map[*socket]bool // wait for their last answers
	chosen     *socket          // of this round
	round      uint64
	connection *connection   // nil if there is none
	secure     *connection   // … over TLS
	clear      bool          // TLS did not work, so it is done without …
	lookAt     time.Duration // … and looked again then
	// looking is the last question to the server while it was dead: whatever it
	// answers, it is back.
	looking struct {
		via  carrier
		id   uint16
		sent time.Duration
	}
}

const (
	poolSize   = 8
	socketUses = 512
	socketLife = 5 * time.Second
	idleStream = 3 * time.Second // a connection with nothing asked is kept
	deafStream = 5 * time.Second // a connection with nothing heard is given up
)

// socket is a UDP socket connected to a server.
type socket struct {
	u       *upstream
	fd      int
	ids     map[uint16]*flight
	uses    int
	born    time.Duration
	broken  bool
	retired bool
}

// openSocket returns a socket to ask by, nil if there is none to be had.
func (u *upstream) openSocket(e *engine) *socket {
	if s := u.chosen; s != nil && u.round == e.round && s.uses < socketUses && !s.retired {
		return s
	}
	slot := &u.sockets[e.random.Uint64()%poolSize]
	if s := *slot; s != nil && (s.uses >= socketUses || e.now-s.born >= socketLife) {
		s.retire(e)
	}
	if *slot == nil {
		*slot = u.newSocket(e)
	}
	u.chosen, u.round = *slot, e.round
	return *slot
}

func (u *upstream) newSocket(e *engine) *socket {
	fd, err := newSocket(u.addr.Addr(), u.link, unix.SOCK_DGRAM)
	if err != nil {
		e.complain(u, err)
		return nil
	}
	s := &socket{u: u, fd: fd, ids: map[uint16]*flight{}, born: e.now}
	to, err := kernelAddr(fd, u.addr)
	if err == nil {
		err = unix.Connect(fd, to) // binds to a random port, too
	}
	if err == nil {
		err = e.watch(fd, s, unix.EPOLLIN)
	}
	if err != nil {
		unix.Close(fd)
		e.complain(u, err)
		return nil
	}
	e.at(e.now + socketLife)
	return s
}

// complain says why a server cannot be asked.
func (e *engine) complain(u *upstream, err error) {
	e.log.Debug("cannot ask a name server", "server", u.addr, "link", u.link, "error", err)
}

// send sends the question of f.
func (s *socket) send(e *engine, f *flight) (id uint16) {
	id = s.sendMessage(e, f.asked)
	s.ids[id] = f
	return id
}

func (s *socket) sendMessage(e *engine, msg []byte) (id uint16) {
	id = e.freshID(s.ids)
	s.uses++
	msg = append(e.asks.room(e), msg...)
	be.PutUint16(msg, id)
	e.asks.add(s.fd, nil, msg)
	e.stats.Sent++
	return id
}

// carrier returns what to ask the server by, nil if there is nothing to be had.
func (u *upstream) carrier(e *engine, stream bool) carrier {
	if u.encrypts() {
		if c := u.openSecure(e); c != nil {
			return c
		}
		if u.tls == netcfg.Strict {
			return nil
		}
		u.resort(e)
	}
	if stream {
		if c := u.openConnection(e); c != nil {
			return c
		}
	} else if s := u.openSocket(e); s != nil {
		return s
	}
	return nil
}

// look asks a dead server whether it is back.
func (u *upstream) look(e *engine, msg []byte) {
	if via := u.carrier(e, false); via != nil {
		u.looking.via, u.looking.id, u.looking.sent = via, via.sendMessage(e, msg), e.now
	}
}

// stranger handles a reply that no question asked for.
func (u *upstream) stranger(e *engine, via carrier, id uint16) {
	if look := &u.looking; look.via == via && look.id == id && u.health.dead() {
		u.health.answered(e.now - look.sent)
		return
	}
	e.stats.Unexpected++
}

func (s *socket) server() *upstream { return s.u }

func (s *socket) forget(e *engine, id uint16) {
	delete(s.ids, id)
	switch {
	case s.retired && len(s.ids) == 0:
		s.close(e)
	case !s.retired && s.uses >= socketUses:
		e.worn = append(e.worn, s)
	}
}

// renew replaces sockets that were used enough. It is done when all answers are
// sent, so that the next question need not wait for it.
func (e *engine) renew() {
	for _, s := range e.worn {
		if i := slices.Index(s.u.sockets[:], s); i >= 0 {
			s.retire(e)
			s.u.sockets[i] = s.u.newSocket(e)
		}
	}
	e.worn = e.worn[:0]
}

// retire takes the socket out of use; it is closed with its last answer.
func (s *socket) retire(e *engine) {
	for i, o := range s.u.sockets {
		if o == s {
			s.u.sockets[i] = nil
		}
	}
	s.retired = true
	if len(s.ids) == 0 {
		s.close(e)
	} else {
		s.u.retired[s] = true
	}
}

func (s *socket) close(e *engine) {
	delete(s.u.retired, s)
	if s.fd >= 0 {
		if slices.Contains(e.asks.fds[:e.asks.n], s.fd) {
			e.asks.flush(e)
		}
		e.drop(s.fd)
		s.fd = -1
	}
}

// ready takes in answers.
func (s *socket) ready(e *engine, _ uint32) {
	n, err := e.heard.receive(s.fd)
	if err != nil {
		if err != unix.EAGAIN {
			s.fail(e)
		}
		return
	}
	for i := range n {
		s.take(e, e.heard.message(i))
		if s.fd < 0 {
			return
		}
	}
}

// take handles what came from the server.
func (s *socket) take(e *engine, msg []byte) {
	if len(msg) < headerLen {
		e.stats.Unexpected++
		return
	}
	id := be.Uint16(msg)
	if f := s.ids[id]; f != nil {
		e.replied(f, s, id, msg)
	} else {
		s.u.stranger(e, s, id)
	}
}

// fail handles that the kernel says the server cannot be reached.
func (s *socket) fail(e *engine) {
	s.u.health.failed(e.now)
	ids := s.ids
	s.ids = map[uint16]*flight{}
	s.broken = false
	s.retire(e)
	for id, f := range ids {
		e.lost(f, s, id)
	}
}

// sendFailed notes that a socket could not send. It must not change what is
// being sent just now.
func sendFailed(e *engine, fd int, _ error) {
	if s, ok := e.slots[fd].handler.(*socket); ok {
		s.broken = true
		e.at(e.now)
	}
}

// tick gives up what broke or is too old.
func (u *upstream) tick(e *engine) {
	for _, s := range u.sockets {
		switch {
		case s == nil:
		case s.broken:
			s.fail(e)
		case e.now < s.born+socketLife:
			e.at(s.born + socketLife)
		default:
			s.retire(e)
		}
	}
	for s := range u.retired {
		if s.broken {
			s.fail(e)
		}
	}
	for _, c := range []*connection{u.connection, u.secure} {
		if c != nil {
			c.tick(e)
		}
	}
}

// close closes all sockets; whoever waits for an answer asks elsewhere.
func (u *upstream) close(e *engine) {
	for _, s := range u.sockets {
		if s != nil {
			s.fail(e)
		}
	}
	for s := range u.retired {
		s.fail(e)
	}
	for _, c := range []*connection{u.connection, u.secure} {
		if c != nil {
			c.fail(e)
		}
	}
}
