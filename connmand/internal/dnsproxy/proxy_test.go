package dnsproxy

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const within = 20 * time.Second

// world is a proxy and the servers that it may ask.
type world struct {
	t     *testing.T
	proxy *Proxy
	addr  string
}

// freePort returns a port of loopback that nobody has.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		a := l.Addr().(*net.TCPAddr).AddrPort()
		l.Close()
		if c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a)); err == nil {
			c.Close()
			return a
		}
	}
}

func newWorld(t *testing.T, c Config) *world {
	t.Helper()
	w := &world{t: t, proxy: New(slog.New(slog.DiscardHandler), noRelay{})}
	t.Cleanup(func() {
		if err := w.proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	w.proxy.Set(c)
	addr := freePort(t)
	if _, err := w.proxy.Listen(addr, ""); err != nil {
		t.Fatal(err)
	}
	w.addr = addr.String()
	return w
}

// server is a name server of the test, on UDP and TCP.
type server struct {
	addr  netip.AddrPort
	asked atomic.Int64
	mu    sync.Mutex
	names map[string]int
}

// newServer answers with what answer makes of the question; nil is silence.
func newServer(t *testing.T, answer func(q *dns.Msg, tcp bool) *dns.Msg) *server {
	t.Helper()
	s := &server{names: map[string]int{}}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		s.asked.Add(1)
		s.mu.Lock()
		s.names[q.Question[0].Name]++
		s.mu.Unlock()
		_, tcp := w.RemoteAddr().(*net.TCPAddr)
		if m := answer(q, tcp); m != nil {
			w.WriteMsg(m)
		}
	})
	s.addr = freePort(t)
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*dns.Server{{PacketConn: udp, Handler: handler, UDPSize: 65535}, {Listener: tcp, Handler: handler}} {
		started := make(chan struct{})
		d.NotifyStartedFunc = func() { close(started) }
		ended := make(chan struct{})
		go func() { d.ActivateAndServe(); close(ended) }()
		<-started
		t.Cleanup(func() { d.Shutdown(); <-ended })
	}
	return s
}

func rr(t testing.TB, s string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// address answers every question for an address.
func address(t *testing.T, ttl int) func(q *dns.Msg, tcp bool) *dns.Msg {
	return func(q *dns.Msg, _ bool) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		m.Answer = append(m.Answer, rr(t, fmt.Sprintf("%s %d IN A 192.0.2.1", q.Question[0].Name, ttl)))
		return m
	}
}

// ask asks the proxy.
func (w *world) ask(m *dns.Msg, network string) (*dns.Msg, error) {
	c := dns.Client{Net: network, Timeout: within, UDPSize: 65535}
	r, _, err := c.Exchange(m, w.addr)
	return r, err
}

func (w *world) lookup(name string, qtype uint16) *dns.Msg {
	w.t.Helper()
	r, err := w.ask(new(dns.Msg).SetQuestion(name, qtype), "udp")
	if err != nil {
		w.t.Fatalf("cannot look up %s: %v", name, err)
	}
	return r
}

func servers(ss ...*server) Config {
	var s Scope
	for _, o := range ss {
		s.Servers = append(s.Servers, o.addr)
	}
	return Config{Scopes: []Scope{s}}
}

func TestAnswersAreKept(t *testing.T) {
	s := newServer(t, address(t, 300))
	w := newWorld(t, servers(s))
	for range 5 {
		for _, network := range []string{"udp", "tcp"} {
			q := new(dns.Msg).SetQuestion("www.Example.com.", dns.TypeA)
			r, err := w.ask(q, network)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != "192.0.2.1" || r.Question[0].Name != "www.Example.com." {
				t.Errorf("%s: %v", network, r)
			}
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
	if st := w.proxy.Stats(); st.Queries != 10 || st.Hits != 9 || st.Misses != 1 || st.Answers != 1 {
		t.Errorf("%+v", st)
	}
}
