package dnsproxy

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

func TestPortIsTaken(t *testing.T) {
	p := New(slog.New(slog.DiscardHandler), noRelay{})
	defer p.Close()
	addr := freePort(t)
	for _, kind := range []string{"udp", "tcp"} {
		var stop func() error
		if kind == "udp" {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
			if err != nil {
				t.Fatal(err)
			}
			stop = c.Close
		} else {
			l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())))
			if err != nil {
				t.Fatal(err)
			}
			stop = l.Close
		}
		_, err := p.Listen(addr, "")
		comm, _ := os.ReadFile("/proc/self/comm")
		if err == nil || !strings.Contains(err.Error(), addr.String()) || !strings.Contains(err.Error(), strings.TrimSpace(string(comm))) {
			t.Errorf("%s: %v", kind, err)
		}
		stop()
	}
	for _, bad := range []netip.AddrPort{{}, netip.MustParseAddrPort("0.0.0.0:5399"), netip.MustParseAddrPort("[::]:5399"), netip.MustParseAddrPort("203.0.113.7:5399")} {
		if _, err := p.Listen(bad, ""); err == nil {
			t.Errorf("listens on %s", bad)
		}
	}
	if _, err := p.Listen(addr, "nosuchlink"); err == nil || !strings.Contains(err.Error(), "nosuchlink") {
		t.Errorf("on a link that isn't: %v", err)
	}
}

func TestListenAndStop(t *testing.T) {
	s := newServer(t, address(t, 300))
	w := newWorld(t, servers(s))
	v4, port := freePort(t), freePort(t).Port()
	v6 := netip.AddrPortFrom(netip.IPv6Loopback(), port)
	for _, addr := range []netip.AddrPort{v4, v6, v4} {
		stop, err := w.proxy.Listen(addr, "lo")
		if err != nil {
			t.Fatal(err)
		}
		w.addr = addr.String()
		for _, network := range []string{"udp", "tcp"} {
			if r, err := w.ask(question("www.example.com."), network); err != nil || len(r.Answer) != 1 {
				t.Errorf("%s on %s: %v, %v", network, addr, r, err)
			}
		}
		c := w.dialTCP()
		c.Write(frame(t, question("www.example.com.")))
		readReply(t, c)
		stop()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlives its listener")
		}
		stop()
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
		if err != nil {
			t.Fatalf("the port is not free: %v", err)
		}
		l.Close()
	}
	if err := w.proxy.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.proxy.Listen(v4, ""); err == nil {
		t.Error("listens after the end")
	}
	w.proxy.Set(Config{})
	w.proxy.Stats()
}

// TestStrangers: only those whom it is for are served.
func TestStrangers(t *testing.T) {
	s := newServer(t, address(t, 300))
	w := newWorld(t, servers(s))
	addr := freePort(t)
	if _, err := w.proxy.Listen(addr, "", netip.MustParsePrefix("127.0.3.0/24")); err != nil {
		t.Fatal(err)
	}
	w.addr = addr.String()
	for _, local := range []string{"127.0.0.1", "127.0.4.1", "127.0.3.1"} {
		for _, network := range []string{"tcp", "udp"} {
			d := &net.Dialer{Timeout: within, LocalAddr: &net.UDPAddr{IP: net.ParseIP(local)}}
			if network == "tcp" {
				d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
			}
			c := dns.Client{Net: network, Dialer: d, Timeout: within}
			before := w.proxy.Stats().Refused
			if local != "127.0.3.1" && network == "udp" {
				u, err := d.Dial("udp", w.addr)
				if err != nil {
					t.Fatal(err)
				}
				raw, _ := question("www.example.com.").Pack()
				u.Write(raw)
				waitFor(t, "refusal", func() error {
					if w.proxy.Stats().Refused == before {
						return os.ErrDeadlineExceeded
					}
					return nil
				})
				u.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				if n, err := u.Read(raw); err == nil {
					t.Errorf("%s is told %d bytes", local, n)
				}
				u.Close()
				continue
			}
			r, _, err := c.Exchange(question("www.example.com."), w.addr)
			if served := err == nil && len(r.Answer) == 1; served != (local == "127.0.3.1") {
				t.Errorf("%s by %s: %v, %v", local, network, r, err)
			}
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}

// TestHitsDoNotAllocate is what the speed rests on.
func TestHitsDoNotAllocate(t *testing.T) {
	vpn := scope(serverB)
	vpn.Split, vpn.Domains = true, []string{"corp.example"}
	r := newRig(t, Config{Scopes: []Scope{scope(serverA), vpn}})
	q := question("www.example.com.")
	q.SetEdns0(1232, false)
	r.ask(q)
	a := one(t, r.asked())
	r.reply(a, answer(t, a.Msg, "www.example.com. 300 IN CNAME a.example.com.", "a.example.com. 300 IN A 192.0.2.1"))
	r.answers()
	r.pass(time.Second)
	raw, _ := q.Pack()
	from := sockaddr{unix.AF_INET, 0, 66, 66, 127, 0, 0, 1}
	c := client{udp: r.l, addr: &from}
	allocs := testing.AllocsPerRun(100, func() {
		r.e.serve(c, raw)
		if r.e.replies.n != 1 {
			t.Fatal("no answer")
		}
		r.e.replies.n, r.e.replies.used = 0, 0
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkHit(b *testing.B) {
	r := newRig(b, oneServer())
	r.ask(question("www.example.com."))
	a := one(b, r.asked())
	r.reply(a, answer(b, a.Msg, "www.example.com. 300 IN A 192.0.2.1"))
	r.answers()
	raw, _ := question("www.example.com.").Pack()
	from := sockaddr{unix.AF_INET, 0, 66, 66, 127, 0, 0, 1}
	for b.Loop() {
		r.e.serve(client{udp: r.l, addr: &from}, raw)
		r.e.replies.n, r.e.replies.used = 0, 0
	}
}
