package dhcp6

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

// memoryWire carries messages to a scripted server and back.
type memoryWire struct {
	loop   *loop.Loop
	server func(sent) [][]byte
	handle func([]inbound) // nil: not listening
	closed bool            // no socket is to be had
	stuck  bool            // nothing leaves
	sent   []sent
}

func (w *memoryWire) listen(handle func([]inbound)) error {
	if w.handle != nil {
		panic("listens twice")
	}
	if w.closed {
		return errors.New("no sockets left")
	}
	w.handle = handle
	return nil
}

func (w *memoryWire) silence() { w.handle = nil }

func (w *memoryWire) send(link core.Link, message []byte, done func(error)) {
	err := w.sendNow(link, message)
	w.loop.Post("sent", func() { done(err) })
}

func (w *memoryWire) sendNow(link core.Link, message []byte) error {
	if w.handle == nil {
		panic("sends without a socket")
	}
	if w.stuck {
		return errors.New("no address yet")
	}
	m, err := dhcpv6.MessageFromBytes(message)
	if err != nil {
		panic(err)
	}
	q := sent{time.Now(), m}
	w.sent = append(w.sent, q)
	for _, b := range w.server(q) {
		r, err := parseReply(b)
		if err != nil {
			panic(err)
		}
		w.loop.Post("server", func() {
			if w.handle != nil {
				w.handle([]inbound{{link.Index, r}})
			}
		})
	}
	return nil
}

var testLink = core.Link{Index: 3, Name: "eth0", Addr: testMAC}

// bench is a driver on a running loop.
type bench struct {
	loop    *loop.Loop
	wire    *memoryWire
	clients *Clients
	events  []core.DHCP6Event
}

func newBench(t *testing.T, cfg Config) *bench {
	cfg.Log = slog.New(slog.DiscardHandler)
	cfg.Loop = loop.New(cfg.Log)
	b := &bench{loop: cfg.Loop, wire: &memoryWire{loop: cfg.Loop, server: goodServer}}
	b.clients = newClients(cfg, b.wire)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { b.loop.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; b.loop.Wait() })
	return b
}

// do runs fn on the loop of a bench in a bubble.
func (b *bench) do(fn func()) {
	b.loop.Post("test", fn)
	synctest.Wait()
}

// run lets time pass. What the test looked at before, the loop may change.
func (b *bench) run(d time.Duration) {
	b.do(func() {})
	time.Sleep(d)
	synctest.Wait()
}

func (b *bench) start(link core.Link, stateful bool) (c core.DHCP6Client) {
	req := core.DHCP6Request{Link: link, DUID: testDUID, Stateful: stateful}
	b.do(func() { c = b.clients.Start(req, func(e core.DHCP6Event) { b.events = append(b.events, e) }) })
	return c
}

func (b *bench) last(t *testing.T) core.DHCP6Event {
	t.Helper()
	if len(b.events) == 0 {
		t.Fatal("no event")
	}
	return b.events[len(b.events)-1]
}

// The socket is open while answers are expected, and not otherwise.
func TestSocketOnlyWhileNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		one := b.start(testLink, true)
		two := b.start(core.Link{Index: 4, Name: "eth1", Addr: testMAC}, false)
		if b.wire.handle == nil || len(b.events) != 1 {
			t.Fatalf("listens %t, events %+v", b.wire.handle != nil, b.events)
		}
		b.run(2 * time.Second)
		if b.wire.handle != nil || len(b.events) != 2 {
			t.Fatalf("listens %t, events %+v", b.wire.handle != nil, b.events)
		}
		b.run(16 * time.Minute) // renewed meanwhile
		if b.wire.handle != nil || b.wire.sent[len(b.wire.sent)-1].kind() != renew || len(b.events) != 3 {
			t.Fatalf("listens %t, events %+v", b.wire.handle != nil, b.events)
		}
		b.do(func() { one.Stop(true); one.Stop(true); two.Stop(true) })
		b.do(func() {}) // the answer to the release
		if b.wire.handle != nil || b.wire.sent[len(b.wire.sent)-1].kind() != release || len(b.clients.clients) != 0 {
			t.Errorf("listens %t after the end", b.wire.handle != nil)
		}
	})
}

// After a client has ended, its lease is given back with patience, and without
// a word to whoever ended it.
func TestReleaseIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		c := b.start(testLink, true)
		b.run(2 * time.Second)
		b.wire.server, b.wire.sent, b.events = silent, nil, nil
		b.do(func() { c.Stop(true); c.Decline(addrOne) })
		b.run(2 * time.Second)
		b.wire.server = goodServer
		b.run(time.Minute)
		if n := len(b.wire.sent); n != 3 || b.wire.sent[n-1].kind() != release || len(b.events) != 0 {
			t.Errorf("%d messages, events %+v", n, b.events)
		}
		if b.wire.handle != nil || len(b.clients.clients) != 0 {
			t.Error("the client has not ended")
		}
	})
}

// A new client may get the lease that the old one gives back.
func TestNewClientEndsTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		old := b.start(testLink, true)
		b.run(2 * time.Second)
		b.wire.server, b.wire.sent = silent, nil
		b.do(func() { old.Stop(true) })
		b.start(testLink, true)
		b.run(time.Minute)
		for _, q := range b.wire.sent[1:] {
			if q.kind() != solicit {
				t.Errorf("sent %v", q)
			}
		}
	})
}

func TestNothingIsReportedAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		c := b.start(testLink, true)
		b.do(func() { c.Stop(false); c.Decline(addrOne) })
		b.run(time.Hour)
		if len(b.events) != 0 || b.wire.handle != nil {
			t.Errorf("events %+v", b.events)
		}
	})
}

func TestNewClientReplacesTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		old := b.start(testLink, true)
		b.start(testLink, false)
		b.do(func() { old.Stop(true) })
		b.run(time.Minute)
		if l, ok := b.last(t).(core.DHCP6Bound); !ok || len(b.events) != 1 || len(l.Lease.Addresses) != 0 || len(b.clients.clients) != 1 {
			t.Errorf("events %+v", b.events)
		}
	})
}

func TestDeclineReachesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		c := b.start(testLink, true)
		b.run(2 * time.Second)
		b.do(func() { c.Decline(addrOne) })
		if _, ok := b.last(t).(core.DHCP6Lost); !ok || b.wire.sent[2].kind() != decline {
			t.Errorf("events %+v", b.events)
		}
	})
}

// A client that cannot send or listen yet goes on by itself.
func TestTroubleWithSockets(t *testing.T) {
	for _, trouble := range []func(w *memoryWire, on bool){
		func(w *memoryWire, on bool) { w.closed = on },
		func(w *memoryWire, on bool) { w.stuck = on },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			trouble(b.wire, true)
			b.start(testLink, true)
			b.run(5 * time.Second)
			if len(b.wire.sent) != 0 {
				t.Fatal("sent")
			}
			b.do(func() { trouble(b.wire, false) })
			b.run(2 * time.Second)
			if _, ok := b.last(t).(core.DHCP6Bound); !ok || b.wire.handle != nil {
				t.Errorf("events %+v", b.events)
			}
		})
	}
}

// A report may stop its client.
func TestStopWithinAReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		var c core.DHCP6Client
		reports := 0
		b.do(func() {
			c = b.clients.Start(core.DHCP6Request{Link: testLink, DUID: testDUID, Stateful: true}, func(core.DHCP6Event) {
				reports++
				c.Stop(true)
			})
		})
		b.run(time.Hour)
		if reports != 1 || b.wire.handle != nil {
			t.Errorf("%d reports", reports)
		}
	})
}

// life runs one life of a daemon, which asks first as said and comes to a
// state, and returns its first report. Files need real time, so this is
// outside any bubble.
func life(t *testing.T, dir string, onLink bool, server func(sent) [][]byte, wantFirst kind, want state) core.DHCP6Event {
	t.Helper()
	b := newBench(t, Config{Dir: dir, OnLink: func(int, netip.Addr) bool { return onLink }})
	b.wire.server = server
	var first core.DHCP6Event
	b.loop.Post("start", func() {
		b.clients.Start(core.DHCP6Request{Link: testLink, DUID: testDUID, Stateful: true, Last: addrOne}, func(e core.DHCP6Event) {
			if first == nil {
				first = e
			}
		})
	})
	done := make(chan kind)
	var look func()
	look = func() {
		if c := b.clients.clients[testLink.Index]; c.m.state == want && b.clients.files.Idle() && first != nil {
			done <- b.wire.sent[0].kind()
			return
		}
		b.loop.After("look", time.Millisecond, look)
	}
	b.loop.Post("look", look)
	select {
	case got := <-done:
		if got != wantFirst {
			t.Errorf("asked first with %v, want %v", got, wantFirst)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("never %v", want)
	}
	return first
}

func TestLeaseOutlivesTheDaemon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "leases")
	life(t, dir, false, rapidServer, solicit, bound)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, onLink := range []bool{false, true} {
		b, ok := life(t, dir, onLink, goodServer, confirm, bound).(core.DHCP6Bound)
		if !ok || b.Lease.Addresses[0].Address != addrOne || b.Lease.Addresses[0].Valid > time.Hour || b.Lease.Addresses[0].Valid < 50*time.Minute {
			t.Errorf("held lease reported as %+v", b)
		}
	}
	if _, ok := life(t, dir, true, refuseConfirm, confirm, soliciting).(core.DHCP6Bound); !ok {
		t.Error("held lease not used while it is being confirmed")
	}
	if _, err := os.Stat(files[0]); !os.IsNotExist(err) {
		t.Errorf("refused lease still on file: %v", err)
	}
}

// What a file says is checked like what a server says.
func TestRestoreRefuses(t *testing.T) {
	held := bind(t).kept.stored()
	restoreAt := func(id identity, a netip.Addr, now time.Time) error {
		_, err := restore(*held, id, wishes{addresses: true}, a, "eth0", now)
		return err
	}
	if err := restoreAt(testID, addrOne, epoch.Add(time.Minute)); err != nil {
		t.Fatalf("good lease refused: %v", err)
	}
	for name, err := range map[string]error{
		"expired":           restoreAt(testID, addrOne, epoch.Add(2*time.Hour)),
		"another address's": restoreAt(testID, addrTwo, epoch),
		"another machine's": restoreAt(identity{duid: serverTwo, iaid: testID.iaid}, addrOne, epoch),
		"another link's":    restoreAt(identity{duid: testDUID, iaid: iaid{1}}, addrOne, epoch),
	} {
		if err == nil {
			t.Errorf("%s lease accepted", name)
		}
	}
	held.Reply = held.Reply[:len(held.Reply)-1]
	if restoreAt(testID, addrOne, epoch) == nil {
		t.Error("cut message accepted")
	}
}
