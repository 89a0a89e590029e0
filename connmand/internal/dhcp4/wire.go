package dhcp4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/rawsock"
	"net.connman/pkg/loop"
)

// inbound is a server's message that arrived on a link.
type inbound struct {
	link  int
	reply reply
}

// wire carries messages. Nothing in it waits.
type wire interface {
	// listen begins to receive on all links; handle is called on the loop.
	listen(handle func([]inbound)) error
	// silence ends it.
	silence()
	// broadcast sends to all servers on the link. It needs listen, until sent
	// is called on the loop.
	broadcast(link core.Link, message []byte, sent func(error))
	// bind takes the client port of an address of the link, for direct.
	bind(link core.Link, address netip.Addr) (port, error)
}

// port is a bound client port.
type port interface {
	send(to netip.Addr, message []byte) error
	close()
}

// packetWire is the real one.
type packetWire struct {
	loop   *loop.Loop
	log    *slog.Logger
	keeper rawsock.Keeper[inbound]
	socket *rawsock.Socket
	sends  *loop.Queue
	// stations holds who asks on which link, core.HardwareAddr by index. The
	// socket's goroutine looks into it.
	stations sync.Map
}

func (w *packetWire) listen(handle func([]inbound)) error {
	s, err := w.keeper.Listen(w.loop, w.log, rawsock.Protocol{
		Name: "DHCPv4", EtherType: unix.ETH_P_IP, Filter: rawsock.UDPFilter(clientPort),
	}, w.parse, handle)
	if err != nil {
		return err
	}
	w.socket = s
	return nil
}

func (w *packetWire) silence() { w.keeper.Release() }

// parse is the door: everything a server says passes here. What it says to
// other stations is not looked into any further: each of hundreds of links at
// one switch hears all that is broadcast to the others.
func (w *packetWire) parse(p rawsock.Packet) (inbound, error) {
	u, err := rawsock.ParseUDP(p)
	if err != nil {
		return inbound{}, err
	}
	if own, known := w.stations.Load(p.Link); known && !isFor(own.(core.HardwareAddr), u.Payload) {
		return inbound{}, rawsock.ErrNotOurs
	}
	r, err := parseReply(bytes.Clone(u.Payload))
	if err != nil {
		return inbound{}, err
	}
	return inbound{p.Link, r}, nil
}

// isFor reports whether a message is for a station, or too short to tell
// (RFC 2131, 2: chaddr).
func isFor(station core.HardwareAddr, message []byte) bool {
	const chaddr = 28
	end := chaddr + len(station)
	return len(message) < end || string(message[chaddr:end]) == string(station)
}

// broadcast sends off the loop: where the link leads to other links of this
// machine the kernel carries the packet all the way before it returns.
func (w *packetWire) broadcast(link core.Link, message []byte, sent func(error)) {
	socket := w.socket
	w.stations.Store(link.Index, link.Addr)
	loop.GoIn(w.sends, "send DHCPv4", func(context.Context) (struct{}, error) {
		return struct{}{}, socket.Send(link.Index, rawsock.Broadcast, rawsock.AppendUDP(nil, rawsock.UDP{
			Source:      netip.AddrPortFrom(netip.IPv4Unspecified(), clientPort),
			Destination: netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), serverPort),
			Payload:     message,
		}))
	}, func(_ struct{}, err error) { sent(err) })
}

// udpPort is an ordinary socket for what goes to a server directly, which may
// be behind routers. Answers are read from the packet socket like all others;
// the port is held so that the kernel does not refuse them.
type udpPort struct{ fd int }

func (w *packetWire) bind(link core.Link, address netip.Addr) (port, error) {
	w.stations.Store(link.Index, link.Addr)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open a socket on %s: %w", link.Name, err)
	}
	nothing, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err == nil {
		in := nothing[0]
		err = errors.Join(
			unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
				&unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}}),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, link.Index),
			unix.Bind(fd, &unix.SockaddrInet4{Port: clientPort, Addr: address.As4()}),
		)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot bind to %s on %s: %w", address, link.Name, err)
	}
	return udpPort{fd}, nil
}

func (p udpPort) send(to netip.Addr, message []byte) error {
	if err := unix.Sendto(p.fd, message, 0, &unix.SockaddrInet4{Port: serverPort, Addr: to.As4()}); err != nil {
		return fmt.Errorf("cannot send to %s: %w", to, err)
	}
	return nil
}

func (p udpPort) close() { unix.Close(p.fd) }
