package ipv4ll

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

var (
	link  = core.Link{Index: 3, Name: "eth0", Addr: "\x02\x00\x00\x00\x00\x01"}
	epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func TestChoice(t *testing.T) {
	m, again := newMachine(link), newMachine(link)
	other := newMachine(core.Link{Addr: "\x02\x00\x00\x00\x00\x02"})
	differ := 0
	for range 100_000 {
		former := m.address
		m.choose()
		again.choose()
		other.choose()
		if m.address != again.address {
			t.Fatal("the same link gets another address")
		}
		if m.address == former || !usable(m.address) || !m.address.IsLinkLocalUnicast() {
			t.Fatalf("chose %v after %v", m.address, former)
		}
		if m.address != other.address {
			differ++
		}
	}
	if differ < 99_000 {
		t.Errorf("two links differ %d times in 100000", differ)
	}
	for a, want := range map[string]bool{
		"169.254.0.255": false, "169.254.1.0": true, "169.254.254.255": true, "169.254.255.0": false,
		"10.0.0.1": false, "fe80::1": false,
	} {
		if usable(netip.MustParseAddr(a)) != want {
			t.Errorf("%s usable: %v", a, !want)
		}
	}
}

func TestLastAddressComesFirst(t *testing.T) {
	for last, same := range map[string]bool{"169.254.7.8": true, "169.254.0.1": false, "10.0.0.5": false} {
		m := newMachine(link)
		a := netip.MustParseAddr(last)
		m.Step(epoch, begin{a})
		if (m.address == a) != same || !usable(m.address) {
			t.Errorf("after %v: %v", a, m.address)
		}
	}
	m := newMachine(link)
	m.Step(epoch, begin{})
	if !usable(m.address) {
		t.Errorf("without one: %v", m.address)
	}
}

// RFC 3927, 2.2.1: ten conflicts, then one try a minute.
func TestManyConflicts(t *testing.T) {
	m := newMachine(link)
	m.Step(epoch, begin{})
	seen := map[netip.Addr]bool{}
	for i := 1; i < maxConflicts; i++ {
		if seen[m.address] = true; m.Step(epoch, taken{core.Conflict{Address: m.address}}) != nil || !m.next.IsZero() {
			t.Fatalf("conflict %d", i)
		}
	}
	if len(seen) != maxConflicts-1 {
		t.Errorf("%d addresses tried", len(seen))
	}
	m.Step(epoch, taken{core.Conflict{Address: m.address}})
	if m.address.IsValid() || m.next != epoch.Add(rateLimit) {
		t.Fatalf("address %v, next %v", m.address, m.next)
	}
	m.Step(m.next.Add(-1), tick{})
	if m.address.IsValid() {
		t.Error("too early")
	}
	m.Step(m.next, tick{})
	if !m.address.IsValid() || !m.next.IsZero() {
		t.Errorf("address %v, next %v", m.address, m.next)
	}
}

// detector reports what it is told for each address.
type detector struct {
	loop    *loop.Loop
	watched map[netip.Addr]func(core.ConflictEvent)
	refuse  int // this many addresses are taken
}

type watch struct {
	d *detector
	a netip.Addr
}

func (w watch) Stop() { delete(w.d.watched, w.a) }

func (d *detector) Watch(_ core.Link, a netip.Addr, report func(core.ConflictEvent)) core.ConflictWatch {
	d.watched[a] = report
	taken := d.refuse > 0
	if d.refuse--; taken {
		d.loop.After("probe", time.Second, func() { d.tell(a, core.AddressTaken{Conflict: core.Conflict{Address: a}}) })
	} else {
		d.loop.After("probe", 5*time.Second, func() { d.tell(a, core.AddressFree{}) })
	}
	return watch{d, a}
}

func (d *detector) tell(a netip.Addr, e core.ConflictEvent) {
	if report := d.watched[a]; report != nil {
		report(e)
	}
}

func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		l := loop.New(log)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() { l.Run(ctx); close(gone) }()
		defer func() { cancel(); <-gone; l.Wait() }()
		do := func(fn func()) { l.Post("test", fn); synctest.Wait() }
		run := func(d time.Duration) { do(func() {}); time.Sleep(d); synctest.Wait() }

		d := &detector{loop: l, watched: map[netip.Addr]func(core.ConflictEvent){}, refuse: 12}
		claims := New(l, d)
		var events []core.LinkLocalEvent
		var c core.LinkLocalClient
		do(func() {
			c = claims.Start(link, netip.Addr{}, func(e core.LinkLocalEvent) { events = append(events, e) })
		})
		run(2 * time.Minute)
		if len(events) != 0 {
			t.Fatalf("events %v with every address taken", events)
		}
		run(2 * time.Minute)
		b, ok := events[0].(core.LinkLocalBound)
		if !ok || len(d.watched) != 1 || d.watched[b.Address] == nil {
			t.Fatalf("events %v, watches %v", events, d.watched)
		}
		do(func() { d.tell(b.Address, core.AddressTaken{Conflict: core.Conflict{Address: b.Address}}) })
		if lost, ok := events[1].(core.LinkLocalLost); !ok || lost.Conflict.Address != b.Address {
			t.Fatalf("events %v", events)
		}
		run(2 * time.Minute)
		again, ok := events[2].(core.LinkLocalBound)
		if !ok || again.Address == b.Address {
			t.Fatalf("events %v", events)
		}
		do(func() { c.Stop(); c.Stop() })
		if len(d.watched) != 0 {
			t.Error("still watches")
		}
	})
}
