package ndisc

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"net.connman/connmand/internal/core"
)

// sim is a machine with a clock of its own.
type sim struct {
	t   testing.TB
	m   machine
	now time.Time
	// What it did since it was last asked.
	solicits []time.Duration
	reports  []core.RouterEvent
	start    time.Time
}

func newSim(t testing.TB) *sim {
	start := time.Unix(1_000_000, 0)
	s := &sim{t: t, now: start, start: start, m: machine{link: "eth0", rand: rand.New(rand.NewPCG(1, 2))}}
	s.step(begin{})
	return s
}

func (s *sim) step(e event) {
	for _, a := range s.m.Step(s.now, e) {
		switch a := a.(type) {
		case solicit:
			s.solicits = append(s.solicits, s.now.Sub(s.start))
		case report:
			s.reports = append(s.reports, a.event)
		}
	}
}

// pass lets time pass.
func (s *sim) pass(d time.Duration) {
	end := s.now.Add(d)
	for {
		at := s.m.wake(s.now)
		if at.IsZero() || at.After(end) {
			break
		}
		s.now = at
		s.step(tick{})
	}
	s.now = end
}

func (s *sim) hear(a advert) { s.step(received{a}) }

// info is the last report.
func (s *sim) info() core.RouterInfo {
	s.t.Helper()
	for i := len(s.reports) - 1; i >= 0; i-- {
		if seen, ok := s.reports[i].(core.RoutersSeen); ok {
			return seen.Info
		}
	}
	s.t.Fatal("nothing was reported")
	return core.RouterInfo{}
}

// text says in short what a report holds.
func text(i core.RouterInfo) string {
	var b strings.Builder
	for _, r := range i.Routers {
		fmt.Fprintf(&b, "via %s ", r.Address)
	}
	for _, p := range i.Prefixes {
		fmt.Fprintf(&b, "%s", p.Prefix)
		if p.Preferred == 0 {
			b.WriteString(" deprecated")
		}
		b.WriteString(" ")
	}
	for _, r := range i.Routes {
		fmt.Fprintf(&b, "route %s via %s ", r.Dst, r.Gateway)
	}
	for _, s := range i.DNS.Servers {
		fmt.Fprintf(&b, "server %s ", s)
	}
	for _, d := range i.DNS.Domains {
		fmt.Fprintf(&b, "domain %s ", d)
	}
	return strings.TrimSpace(b.String())
}

func (s *sim) want(want string) {
	s.t.Helper()
	if got := text(s.info()); got != want {
		s.t.Errorf("after %v: %q, want %q", s.now.Sub(s.start), got, want)
	}
}

func from(router netip.Addr, lifetime time.Duration, prefixes ...prefixOption) advert {
	return advert{router: router, lifetime: lifetime, prefixes: prefixes}
}

func announced(prefix string, preferred, valid time.Duration) prefixOption {
	return prefixOption{netip.MustParsePrefix(prefix), true, true, preferred, valid}
}

// Without an address of its own a link solicits quickly at first.
func TestSolicitsEarly(t *testing.T) {
	s := &sim{t: t, now: time.Unix(0, 0), start: time.Unix(0, 0), m: machine{rand: rand.New(rand.NewPCG(1, 2))}}
	s.step(begin{anonymous: true})
	for range 6 {
		s.now = s.m.wake(s.now)
		s.step(tick{anonymous: true})
	}
	want := []time.Duration{0, 500 * time.Millisecond, time.Second, 1500 * time.Millisecond, 2 * time.Second}
	if len(s.solicits) != 7 || !slices.Equal(s.solicits[:5], want) || s.solicits[5] < 5*time.Second {
		t.Errorf("solicited at %v", s.solicits)
	}
}

// RFC 7559, 2: 4 seconds, doubling, up to an hour, give or take a tenth; for
// ever.
func TestSolicitsEverMoreSeldom(t *testing.T) {
	s := newSim(t)
	s.pass(24 * time.Hour)
	wait := firstSolicit
	for i, at := range s.solicits[1:] {
		got := at - s.solicits[i]
		if got < wait*9/10 || got > wait*11/10 {
			t.Fatalf("wait %d is %v, want about %v", i, got, wait)
		}
		wait = min(2*wait, lastSolicit)
	}
	if n := len(s.solicits); n < 30 || n > 36 {
		t.Errorf("%d solicitations in a day", n)
	}
	if len(s.reports) != 1 || s.reports[0] != (core.RoutersNoAnswer{}) {
		t.Errorf("reported %v", s.reports)
	}
}

func TestRouterEndsSoliciting(t *testing.T) {
	s := newSim(t)
	s.hear(from(router1, 30*time.Minute))
	s.pass(29 * time.Minute)
	if len(s.solicits) != 1 {
		t.Errorf("solicited at %v", s.solicits)
	}
	s.pass(2 * time.Minute) // it did not speak again
	s.want("")
	if len(s.solicits) < 3 {
		t.Errorf("did not look for another router: %v", s.solicits)
	}
}

// RFC 4861, 6.3.4: a lifetime of 0 takes the router away at once, not what else
// it said.
func TestRouterSaysGoodbye(t *testing.T) {
	s := newSim(t)
	s.hear(from(router1, time.Hour, announced("2001:db8:1::/64", time.Hour, 2*time.Hour)))
	s.want("via fe80::1 2001:db8:1::/64")
	s.hear(from(router1, 0))
	s.want("2001:db8:1::/64")
}

// RFC 4191, 3.1: the preferred router first, the one heard first among equals.
func TestPreferences(t *testing.T) {
	s := newSim(t)
	s.hear(from(router2, time.Hour))
	s.hear(from(router1, time.Hour))
	s.want("via fe80::2 via fe80::1")
	high := from(router1, 10*time.Minute)
	high.preference = 1
	s.hear(high)
	s.want("via fe80::1 via fe80::2")
	s.pass(11 * time.Minute)
	s.want("via fe80::2")
}

// The same advertisement again is no news; that a lifetime ends is.
func TestReportsOnlyNews(t *testing.T) {
	s := newSim(t)
	a := from(router1, 30*time.Minute, announced("2001:db8:1::/64", time.Hour, 2*time.Hour))
	for range 100 {
		s.hear(a)
		s.pass(time.Minute)
	}
	if len(s.reports) != 1 {
		t.Errorf("%d reports", len(s.reports))
	}
	s.pass(31 * time.Minute)
	s.want("2001:db8:1::/64")
	s.pass(30 * time.Minute)
	s.want("2001:db8:1::/64 deprecated")
	s.pass(time.Hour)
	s.want("")
}

// RFC 4862, 5.5.3 e: nobody ends an address's life in less than two hours.
func TestValidLifetimeOfAddresses(t *testing.T) {
	const prefix = "2001:db8:1::/64"
	tests := []struct {
		name        string
		first, then time.Duration
		want        time.Duration // from the second advertisement on
	}{
		{"longer", time.Hour, 3 * time.Hour, 3 * time.Hour},
		{"shorter, above two hours", 24 * time.Hour, 3 * time.Hour, 3 * time.Hour},
		{"zero", 24 * time.Hour, 0, 2 * time.Hour},
		{"an hour", 24 * time.Hour, time.Hour, 2 * time.Hour},
		{"zero, less left", time.Hour, 0, time.Hour},
		{"zero, for ever", core.Forever, 0, 2 * time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSim(t)
			s.hear(from(router1, time.Hour, announced(prefix, test.first, test.first)))
			s.hear(from(router1, time.Hour, announced(prefix, 0, test.then)))
			s.hear(from(router1, 9000*time.Second))
			s.pass(test.want - time.Second)
			if got := text(s.info()); !strings.Contains(got, prefix+" deprecated") {
				t.Errorf("a second before: %q", got)
			}
			s.pass(2 * time.Second)
			if got := text(s.info()); strings.Contains(got, prefix) {
				t.Errorf("a second after: %q", got)
			}
		})
	}
}

// What is on the link only, as no address depends on it, ends at once.
func TestOnLinkPrefixEnds(t *testing.T) {
	s := newSim(t)
	p := announced("2001:db8:1::/64", time.Hour, time.Hour)
	p.autonomous = false
	s.hear(from(router1, time.Hour, p))
	p.preferred, p.valid = 0, 0
	s.hear(from(router1, time.Hour, p))
	s.want("via fe80::1")
}

func TestServersDomainsRoutes(t *testing.T) {
	s := newSim(t)
	a := from(router1, time.Hour)
	a.servers = []serverOption{{netip.MustParseAddr("fe80::53"), time.Minute}, {netip.MustParseAddr("2001:db8::53"), time.Hour}}
	a.domains = []domainOption{{"home.test", time.Minute}}
	a.routes = []routeOption{{netip.MustParsePrefix("2001:db8:aa::/48"), 0, time.Minute}, {netip.MustParsePrefix("::/0"), 0, time.Hour}}
	s.hear(a)
	s.want("via fe80::1 route 2001:db8:aa::/48 via fe80::1 server fe80::53%eth0 server 2001:db8::53 domain home.test")
	s.pass(61 * time.Second)
	s.want("via fe80::1 server 2001:db8::53")
	a.servers = []serverOption{{netip.MustParseAddr("2001:db8::53"), 0}}
	a.domains, a.routes = nil, nil
	s.hear(a)
	s.want("via fe80::1")
}

// Flags are those of all routers together.
func TestFlags(t *testing.T) {
	s := newSim(t)
	a := from(router1, time.Hour)
	a.managed, a.mtu, a.portal = true, 1400, "https://portal.test/"
	s.hear(a)
	b := from(router2, 2*time.Hour)
	b.other = true
	s.hear(b)
	i := s.info()
	if !i.Managed || !i.Other || i.MTU != 1400 || i.Portal == "" {
		t.Errorf("reported %+v", i)
	}
	s.pass(61 * time.Minute)
	if i := s.info(); i.Managed || !i.Other {
		t.Errorf("after the first went: %+v", i)
	}
}

// Whoever floods the link, what was heard first stays.
func TestBounds(t *testing.T) {
	s := newSim(t)
	s.hear(from(router1, time.Hour, announced("2001:db8:1::/64", time.Hour, time.Hour)))
	for n := range 10_000 {
		addr := netip.AddrFrom16([16]byte{0xfe, 0x80, 14: byte(n >> 8), 15: byte(n)})
		s.hear(from(addr, 9000*time.Second, announced(fmt.Sprintf("2001:db9:%x::/64", n), time.Hour, time.Hour)))
	}
	i := s.info()
	if len(i.Routers) != maxRouters || len(i.Prefixes) != maxPrefixes {
		t.Errorf("%d routers, %d prefixes", len(i.Routers), len(i.Prefixes))
	}
	if i.Routers[0].Address != router1 || i.Prefixes[0].Prefix.String() != "2001:db8:1::/64" {
		t.Errorf("the first is now %v, %v", i.Routers[0], i.Prefixes[0])
	}
}

// Whatever comes, time always moves on and nothing is told twice.
func TestMachineProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := newSim(t)
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			if rapid.Bool().Draw(r, "hear") {
				lifetime := time.Duration(rapid.IntRange(0, 4000).Draw(r, "lifetime")) * time.Second
				valid := time.Duration(rapid.IntRange(0, 10000).Draw(r, "valid")) * time.Second
				n := rapid.IntRange(1, 5).Draw(r, "n")
				addr := netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(n)})
				a := from(addr, lifetime, announced(fmt.Sprintf("2001:db8:%x::/64", n), valid/2, valid))
				a.managed = rapid.Bool().Draw(r, "managed")
				s.hear(a)
			} else {
				s.pass(time.Duration(rapid.IntRange(1, 9000).Draw(r, "pass")) * time.Second)
			}
			if at := s.m.wake(s.now); !at.IsZero() && !at.After(s.now) {
				r.Fatalf("wants to wake at %v, it is %v", at, s.now)
			}
		}
		for i := 1; i < len(s.reports); i++ {
			a, aok := s.reports[i-1].(core.RoutersSeen)
			b, bok := s.reports[i].(core.RoutersSeen)
			if aok && bok && sameInfo(a.Info, b.Info) {
				r.Fatalf("told twice: %+v", b)
			}
		}
	})
}
