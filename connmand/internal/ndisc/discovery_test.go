package ndisc

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeWire is a network in memory.
type fakeWire struct {
	handle func([]inbound)
	sent   [][]byte
	fail   error
	log    bytes.Buffer
}

func (f *fakeWire) listen(handle func([]inbound)) error { f.handle = handle; return nil }
func (f *fakeWire) silence()                            { f.handle = nil }
func (f *fakeWire) send(_ int, packet []byte) error {
	f.sent = append(f.sent, packet)
	return f.fail
}

// inDiscovery runs a test on a loop in a synctest bubble.
func inDiscovery(t *testing.T, test func(d *Discovery, wire *fakeWire, do func(func()))) {
	synctest.Test(t, func(t *testing.T) {
		l := loop.New(slog.New(slog.DiscardHandler))
		wire := &fakeWire{}
		d := newDiscovery(Config{
			Loop: l, Log: slog.New(slog.NewTextHandler(&wire.log, nil)),
			LinkLocal: func(int) netip.Addr { return netip.MustParseAddr("fe80::7") },
		}, wire)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { l.Run(ctx); close(ended) }()
		defer func() { cancel(); <-ended }()
		test(d, wire, func(fn func()) { l.Post("test", fn); synctest.Wait() })
	})
}

// pass lets time pass in the bubble and waits until the loop has done its part.
func pass(d time.Duration, do func(func())) {
	time.Sleep(d)
	synctest.Wait()
	do(func() {})
}

var eth0 = core.RouterDiscoveryRequest{Link: core.Link{Index: 2, Name: "eth0", Addr: "\x02\x00\x00\x00\x00\x07"}}

func TestSolicitUntilHeard(t *testing.T) {
	inDiscovery(t, func(d *Discovery, wire *fakeWire, do func(func())) {
		var events []core.RouterEvent
		var c core.RouterDiscoveryClient
		do(func() { c = d.Start(eth0, func(e core.RouterEvent) { events = append(events, e) }) })
		if len(wire.sent) != 1 {
			t.Fatalf("%d solicitations at once", len(wire.sent))
		}
		do(func() { wire.fail = errors.New("no buffer") }) // which is no reason to give up
		pass(20*time.Second, do)
		if len(wire.sent) != 3 || len(events) != 1 {
			t.Fatalf("%d solicitations, events %v", len(wire.sent), events)
		}
		do(func() { wire.handle([]inbound{{2, from(router1, time.Hour)}, {3, from(router2, time.Hour)}}) })
		if seen, ok := events[1].(core.RoutersSeen); !ok || text(seen.Info) != "via fe80::1" {
			t.Fatalf("events %v", events)
		}
		pass(59*time.Minute, do)
		if len(wire.sent) != 3 {
			t.Errorf("solicited %d times with a router", len(wire.sent))
		}
		do(func() { c.Stop(); c.Stop() })
		if wire.handle != nil {
			t.Error("listens on for nobody")
		}
		pass(time.Hour, do)
		if len(events) != 2 {
			t.Errorf("reported after the end: %v", events)
		}
	})
}

// A report may stop the client, and a new one on the link replaces the old.
// TestUnsentIsToldOnce: one warning for a link that cannot send for a while,
// none for one that just went down.
func TestUnsentIsToldOnce(t *testing.T) {
	inDiscovery(t, func(d *Discovery, wire *fakeWire, do func(func())) {
		wire.fail = errors.New("no buffer")
		warnings := func() (n int) {
			do(func() { n = strings.Count(wire.log.String(), "cannot ask for routers") })
			return n
		}
		for range 20 {
			do(func() { d.Start(eth0, func(core.RouterEvent) {}) })
		}
		if n := warnings(); n != 0 {
			t.Errorf("%d warnings while the link flaps", n)
		}
		pass(10*time.Minute, do)
		if n := warnings(); len(wire.sent) < 25 || n != 1 {
			t.Errorf("%d warnings after %d solicitations", n, len(wire.sent))
		}
		do(func() { d.clients[eth0.Link.Index].Stop() })
	})
}

func TestStopWithinReport(t *testing.T) {
	inDiscovery(t, func(d *Discovery, wire *fakeWire, do func(func())) {
		var c core.RouterDiscoveryClient
		reports := 0
		do(func() {
			d.Start(eth0, func(core.RouterEvent) { t.Error("the replaced client reports") })
			c = d.Start(eth0, func(core.RouterEvent) { reports++; c.Stop() })
			batch := []inbound{{2, from(router1, time.Hour)}, {2, from(router2, time.Hour)}}
			wire.handle(batch)
		})
		if reports != 1 || len(d.clients) != 0 {
			t.Errorf("%d reports, %d clients", reports, len(d.clients))
		}
	})
}
