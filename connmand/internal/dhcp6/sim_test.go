package dhcp6

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"net.connman/connmand/internal/core"
)

const (
	testMAC core.HardwareAddr = "\x02\x00\x00\x00\x00\x01"

	serverOne core.DUID = "\x00\x03\x00\x01\x02\x00\x00\x00\x00\xaa"
	serverTwo core.DUID = "\x00\x03\x00\x01\x02\x00\x00\x00\x00\xbb"
)

var (
	epoch    = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	testDUID = core.NewDUID(testMAC, epoch)
	testID   = identity{duid: testDUID, iaid: iaidOf(testMAC)}

	addrOne = netip.MustParseAddr("2001:db8::50")
	addrTwo = netip.MustParseAddr("2001:db8::51")
)

// sent is a message that a machine sent, decoded by other code than ours.
type sent struct {
	at time.Time
	*dhcpv6.Message
}

func (s sent) kind() kind { return kind(s.MessageType) }

func (s sent) xid() uint32 {
	id := s.TransactionID
	return uint32(id[0])<<16 | uint32(id[1])<<8 | uint32(id[2])
}

// server is whom the message is meant for; "": all.
func (s sent) server() core.DUID {
	if id := s.Options.ServerID(); id != nil {
		return core.DUID(id.ToBytes())
	}
	return ""
}

// addresses are those of the association.
func (s sent) addresses() (list []netip.Addr) {
	if ia := s.Options.OneIANA(); ia != nil {
		for _, a := range ia.Options.Addresses() {
			list = append(list, netip.AddrFrom16([16]byte(a.IPv6Addr)))
		}
	}
	return list
}

// answer makes a server's message to s.
func (s sent) answer(k kind, server core.DUID, addresses ...given) []byte {
	return appendReply(k, s.xid(), testDUID, server, testID.iaid, addresses...)
}

// refuse makes a server's message to s with a status in the association.
func (s sent) refuse(server core.DUID, why status) []byte {
	ia := appendOption(associationBytes(testID.iaid, 0, 0), optStatus, statusBytes(why)...)
	return appendOption(s.answer(response, server), optIANA, ia...)
}

func hour(a netip.Addr) given { return give(a, 1800, 3600) }

// goodServer gives addrOne for an hour and confirms and renews it.
func goodServer(s sent) [][]byte {
	switch s.kind() {
	case solicit:
		return [][]byte{s.answer(advertise, serverOne, hour(addrOne))}
	case request, renew, rebind:
		return [][]byte{s.answer(response, serverOne, hour(addrOne))}
	case confirm, decline, release, information:
		return [][]byte{s.answer(response, serverOne)}
	}
	return nil
}

// rapidServer gives addrOne at once.
func rapidServer(s sent) [][]byte {
	if s.kind() == solicit {
		return [][]byte{appendOption(s.answer(response, serverOne, hour(addrOne)), optRapidCommit)}
	}
	return goodServer(s)
}

func silent(sent) [][]byte { return nil }

// sim runs a machine against a scripted server in virtual time.
type sim struct {
	t       testing.TB
	m       machine
	now     time.Time
	server  func(sent) [][]byte
	sent    []sent
	events  []core.DHCP6Event
	kept    *lease
	refused []error
}

func newSim(t testing.TB, server func(sent) [][]byte) *sim {
	return &sim{t: t, now: epoch, server: server, m: machine{
		id: testID, wants: wishes{addresses: true}, zone: "eth0", rand: rand.New(rand.NewPCG(1, 2)),
	}}
}

func (s *sim) step(e event) {
	s.t.Helper()
	var answers [][]byte
	for _, a := range s.m.Step(s.now, e) {
		switch a := a.(type) {
		case send:
			m, err := dhcpv6.MessageFromBytes(a.message)
			if err != nil {
				s.t.Fatalf("sent a malformed message: %v", err)
			}
			q := sent{s.now, m}
			s.sent = append(s.sent, q)
			answers = append(answers, s.server(q)...)
		case report:
			s.events = append(s.events, a.event)
		case refused:
			s.refused = append(s.refused, a.warnings...)
		case keep:
			s.kept = a.lease
		}
	}
	if w := s.m.wake(); !w.IsZero() && !w.After(s.now) {
		if _, ok := e.(tick); ok && s.m.state != bound {
			s.t.Fatalf("%v: wants a tick at %v after one at %v", s.m.state, w, s.now)
		}
	}
	for _, b := range answers {
		s.hear(b)
	}
}

// hear delivers what came over the wire, as the driver does.
func (s *sim) hear(b []byte) {
	s.t.Helper()
	if r, err := parseReply(b); err == nil {
		s.step(received{r})
	}
}

// run lets time pass, at most so many ticks.
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

// lease is the last report, if that was one.
func (s *sim) lease() (core.Lease6, bool) {
	if len(s.events) == 0 {
		return core.Lease6{}, false
	}
	b, ok := s.events[len(s.events)-1].(core.DHCP6Bound)
	return b.Lease, ok
}

// wantLease fails unless the last report was a lease of just these addresses.
func (s *sim) wantLease(want ...netip.Addr) {
	s.t.Helper()
	l, ok := s.lease()
	var got []netip.Addr
	for _, a := range l.Addresses {
		got = append(got, a.Address)
	}
	if !ok || !slices.Equal(got, want) {
		s.t.Fatalf("lease of %v, want %v; events %+v", got, want, s.events)
	}
}

func (s *sim) wantState(want state) {
	s.t.Helper()
	if s.m.state != want {
		s.t.Fatalf("state %v, want %v; events %+v", s.m.state, want, s.events)
	}
}

// kinds are what was sent, in order.
func (s *sim) kinds() (list []kind) {
	for _, m := range s.sent {
		list = append(list, m.kind())
	}
	return list
}

func (s *sim) wantKinds(want ...kind) {
	s.t.Helper()
	if got := s.kinds(); !slices.Equal(got, want) {
		s.t.Fatalf("sent %v, want %v", got, want)
	}
}

func (s *sim) last() sent { return s.sent[len(s.sent)-1] }

func has[E core.DHCP6Event](s *sim) (n int) {
	for _, e := range s.events {
		if _, ok := e.(E); ok {
			n++
		}
	}
	return n
}
