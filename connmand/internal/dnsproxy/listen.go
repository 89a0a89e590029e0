package dnsproxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// listener serves clients on one address.
type listener struct {
	udp, tcp int
	clients  []netip.Prefix
	accept   acceptor
	eager    int // see more
}

const (
	receiveBuffer = 1 << 20 // bytes of datagrams that wait in the kernel
	backlog       = 256
	// A connection is not seen before its first query, or so many seconds.
	deferAccept = 5
)

// openListener binds both sockets. They are not served yet.
func openListener(addr netip.AddrPort, link string, clients []netip.Prefix) (*listener, error) {
	ip := addr.Addr().Unmap()
	addr = netip.AddrPortFrom(ip, addr.Port())
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() {
		return nil, errors.New("not the address of one interface")
	}
	l := &listener{clients: slices.Clone(clients), udp: -1, tcp: -1}
	if len(clients) == 0 {
		l.clients = append(l.clients, netip.PrefixFrom(ip.WithZone(""), ip.BitLen()),
			netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	l.accept.listener = l
	var err error
	if l.udp, err = bound(addr, link, unix.SOCK_DGRAM); err != nil {
		return nil, portError(err, "udp", addr)
	}
	unix.SetsockoptInt(l.udp, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	l.tcp, err = bound(addr, link, unix.SOCK_STREAM)
	if err == nil {
		err = unix.Listen(l.tcp, backlog)
	}
	if err != nil {
		l.close()
		return nil, portError(err, "tcp", addr)
	}
	return l, nil
}

func portError(err error, protocol string, addr netip.AddrPort) error {
	if err == unix.EADDRINUSE {
		if who := portHolder(protocol, addr); who != "" {
			return fmt.Errorf("the port belongs to %s: %w", who, err)
		}
	}
	return err
}

// bound returns a socket bound to addr.
func bound(addr netip.AddrPort, link string, kind int) (fd int, err error) {
	fd, err = newSocket(addr.Addr(), link, kind)
	if err != nil {
		return -1, err
	}
	if kind == unix.SOCK_STREAM {
		// Connections of an earlier run may linger. Sockets that are accepted
		// inherit the rest.
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferAccept)
	}
	to, err := kernelAddr(fd, addr)
	if err == nil {
		err = unix.Bind(fd, to)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// newSocket returns a socket for peers in the family of ip, bound to link
// unless that is "".
func newSocket(ip netip.Addr, link string, kind int) (fd int, err error) {
	family := unix.AF_INET
	if ip.Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if ip.Is6() {
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if link != "" {
		if err := unix.BindToDevice(fd, link); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("cannot bind to %s: %w", link, err)
		}
	}
	return fd, nil
}

// kernelAddr converts an address for fd. A zone has to be the name of a link.
func kernelAddr(fd int, a netip.AddrPort) (unix.Sockaddr, error) {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}, nil
	}
	to := &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	if zone := a.Addr().Zone(); zone != "" {
		link, err := unix.NewIfreq(zone)
		if err == nil {
			err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, link)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot find link %s: %w", zone, err)
		}
		to.ZoneId = link.Uint32()
	}
	return to, nil
}

func (l *listener) close() {
	for _, fd := range []int{l.udp, l.tcp} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// allows reports whether the peer at a may be served.
func (l *listener) allows(a *sockaddr) bool {
	var ip netip.Addr
	if a.family() == unix.AF_INET {
		ip = netip.AddrFrom4([4]byte(a[4:8]))
	} else {
		ip = netip.AddrFrom16([16]byte(a[8:24]))
	}
	for i := range l.clients {
		if l.clients[i].Contains(ip) {
			return true
		}
	}
	return false
}

func (e *engine) addListener(l *listener) error {
	err := e.watch(l.udp, l, unix.EPOLLIN)
	if err == nil {
		err = e.watch(l.tcp, &l.accept, unix.EPOLLIN)
	}
	if err == nil {
		e.listeners[l] = true
	}
	return err
}

// removeListener closes a listener and its connections.
func (e *engine) removeListener(l *listener) {
	if !e.listeners[l] {
		return
	}
	delete(e.listeners, l)
	e.flush()
	e.drop(l.udp)
	e.drop(l.tcp)
	l.udp, l.tcp = -1, -1
	for c := range e.clients.conns {
		if c.listener == l {
			c.close(e)
		}
	}
}

// maxRounds keeps one busy socket from making others wait.
const maxRounds = 8

// ready answers the datagrams that wait.
func (l *listener) ready(e *engine, _ uint32) {
	for round := range maxRounds {
		n, err := e.in.receive(l.udp)
		if round > 0 {
			l.found(err == nil)
		}
		if err != nil {
			return
		}
		for i := range n {
			if !l.allows(&e.in.addrs[i]) {
				e.stats.Refused++
				continue
			}
			e.serve(client{udp: l, addr: &e.in.addrs[i]}, e.in.message(i))
		}
		if n < batch {
			if !l.more() {
				return
			}
			e.asks.flush(e)
			e.replies.flush(e)
		}
	}
}

// Clients that ask on when they are answered may have done so by the time that
// all are: to look at once is a system call less than to wait for it first. It
// is one more where there is nothing, so then it is seldom tried.
const (
	hopeful = 8   // times to try after it was right
	seldom  = -64 // every so often otherwise
)

// more reports whether to answer those that wait and look for more at once.
func (l *listener) more() bool {
	if l.eager > 0 {
		return true
	}
	if l.eager--; l.eager == seldom {
		l.eager = 1
	}
	return false
}

// found notes whether it was right to look.
func (l *listener) found(some bool) {
	if some {
		l.eager = hopeful
	} else {
		l.eager--
	}
}
