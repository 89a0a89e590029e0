package acd

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"net.connman/connmand/internal/core"
)

const (
	self  core.HardwareAddr = "\x02\x00\x00\x00\x00\x01"
	other core.HardwareAddr = "\x02\x00\x00\x00\x00\x02"
)

var (
	address = netip.MustParseAddr("10.0.0.5")
	zero    = netip.IPv4Unspecified()
	epoch   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// sim runs a machine in virtual time.
type sim struct {
	m      machine
	now    time.Time
	sent   []sentARP
	events []core.ConflictEvent
}

type sentARP struct {
	at time.Time
	arp
}

func newSim(seed uint64) *sim {
	return &sim{now: epoch, m: machine{self: self, address: address, rand: rand.New(rand.NewPCG(seed, 0))}}
}

func (s *sim) step(e event) {
	for _, a := range s.m.Step(s.now, e) {
		switch a := a.(type) {
		case send:
			s.sent = append(s.sent, sentARP{s.now, a.arp})
		case report:
			s.events = append(s.events, a.event)
		}
	}
}

func (s *sim) run(d time.Duration) {
	end := s.now.Add(d)
	for !s.m.next.IsZero() && !s.m.next.After(end) {
		s.now = s.m.next
		s.step(tick{})
	}
	s.now = end
}

// freeSim runs a machine until its address is free.
func freeSim(t *testing.T) *sim {
	t.Helper()
	s := newSim(1)
	s.step(begin{})
	s.run(30 * time.Second)
	if s.m.state != defending {
		t.Fatalf("state %v", s.m.state)
	}
	s.sent, s.events = nil, nil
	return s
}

// RFC 5227, 2.1.1 and 2.3.
func TestProbesAndAnnouncements(t *testing.T) {
	for seed := range uint64(200) {
		s := newSim(seed)
		s.step(begin{})
		s.run(time.Hour)
		if len(s.sent) != probeNum+announceNum || len(s.events) != 1 {
			t.Fatalf("%d packets, events %v", len(s.sent), s.events)
		}
		if _, ok := s.events[0].(core.AddressFree); !ok {
			t.Fatalf("events %v", s.events)
		}
		last := epoch
		for i, p := range s.sent {
			least, most := probeMin, probeMax
			switch i {
			case 0:
				least, most = 0, probeWait
			case 3, 4:
				least, most = announceWait, announceWait
			}
			if gap := p.at.Sub(last); gap < least || gap > most {
				t.Fatalf("packet %d after %v", i, gap)
			}
			last = p.at
			wantSender := zero
			if i >= probeNum {
				wantSender = address
			}
			if p.sender != self || p.senderIP != wantSender || p.targetIP != address {
				t.Fatalf("packet %d is %+v", i, p.arp)
			}
		}
	}
}

func TestConflictWhileProbing(t *testing.T) {
	for _, c := range []struct {
		name  string
		arp   arp
		taken bool
	}{
		{"used", arp{other, address, zero}, true},
		{"used, asking for another", arp{other, address, netip.MustParseAddr("10.0.0.9")}, true},
		{"probed by another", arp{other, zero, address}, true},
		{"our own probe come back", arp{self, zero, address}, false},
		{"asked for by another", arp{other, netip.MustParseAddr("10.0.0.9"), address}, false},
		{"another address", arp{other, netip.MustParseAddr("10.0.0.9"), zero}, false},
	} {
		s := newSim(1)
		s.step(begin{})
		s.run(1500 * time.Millisecond)
		s.step(heard{c.arp})
		s.run(time.Hour)
		taken, ok := s.events[0].(core.AddressTaken)
		if ok != c.taken || len(s.events) != 1 {
			t.Errorf("%s: events %+v", c.name, s.events)
		}
		if ok && (taken.Conflict.Address != address || taken.Conflict.Holder != other || s.m.state != ended || len(s.sent) > 2) {
			t.Errorf("%s: %+v, %v, %d packets", c.name, taken, s.m.state, len(s.sent))
		}
	}
}

// RFC 5227, 2.4: defended once, given up to an insistent rival.
func TestDefence(t *testing.T) {
	conflict := heard{arp{other, address, address}}
	s := freeSim(t)
	s.step(conflict)
	if len(s.sent) != 1 || s.sent[0].senderIP != address || len(s.events) != 0 {
		t.Fatalf("sent %v, events %v", s.sent, s.events)
	}
	s.run(defendInterval)
	s.step(conflict)
	if len(s.sent) != 2 || len(s.events) != 0 {
		t.Fatalf("a second time: sent %v, events %v", s.sent, s.events)
	}
	s.run(defendInterval - 1)
	s.step(conflict)
	if taken, ok := s.events[0].(core.AddressTaken); !ok || taken.Conflict.Holder != other || len(s.sent) != 2 {
		t.Fatalf("insistent: sent %v, events %v", s.sent, s.events)
	}
	s.step(conflict)
	if len(s.events) != 1 {
		t.Error("reported after its end")
	}
}

func TestOthersProbesAreNoConflictInUse(t *testing.T) {
	s := freeSim(t)
	s.step(heard{arp{other, zero, address}})
	s.step(heard{arp{self, address, address}})
	if len(s.sent)+len(s.events) != 0 {
		t.Errorf("sent %v, events %v", s.sent, s.events)
	}
}

func TestARP(t *testing.T) {
	want := arp{self, zero, address}
	b := want.encode()
	if got, err := parseARP(append(b, make([]byte, 18)...)); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	vm, err := bpf.NewVM(filter)
	if err != nil {
		t.Fatal(err)
	}
	passes := func(b []byte) bool { n, err := vm.Run(b); return err == nil && n > 0 }
	if !passes(b) {
		t.Error("filter refuses a probe")
	}
	for i := range 6 {
		bad := append([]byte(nil), b...)
		bad[i] ^= 0x40
		if _, err := parseARP(bad); err == nil || passes(bad) {
			t.Errorf("accepted with byte %d changed", i)
		}
	}
	for n := range b {
		if _, err := parseARP(b[:n]); err == nil {
			t.Errorf("accepted when cut to %d", n)
		}
	}
	b[7] = 8
	if _, err := parseARP(b); err == nil {
		t.Error("InARP accepted")
	}
}

func FuzzARP(f *testing.F) {
	f.Add(arp{self, zero, address}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseARP(b)
		if err != nil {
			return
		}
		if again, err := parseARP(a.encode()); err != nil || again != a {
			t.Fatalf("%+v became %+v, %v", a, again, err)
		}
	})
}
