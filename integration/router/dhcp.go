package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

// Server is the DHCPv4 server (RFC 2131).
type Server struct {
	config Config
	conn   *net.UDPConn
	wire   wire
	done   chan struct{}
	// leases, former and taken belong to the server's goroutine.
	leases map[string]netip.Addr // by hardware address
	former map[string]netip.Addr // likewise, also of those who gave theirs back
	taken  map[netip.Addr]bool   // leased or declined

	mu      sync.Mutex // guards heard and changed
	heard   []*dhcpv4.DHCPv4
	changed chan struct{}
}

// backlog is how many bytes of requests may wait: those of a thousand clients at
// once, on a machine that has other work.
const backlog = 4 << 20

var (
	serverPort = uint16(dhcpv4.ServerPort)
	clientPort = uint16(dhcpv4.ClientPort)
	broadcast  = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

func startDHCP(config Config) (*Server, error) {
	link, err := net.InterfaceByName(config.Interface)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:  config,
		done:    make(chan struct{}),
		leases:  map[string]netip.Addr{},
		former:  map[string]netip.Addr{},
		taken:   map[netip.Addr]bool{},
		changed: make(chan struct{}),
	}
	if s.conn, err = listen(config.Interface); err != nil {
		return nil, err
	}
	if err := s.conn.SetReadBuffer(backlog); err != nil {
		s.conn.Close()
		return nil, err
	}
	if s.wire, err = openWire(link.Index); err != nil {
		s.conn.Close()
		return nil, err
	}
	go s.serve()
	return s, nil
}

// listen opens the server's port on one interface only, so that two servers
// may serve two networks of one host.
func listen(device string) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		control := raw.Control(func(fd uintptr) {
			err = errors.Join(unix.BindToDevice(int(fd), device),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
		})
		return errors.Join(control, err)
	}}
	conn, err := config.ListenPacket(context.Background(), "udp4", fmt.Sprintf(":%d", serverPort))
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

func (s *Server) close() error {
	err := s.conn.Close()
	<-s.done
	return errors.Join(err, s.wire.close())
}

func (s *Server) serve() {
	defer close(s.done)
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := s.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return // closed
		}
		request, err := dhcpv4.FromBytes(buffer[:n])
		if err != nil || request.OpCode != dhcpv4.OpcodeBootRequest {
			continue
		}
		reply := s.reply(request)
		if s.config.Answer != nil {
			reply = s.config.Answer(request, reply)
		}
		if reply != nil {
			// A client that is gone by now misses nothing.
			_ = s.Send(request, reply.ToBytes())
		}
		s.note(request)
	}
}

// Send sends a payload, well-formed or not, to where an answer to request
// belongs.
func (s *Server) Send(request *dhcpv4.DHCPv4, payload []byte) error {
	from := netip.AddrPortFrom(s.config.Address.Addr(), serverPort)
	if client, ok := netip.AddrFromSlice(request.ClientIPAddr.To4()); ok && !client.IsUnspecified() {
		return s.wire.send(request.ClientHWAddr, datagram(from, netip.AddrPortFrom(client, clientPort), payload))
	}
	target := request.ClientHWAddr
	if request.IsBroadcast() {
		target = broadcast
	}
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), clientPort)
	return s.wire.send(target, datagram(from, to, payload))
}

func (s *Server) note(request *dhcpv4.DHCPv4) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, request)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Heard returns every request so far, oldest first.
func (s *Server) Heard() []*dhcpv4.DHCPv4 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*dhcpv4.DHCPv4(nil), s.heard...)
}

// Wait returns the first request from position from on that match accepts, as
// soon as it has been answered.
func (s *Server) Wait(ctx context.Context, from int, match func(*dhcpv4.DHCPv4) bool) (*dhcpv4.DHCPv4, error) {
	for {
		s.mu.Lock()
		fresh, changed := s.heard[min(from, len(s.heard)):], s.changed
		s.mu.Unlock()
		for _, request := range fresh {
			from++
			if match(request) {
				return request, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("no such DHCP request: %w", ctx.Err())
		}
	}
}

// reply decides what an honest server says.
func (s *Server) reply(request *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	client := request.ClientHWAddr.String()
	if named := request.ServerIdentifier(); named != nil && !named.Equal(s.config.Address.Addr().AsSlice()) {
		s.release(client) // it chose another server
		return nil
	}
	switch request.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		if address, ok := s.pick(client); ok {
			return s.grant(request, dhcpv4.MessageTypeOffer, address)
		}
	case dhcpv4.MessageTypeRequest:
		return s.confirm(request)
	case dhcpv4.MessageTypeInform:
		return s.grant(request, dhcpv4.MessageTypeAck, netip.Addr{})
	case dhcpv4.MessageTypeDecline:
		delete(s.leases, client) // and nobody gets it any more
	case dhcpv4.MessageTypeRelease:
		s.release(client)
	}
	return nil
}

// confirm answers a REQUEST in each of the client's states (RFC 2131, 4.3.2).
func (s *Server) confirm(request *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	wanted, ok := netip.AddrFromSlice(request.RequestedIPAddress().To4())
	if !ok {
		wanted, ok = netip.AddrFromSlice(request.ClientIPAddr.To4())
	}
	address, free := s.pick(request.ClientHWAddr.String())
	if !ok || !free || wanted != address {
		return s.answer(request, dhcpv4.MessageTypeNak)
	}
	return s.grant(request, dhcpv4.MessageTypeAck, address)
}

// pick returns the client's address, or reserves one: that which it had before,
// otherwise the first that is free.
func (s *Server) pick(client string) (netip.Addr, bool) {
	if address, ok := s.leases[client]; ok {
		return address, true
	}
	if address, ok := s.former[client]; ok && !s.taken[address] {
		return s.lease(client, address), true
	}
	address := s.config.First
	for range s.config.Count {
		if !s.taken[address] {
			return s.lease(client, address), true
		}
		address = address.Next()
	}
	return netip.Addr{}, false
}

func (s *Server) lease(client string, address netip.Addr) netip.Addr {
	s.leases[client], s.former[client], s.taken[address] = address, address, true
	return address
}

func (s *Server) release(client string) {
	delete(s.taken, s.leases[client])
	delete(s.leases, client)
}

// answer makes a message of the given type without an address in it.
func (s *Server) answer(request *dhcpv4.DHCPv4, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	modifiers := append([]dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithServerIP(net.IPv4zero),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(s.config.Address.Addr().AsSlice())),
	}, more...)
	// It fails only for a request that is none; serve has looked at that.
	reply, _ := dhcpv4.NewReplyFromRequest(request, modifiers...)
	return reply
}

// grant makes an OFFER or ACK with everything that a home router tells.
func (s *Server) grant(request *dhcpv4.DHCPv4, kind dhcpv4.MessageType, address netip.Addr) *dhcpv4.DHCPv4 {
	router := net.IP(s.config.Address.Addr().AsSlice())
	modifiers := []dhcpv4.Modifier{
		dhcpv4.WithNetmask(net.CIDRMask(s.config.Address.Bits(), 32)),
		dhcpv4.WithRouter(router),
		dhcpv4.WithDNS(router),
	}
	if address.IsValid() {
		modifiers = append(modifiers, dhcpv4.WithYourIP(address.AsSlice()),
			dhcpv4.WithLeaseTime(uint32(s.config.Lease/time.Second)))
	}
	if s.config.Domain != "" {
		modifiers = append(modifiers, dhcpv4.WithOption(dhcpv4.OptDomainName(s.config.Domain)))
	}
	return s.answer(request, kind, modifiers...)
}
