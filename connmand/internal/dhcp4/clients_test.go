package dhcp4

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

	"github.com/insomniacslk/dhcp/dhcpv4"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/leasefile"
	"net.connman/pkg/loop"
)

// memoryWire carries messages to a scripted server and back.
type memoryWire struct {
	loop   *loop.Loop
	server func(sent) [][]byte
	handle func([]inbound) // nil: not listening
	fail   bool
	ports  int
	sent   []sent
}

func (w *memoryWire) listen(handle func([]inbound)) error {
	if w.handle != nil {
		panic("listens twice")
	}
	if w.fail {
		return errors.New("no sockets left")
	}
	w.handle = handle
	return nil
}

func (w *memoryWire) silence() { w.handle = nil }

func (w *memoryWire) carry(link int, to netip.Addr, message []byte) {
	d, err := dhcpv4.FromBytes(message)
	if err != nil {
		panic(err)
	}
	q := sent{DHCPv4: d, to: to}
	w.sent = append(w.sent, q)
	for _, b := range w.server(q) {
		r, err := parseReply(b)
		if err != nil {
			panic(err)
		}
		w.loop.Post("server", func() {
			if w.handle != nil {
				w.handle([]inbound{{link, r}})
			}
		})
	}
}

func (w *memoryWire) broadcast(link core.Link, message []byte, sent func(error)) {
	if w.handle == nil {
		panic("sends without a socket")
	}
	w.carry(link.Index, netip.Addr{}, message)
	w.loop.Post("sent", func() { sent(nil) })
}

func (w *memoryWire) bind(link core.Link, _ netip.Addr) (port, error) {
	w.ports++
	return memoryPort{w, link}, nil
}

type memoryPort struct {
	wire *memoryWire
	link core.Link
}

func (p memoryPort) send(to netip.Addr, message []byte) error {
	p.wire.carry(p.link.Index, to, message)
	return nil
}

func (p memoryPort) close() { p.wire.ports-- }

var testLink = core.Link{Index: 3, Name: "eth0", Addr: testMAC}

// bench is a driver on a running loop within a synctest bubble.
type bench struct {
	loop    *loop.Loop
	wire    *memoryWire
	clients *Clients
	events  []core.DHCPEvent
}

func newBench(t *testing.T, dir string, onLink bool) *bench {
	log := slog.New(slog.DiscardHandler)
	b := &bench{loop: loop.New(log)}
	b.wire = &memoryWire{loop: b.loop, server: goodServer}
	b.clients = newClients(Config{
		Loop: b.loop, Log: log, Dir: dir,
		OnLink: func(int, netip.Addr) bool { return onLink },
	}, b.wire)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { b.loop.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; b.loop.Wait() })
	return b
}

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

func (b *bench) start(req core.DHCPRequest) (c core.DHCP4Client) {
	b.do(func() { c = b.clients.Start(req, func(e core.DHCPEvent) { b.events = append(b.events, e) }) })
	return c
}

// The socket is open while answers are expected, the port while they come
// directly, and neither otherwise.
func TestSocketsOnlyWhileNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		b.wire.server = silent
		one := b.start(core.DHCPRequest{Link: testLink})
		other := testLink
		other.Index, other.Addr = 4, "\x02\x00\x00\x00\x00\x02"
		two := b.start(core.DHCPRequest{Link: other})
		b.do(func() { two.Stop(true) })
		if b.wire.handle == nil {
			t.Fatal("closed while a client waits")
		}
		b.wire.server = goodServer
		b.run(2 * time.Second)
		if b.wire.handle != nil || len(b.events) != 1 {
			t.Fatalf("open while bound; events %v", b.events)
		}
		b.wire.server = silent
		b.run(30 * time.Minute)
		if b.wire.handle == nil || b.wire.ports != 1 {
			t.Fatalf("renewing with %d ports", b.wire.ports)
		}
		b.do(func() { one.Stop(true) })
		last := b.wire.sent[len(b.wire.sent)-1]
		if b.wire.handle != nil || b.wire.ports != 0 || last.kind() != release || last.to != serverOne {
			t.Errorf("after Stop: %d ports, last message %v to %v", b.wire.ports, last.kind(), last.to)
		}
	})
}

func TestStopWithinReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		var c core.DHCP4Client
		reports := 0
		b.do(func() {
			c = b.clients.Start(core.DHCPRequest{Link: testLink}, func(core.DHCPEvent) {
				reports++
				c.Stop(false)
				c.Stop(true)
			})
		})
		b.run(24 * time.Hour)
		if reports != 1 || len(b.wire.sent) != 2 || len(b.clients.clients) != 0 {
			t.Errorf("%d reports, %d messages", reports, len(b.wire.sent))
		}
	})
}

// A second Start on a link replaces the first, whose Stop then does nothing.
func TestStartReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		old := b.start(core.DHCPRequest{Link: testLink})
		b.start(core.DHCPRequest{Link: testLink})
		b.do(func() { old.Stop(true) })
		b.run(31 * time.Minute)
		if len(b.events) != 3 {
			t.Errorf("events %v, want a lease each and a renewal", b.events)
		}
	})
}

func TestNoSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		b.wire.fail = true
		b.start(core.DHCPRequest{Link: testLink})
		b.run(10 * time.Second)
		b.do(func() { b.wire.fail = false })
		b.run(10 * time.Second)
		if len(b.events) != 1 {
			t.Errorf("events %v", b.events)
		}
	})
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		b.start(core.DHCPRequest{Link: testLink})
		b.wire.server = silent
		b.do(func() { b.loop.Resumed(2 * time.Hour) })
		if _, lost := b.events[len(b.events)-1].(core.DHCPLost); !lost {
			t.Errorf("after two hours asleep: %v", b.events)
		}
	})
}

// fakeDetector says at once what it is told to say.
type fakeDetector struct {
	loop  *loop.Loop
	taken bool
	open  int
}

type fakeWatch struct{ d *fakeDetector }

func (w fakeWatch) Stop() { w.d.open-- }

func (d *fakeDetector) Watch(_ core.Link, a netip.Addr, report func(core.ConflictEvent)) core.ConflictWatch {
	d.open++
	taken := d.taken
	d.loop.After("probe", 5*time.Second, func() {
		if taken {
			report(core.AddressTaken{Conflict: core.Conflict{Address: a}})
		} else {
			report(core.AddressFree{})
		}
	})
	return fakeWatch{d}
}

func TestOfferOfAnAddressInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		d := &fakeDetector{loop: b.loop, taken: true}
		b.clients.cfg.Conflicts = d
		c := b.start(core.DHCPRequest{Link: testLink, CheckConflicts: true})
		b.run(6 * time.Second)
		if lost, ok := b.events[0].(core.DHCPLost); !ok || lost.Conflict.Address != addrOne || d.open != 0 {
			t.Fatalf("events %v, %d watches", b.events, d.open)
		}
		d.taken = false
		b.run(15 * time.Second)
		if _, ok := b.events[len(b.events)-1].(core.DHCPBound); !ok || d.open != 1 {
			t.Fatalf("events %v, %d watches", b.events, d.open)
		}
		b.do(func() { c.Stop(false) })
		if d.open != 0 {
			t.Error("still watches")
		}
	})
}

// life runs one life of a daemon: it starts a client and waits for its first
// event. Files need real time, so this is outside any bubble.
func life(t *testing.T, dir string, onLink bool, server func(sent) [][]byte, wantFirst kind) core.DHCPEvent {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	w := &memoryWire{loop: l, server: server}
	c := newClients(Config{Loop: l, Log: log, Dir: dir, OnLink: func(int, netip.Addr) bool { return onLink }}, w)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended; l.Wait() }()

	events := make(chan core.DHCPEvent, 10)
	l.Post("start", func() {
		c.Start(core.DHCPRequest{Link: testLink, Last: addrOne}, func(e core.DHCPEvent) { events <- e })
	})
	first := <-events
	await(t, "files written", func() bool {
		idle := make(chan bool)
		l.Post("look", func() { idle <- c.files.Idle() && len(w.sent) > 0 })
		return <-idle
	})
	looked := make(chan kind)
	l.Post("look", func() { looked <- w.sent[0].kind() })
	if got := <-looked; got != wantFirst {
		t.Errorf("asked first with %v, want %v", got, wantFirst)
	}
	return first
}

func TestLeaseOutlivesTheDaemon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "leases")
	life(t, dir, false, goodServer, request)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	b, ok := life(t, dir, true, silent, request).(core.DHCPBound)
	if !ok || b.Lease.IP.Address.Addr() != addrOne || b.Lease.Lifetime > time.Hour || b.Lease.Lifetime < 50*time.Minute {
		t.Errorf("held lease reported as %+v", b)
	}
	if _, ok := life(t, dir, true, nakAll, request).(core.DHCPBound); !ok {
		t.Error("held lease not used while it is being confirmed")
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 0 {
		t.Errorf("refused lease still on file: %v", files)
	}
}

// What a file says is checked like what a server says.
func TestRestoreRefuses(t *testing.T) {
	good := acknowledgement(leaseTime(time.Hour))
	restoreAt := func(reply []byte, age time.Duration) error {
		_, err := restore(leasefile.Lease{Asked: epoch, Reply: reply}, testMAC, addrOne, epoch.Add(age))
		return err
	}
	if err := restoreAt(good, time.Minute); err != nil {
		t.Fatalf("good lease refused: %v", err)
	}
	if restoreAt(good, 2*time.Hour) == nil {
		t.Error("expired lease accepted")
	}
	held := leasefile.Lease{Asked: epoch, Reply: good}
	if _, err := restore(held, "other", addrOne, epoch); err == nil {
		t.Error("lease of another client accepted")
	}
	if _, err := restore(held, testMAC, serverOne, epoch); err == nil {
		t.Error("lease of another address accepted")
	}
	if restoreAt(good[:len(good)/2], time.Minute) == nil {
		t.Error("half a message accepted")
	}
}
