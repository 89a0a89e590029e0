package resolver

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/dnsproxy"
	"net.connman/pkg/loop"
)

// fakeServer is a proxy whose port may be taken.
type fakeServer struct {
	mu     sync.Mutex
	taken  map[netip.Addr]bool
	serves []string
	config dnsproxy.Config
}

func (s *fakeServer) Listen(at netip.AddrPort, _ string, _ ...netip.Prefix) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[at.Addr()] {
		return nil, errors.New("port 53 is taken by another")
	}
	s.serves = append(s.serves, at.String())
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.serves = slices.DeleteFunc(s.serves, func(a string) bool { return a == at.String() })
	}, nil
}

func (s *fakeServer) Set(c dnsproxy.Config) { s.config = c }

func (s *fakeServer) take(addr string, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[netip.MustParseAddr(addr)] = taken
}

func (s *fakeServer) listening() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.serves)
}

// fakeService is a systemd-resolved.
type fakeService struct {
	report func(bool)
	links  []core.LinkDNS
}

func (s *fakeService) Watch(fn func(bool))      { s.report = fn }
func (s *fakeService) Set(links []core.LinkDNS) { s.links = links }

// machine has a resolver whose loop runs.
type machine struct {
	system
	t       *testing.T
	l       *loop.Loop
	turn    chan struct{}
	r       *Resolver
	server  fakeServer
	service fakeService
	mdns    bool
	quit    func()
}

const original = "# the administrator's\n"

func newMachine(t *testing.T, backend Backend) *machine {
	log := slog.New(slog.DiscardHandler)
	m := &machine{system: newSystem(t), t: t, l: loop.New(log), turn: make(chan struct{}, 1)}
	m.server.taken = map[netip.Addr]bool{}
	write(t, m.etc, original)
	m.r = New(Config{
		Loop: m.l, Log: slog.New(slog.NewTextHandler(m.log, nil)), Backend: backend, File: os.DevNull,
		Server: &m.server, Service: &m.service, Multicast: func(can bool) { m.mdns = can },
	})
	m.r.file.place = m.place(m.etc)
	m.l.Post("begin", m.r.Begin)
	m.l.AtTurnEnd(func() {
		select {
		case m.turn <- struct{}{}:
		default:
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { m.l.Run(ctx); close(ended) }()
	m.quit = sync.OnceFunc(func() { cancel(); <-ended; m.l.Wait() })
	t.Cleanup(m.quit)
	return m
}

func (m *machine) do(fn func()) {
	done := make(chan struct{})
	m.l.Post("test", func() { fn(); close(done) })
	<-done
}

func (m *machine) set(links ...core.LinkDNS) {
	m.do(func() { m.r.Set(links, addrs("192.0.2.1", "0.0.0.0")) })
}

// until waits until the file is text and the proxy listens at the addresses.
func (m *machine) until(text string, listening ...string) {
	m.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		var idle bool
		m.do(func() { idle = !m.r.file.busy })
		got := read(m.t, m.etc)
		serves := m.server.listening()
		if idle && got == text && slices.Equal(serves, listening) {
			return
		}
		select {
		case <-m.turn:
		case <-deadline:
			m.t.Fatalf("the file is %q and the proxy listens at %v; want %q, %v", got, serves, text, listening)
		}
	}
}

const (
	at4  = "127.0.0.1:53"
	at6  = "[::1]:53"
	both = "nameserver 127.0.0.1\nnameserver ::1\n"
)

func TestProxy(t *testing.T) {
	m := newMachine(t, Proxy)
	m.do(func() { m.r.SetNames("box", "home.test") })
	m.until(original, at4, at6) // nobody to ask yet: the file stays
	split := split(link("vpn", "10.9.0.1", "corp.test"))
	split.Hosts = []string{"vpn.test"}
	m.set(link("eth0", "10.0.0.1 0.0.0.0 10.0.0.1 fe80::1", "home.test bad/name"), split)
	m.until(header+"search home.test corp.test \n"+both, at4, at6)
	want := dnsproxy.Config{
		Scopes: []dnsproxy.Scope{
			{Link: "eth0", Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53"), netip.MustParseAddrPort("[fe80::1%eth0]:53")},
				Search: []string{"home.test"}, Domains: []string{"home.test"}},
			{Link: "vpn", Servers: []netip.AddrPort{netip.MustParseAddrPort("10.9.0.1:53")},
				Search: []string{"corp.test"}, Domains: []string{"corp.test", "vpn.test"}, Split: true},
		},
		Fallback: dnsproxy.Scope{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}},
		Hostname: "box", Domain: "home.test",
	}
	if diff := cmp.Diff(want, m.server.config, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
	if m.service.links != nil || m.log.Len() > 0 {
		t.Errorf("systemd-resolved was told %v; logged %s", m.service.links, m.log)
	}
	m.quit()
	check(t, m.r.Close(false))
	if got := read(t, m.etc); got != original {
		t.Errorf("left %q", got)
	}
}

// Between two runs nobody listens: the file names who can be asked.
func TestProxyLeavesServers(t *testing.T) {
	m := newMachine(t, Proxy)
	m.set(link("eth0", "10.0.0.1", "home.test"))
	m.until(header+"search home.test \n"+both, at4, at6)
	m.quit()
	check(t, m.r.Close(true))
	if got := read(t, m.etc); got != header+"search home.test \nnameserver 10.0.0.1\n" {
		t.Errorf("left %q", got)
	}
}

// What is said before Begin waits for it.
func TestNothingBeforeBegin(t *testing.T) {
	server := &fakeServer{}
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	r := New(Config{Loop: l, Log: log, Backend: Proxy, File: os.DevNull, Server: server, Service: &fakeService{}})
	r.SetNames("box", "home.test")
	r.Set([]core.LinkDNS{link("eth0", "10.0.0.1", "")}, nil)
	if r.local.state != closed {
		t.Error("the proxy is opened before the resolver begins")
	}
	r.Begin()
	l.Wait()
	if got := server.listening(); !slices.Equal(got, []string{at4, at6}) {
		t.Errorf("the proxy listens at %q", got)
	}
}

func TestPortTaken(t *testing.T) {
	m := newMachine(t, Auto)
	m.server.take("127.0.0.1", true)
	m.do(func() { m.service.report(false) })
	for _, s := range []string{"10.0.0.1", "10.0.0.2"} {
		m.set(link("eth0", s, ""))
		m.until(header + "nameserver " + s + "\n")
	}
	if n := strings.Count(m.log.String(), "taken by another"); n != 1 {
		t.Errorf("told %d times: %s", n, m.log)
	}
	m.server.take("127.0.0.1", false)
	m.server.take("::1", true)
	m.set(link("eth0", "10.0.0.3", ""))
	m.until(header+"nameserver 127.0.0.1\n", at4)
}

func TestDirect(t *testing.T) {
	m := newMachine(t, Direct)
	m.set(link("eth0", "10.0.0.1", ""))
	m.until(header + "nameserver 10.0.0.1\n")
	m.set()
	m.until(header + "nameserver 192.0.2.1\n")
}

// Auto leaves names to systemd-resolved while that runs.
func TestServiceComesAndGoes(t *testing.T) {
	m := newMachine(t, Auto)
	m.set(link("eth0", "10.0.0.1", ""))
	m.until(original) // until it is known whether it runs
	for range 3 {
		m.do(func() { m.service.report(false) })
		m.until(header+both, at4, at6)
		if m.mdns {
			t.Error("multicast without systemd-resolved")
		}
		m.do(func() { m.service.report(true) })
		m.until(original)
		m.do(func() {
			if len(m.service.links) != 1 || !m.mdns {
				t.Errorf("told %v, multicast %v", m.service.links, m.mdns)
			}
		})
	}
	m.do(func() {
		m.r.Stop()
		m.r.SetNames("", "") // as the machine gets its own back
		if m.service.links != nil {
			t.Errorf("left %v", m.service.links)
		}
	})
}

// However fast it comes and goes, the end is what counts.
func TestServiceFlaps(t *testing.T) {
	m := newMachine(t, Auto)
	m.set(link("eth0", "10.0.0.1", ""))
	for range 5 {
		m.do(func() { m.service.report(true); m.service.report(false) })
		m.do(func() { m.service.report(true) })
	}
	m.until(original)
	m.do(func() { m.service.report(false) })
	m.until(header+both, at4, at6)
}

func TestServiceOnly(t *testing.T) {
	m := newMachine(t, System)
	m.do(func() { m.service.report(false) })
	m.set(link("eth0", "10.0.0.1", ""))
	m.until(original)
	if !strings.Contains(m.log.String(), "does not run") || len(m.service.links) != 1 {
		t.Errorf("logged %s, told %v", m.log, m.service.links)
	}
}
