package acd

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/rawsock"
	"net.connman/pkg/loop"
)

// lan joins the detectors of two machines: what one sends the other hears.
type lan struct {
	loop *loop.Loop
	ends [2]*lanEnd
}

type lanEnd struct {
	lan    *lan
	peer   int
	handle func([]inbound)
	fail   bool
	sent   int
	to     core.HardwareAddr // of the last one sent
}

func (e *lanEnd) listen(handle func([]inbound)) error {
	if e.fail {
		return errors.New("no sockets left")
	}
	e.handle = handle
	return nil
}

func (e *lanEnd) silence() { e.handle = nil }

func (e *lanEnd) send(link core.Link, to core.HardwareAddr, a arp) error {
	e.sent++
	e.to = to
	peer := e.lan.ends[e.peer]
	e.lan.loop.Post("lan", func() {
		if peer.handle != nil {
			peer.handle([]inbound{{link.Index, a}})
		}
	})
	return nil
}

func newLAN(t *testing.T) (*lan, [2]*Detector) {
	log := slog.New(slog.DiscardHandler)
	n := &lan{loop: loop.New(log)}
	var d [2]*Detector
	for i := range d {
		n.ends[i] = &lanEnd{lan: n, peer: 1 - i}
		d[i] = newDetector(n.loop, log, n.ends[i])
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() { n.loop.Run(ctx); close(gone) }()
	t.Cleanup(func() { cancel(); <-gone; n.loop.Wait() })
	return n, d
}

func (n *lan) do(fn func()) {
	n.loop.Post("test", fn)
	synctest.Wait()
}

// run lets time pass. What the test looked at before, the loop may change.
func (n *lan) run(d time.Duration) {
	n.do(func() {})
	time.Sleep(d)
	synctest.Wait()
}

func linkOf(mac core.HardwareAddr) core.Link { return core.Link{Index: 3, Name: "eth0", Addr: mac} }

// The first to probe has the address; who comes later learns whose it is.
func TestTwoMachinesWantOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, d := newLAN(t)
		var first, second []core.ConflictEvent
		var w core.ConflictWatch
		n.do(func() {
			w = d[0].Watch(linkOf(self), address, func(e core.ConflictEvent) { first = append(first, e) })
		})
		n.run(10 * time.Second)
		n.do(func() {
			d[1].Watch(linkOf(other), address, func(e core.ConflictEvent) { second = append(second, e) })
			d[1].Watch(linkOf(other), netip.MustParseAddr("10.0.0.6"), func(e core.ConflictEvent) { second = append(second, e) })
		})
		// The holder's kernel answers probes; here the detector is told.
		n.do(func() {
			n.ends[1].handle([]inbound{{3, arp{self, address, address}}, {4, arp{self, address, address}}})
		})
		n.run(20 * time.Second)
		if _, ok := first[0].(core.AddressFree); !ok || len(first) != 1 {
			t.Errorf("first machine: %+v", first)
		}
		taken, ok := second[0].(core.AddressTaken)
		if !ok || taken.Conflict.Holder != self || len(second) != 2 {
			t.Errorf("second machine: %+v", second)
		}
		n.do(func() { w.Stop(); w.Stop() })
		if n.ends[0].handle != nil || n.ends[1].handle == nil {
			t.Error("socket is not open exactly while something is watched")
		}
	})
}

func TestStopInReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, d := newLAN(t)
		reports := 0
		n.do(func() {
			var w core.ConflictWatch
			w = d[0].Watch(linkOf(self), address, func(core.ConflictEvent) { reports++; w.Stop() })
		})
		n.run(time.Hour)
		if reports != 1 || n.ends[0].handle != nil || n.ends[0].sent != probeNum+1 {
			t.Errorf("%d reports, %d packets", reports, n.ends[0].sent)
		}
	})
}

// Without a socket nobody can be heard: the address counts as free.
func TestNoSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, d := newLAN(t)
		n.ends[0].fail = true
		var events []core.ConflictEvent
		n.do(func() { d[0].Watch(linkOf(self), address, func(e core.ConflictEvent) { events = append(events, e) }) })
		n.run(time.Minute)
		if _, ok := events[0].(core.AddressFree); !ok || n.ends[0].sent != 0 {
			t.Errorf("events %+v, %d packets", events, n.ends[0].sent)
		}
	})
}

// A neighbour is asked where it is thought to be, or everywhere, and whoever has
// its address answers; the socket is open for no longer.
func TestFind(t *testing.T) {
	const ours, theirs = core.HardwareAddr("\x02\x00\x00\x00\x00\x01"), core.HardwareAddr("\x02\x00\x00\x00\x00\x02")
	router := netip.MustParseAddr("10.0.0.1")
	synctest.Test(t, func(t *testing.T) {
		lan, d := newLAN(t)
		here := lan.ends[0]
		answer := func(who netip.Addr) {
			lan.ends[1].sent++
			if here.handle != nil {
				here.handle([]inbound{{3, arp{sender: theirs, senderIP: who, targetIP: router}}})
			}
		}
		var found []core.HardwareAddr
		ask := func(at core.HardwareAddr) (cancel func()) {
			lan.do(func() {
				cancel = d[0].Find(linkOf(ours), router, at, func(a core.HardwareAddr) { found = append(found, a) })
			})
			return cancel
		}
		for _, at := range []core.HardwareAddr{"", theirs} {
			ask(at)
			if want := cmp.Or(at, rawsock.Broadcast); here.to != want {
				t.Errorf("asked at %x", here.to)
			}
			lan.do(func() { answer(netip.MustParseAddr("10.0.0.2")); answer(router); answer(router) })
		}
		if len(found) != 2 || found[0] != theirs || here.handle != nil {
			t.Errorf("found %q, socket open: %t", found, here.handle != nil)
		}
		ask("")
		lan.run(patience)
		cancel := ask("")
		lan.do(cancel)
		lan.do(func() { answer(router) })
		if len(found) != 2 || here.handle != nil {
			t.Errorf("found %q late, socket open: %t", found, here.handle != nil)
		}
	})
}
