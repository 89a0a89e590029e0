package dhcp4

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/leasefile"
)

const testMAC core.HardwareAddr = "\x02\x00\x00\x00\x00\x01"

var (
	addrOne   = netip.MustParseAddr("10.0.0.5")
	serverOne = netip.MustParseAddr("10.0.0.1")
	serverTwo = netip.MustParseAddr("10.0.0.2")
	epoch     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// sent is a message that a machine sent, decoded.
type sent struct {
	at time.Time
	to netip.Addr // invalid: broadcast
	*dhcpv4.DHCPv4
}

func (s sent) kind() kind { return s.MessageType() }

// answer makes a server's message to s.
func (s sent) answer(k kind, server, address netip.Addr, options ...dhcpv4.Option) []byte {
	r, err := dhcpv4.NewReplyFromRequest(s.DHCPv4)
	if err != nil {
		panic(err)
	}
	r.YourIPAddr = net.IP(address.AsSlice())
	r.UpdateOption(dhcpv4.OptMessageType(k))
	r.UpdateOption(dhcpv4.OptServerIdentifier(net.IP(server.AsSlice())))
	if k != nak {
		r.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)))
	}
	for _, o := range options {
		r.UpdateOption(o)
	}
	return r.ToBytes()
}

func leaseTime(d time.Duration) dhcpv4.Option { return dhcpv4.OptIPAddressLeaseTime(d) }

func rawOption(code uint8, value ...byte) dhcpv4.Option {
	return dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), value)
}

// goodServer offers addrOne and acknowledges it for an hour.
func goodServer(s sent) [][]byte {
	switch s.kind() {
	case discover:
		return [][]byte{s.answer(offer, serverOne, addrOne, leaseTime(time.Hour))}
	case request:
		return [][]byte{s.answer(ack, serverOne, addrOne, leaseTime(time.Hour))}
	}
	return nil
}

func silent(sent) [][]byte { return nil }

// sim runs a machine against a scripted server in virtual time.
type sim struct {
	t       testing.TB
	m       machine
	now     time.Time
	server  func(sent) [][]byte
	sent    []sent
	events  []core.DHCPEvent
	kept    *leasefile.Lease
	refused []error
}

func newSim(t testing.TB, server func(sent) [][]byte) *sim {
	return &sim{t: t, now: epoch, server: server, m: machine{
		id: identity{addr: testMAC, hostname: "box"}, rand: rand.New(rand.NewPCG(1, 2)),
	}}
}

func (s *sim) step(e event) {
	s.t.Helper()
	var answers [][]byte
	for _, a := range s.m.Step(s.now, e) {
		switch a := a.(type) {
		case broadcast:
			answers = append(answers, s.deliver(netip.Addr{}, a.message)...)
		case direct:
			answers = append(answers, s.deliver(a.to, a.message)...)
		case report:
			s.events = append(s.events, a.event)
		case refused:
			s.refused = append(s.refused, a.warnings...)
		case keep:
			s.kept = a.lease
		}
	}
	if w := s.m.wake(); !w.IsZero() && !w.After(s.now) {
		if _, ok := e.(tick); ok {
			s.t.Fatalf("%v: wants a tick at %v after one at %v", s.m.state, w, s.now)
		}
	}
	for _, b := range answers {
		s.hear(b)
	}
}

func (s *sim) deliver(to netip.Addr, message []byte) [][]byte {
	s.t.Helper()
	d, err := dhcpv4.FromBytes(message)
	if err != nil {
		s.t.Fatalf("sent a malformed message: %v", err)
	}
	q := sent{s.now, to, d}
	s.sent = append(s.sent, q)
	return s.server(q)
}

// hear delivers what came over the wire, as the driver does.
func (s *sim) hear(b []byte) {
	s.t.Helper()
	if r, err := parseReply(b); err == nil {
		s.step(received{r})
	}
}

// run lets time pass, at most steps ticks.
func (s *sim) run(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for n := 0; ; n++ {
		if n > 100_000 {
			s.t.Fatal("spins")
		}
		at := s.m.wake()
		if at.IsZero() || at.After(end) {
			s.now = end
			return
		}
		if at.After(s.now) {
			s.now = at
		}
		s.step(tick{})
	}
}

func (s *sim) lease() (core.Lease, bool) {
	if len(s.events) == 0 {
		return core.Lease{}, false
	}
	b, ok := s.events[len(s.events)-1].(core.DHCPBound)
	return b.Lease, ok
}

// wantState fails unless the machine is in the state.
func (s *sim) wantState(want state) {
	s.t.Helper()
	if s.m.state != want {
		s.t.Fatalf("state %v, want %v; events %+v", s.m.state, want, s.events)
	}
}

func (s *sim) count(k kind) (n int) {
	for _, m := range s.sent {
		if m.kind() == k {
			n++
		}
	}
	return n
}

func has[E core.DHCPEvent](s *sim) (n int) {
	for _, e := range s.events {
		if _, ok := e.(E); ok {
			n++
		}
	}
	return n
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// await waits until ok, for things that only a look can tell.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
