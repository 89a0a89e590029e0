package dnsproxy

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/dnstls"
	"net.connman/pkg/netcfg"
)

// A server that is asked over TLS (RFC 7858) gets a connection like one for long
// answers, but that the relay sits in between. One that need not be asked so is
// asked in clear text when it does not answer, and now and then the question
// goes to it over TLS as well, to see whether that works by now: nobody waits
// for it.

const (
	tlsPort    = 853              // RFC 7858, section 3.1
	idleSecure = 20 * time.Second // a connection with nothing asked is kept
	clearTime  = 5 * time.Minute  // between looks whether TLS works
)

// encrypts reports whether the server is asked over TLS.
func (u *upstream) encrypts() bool {
	return u.tls == netcfg.Strict || u.tls == netcfg.Opportunistic && !u.clear
}

// resort has the server asked in clear text for a while.
func (u *upstream) resort(e *engine) {
	if !u.clear {
		u.clear = true
		u.lookAt = e.now + clearTime
	}
}

// lookSecure asks over TLS, too, if it is time to look whether the server has
// that.
func (u *upstream) lookSecure(e *engine, msg []byte) {
	if u.tls != netcfg.Opportunistic || !u.clear || e.now < u.lookAt {
		return
	}
	u.lookAt = e.now + clearTime
	if c := u.openSecure(e); c != nil {
		c.sendMessage(e, msg)
	}
}

// openSecure returns the connection to the server inside TLS, nil if there is
// none to be had. Nothing need be at its other end yet.
func (u *upstream) openSecure(e *engine) *connection {
	if c := u.secure; c != nil && c.idle(e) {
		c.fail(e) // the machine slept, so that tick has not come
	}
	if u.secure == nil {
		stream, err := u.encrypt(e)
		if err == nil {
			u.secure, err = u.newConnection(e, stream)
		}
		if err != nil {
			e.complain(u, err)
			return nil
		}
		u.secure.encrypted = true
	}
	return u.secure
}

// encrypt returns our end of a stream to the server by way of the relay.
func (u *upstream) encrypt(e *engine) (stream int, err error) {
	server, err := u.dial(tlsPort)
	if err != nil {
		return -1, err
	}
	defer unix.Close(server)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pair[1])
	err = e.relay.Carry(server, pair[1], dnstls.Peer{
		Addr: u.addr.Addr(), Link: u.link, Name: u.name, Strict: u.tls == netcfg.Strict,
	})
	if err != nil {
		unix.Close(pair[0])
		return -1, err
	}
	return pair[0], nil
}

// patience is how long to wait for an answer before asking elsewhere: a
// handshake takes several ways there and back.
func (u *upstream) patience() time.Duration {
	if c := u.secure; c != nil && !c.heard && u.encrypts() {
		return maxPatience
	}
	return u.health.patience()
}

// padBlock is what lengths of questions are multiples of (RFC 8467, section 4.1).
const padBlock = 128

// pad returns msg with an EDNS option that makes it as long as many others, and
// whether it could (RFC 7830). What servers say of the option is not for clients,
// most of whom have not heard of EDNS.
func pad(msg []byte) ([]byte, bool) {
	var q query
	if parseQuery(msg, &q) != serve || q.solo || q.padded {
		return msg, false
	}
	msg = slices.Clone(msg)
	at := q.options
	if !q.edns {
		msg = appendOPT(msg, &q)
		at = len(msg) - 2
	}
	size := (padBlock - (len(msg)+4)%padBlock) % padBlock
	be.PutUint16(msg[at:], be.Uint16(msg[at:])+uint16(4+size))
	msg = be.AppendUint16(be.AppendUint16(msg, optionPadding), uint16(size))
	return append(msg, make([]byte, size)...), true
}

// yields reports whether what is asked on c is to be asked in clear text, as c
// has led nowhere, and sees to that.
func (c *connection) yields(e *engine) bool {
	if !c.encrypted || c.heard || c.u.tls != netcfg.Opportunistic {
		return false
	}
	c.u.resort(e)
	return true
}
