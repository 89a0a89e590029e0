package dnsproxy

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// TestInboxFindsAll: whether datagrams come one at a time or many, each is
// received whole and with its sender, and one that is too long is known as such.
func TestInboxFindsAll(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		addr := netip.AddrPortFrom(netip.MustParseAddr(loopback), freePort(t).Port())
		fd, err := bound(addr, "", unix.SOCK_DGRAM)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var b inbox
		b.init(batch, 512, make([]byte, batch*512))
		for _, many := range slices.Concat(slices.Repeat([]int{1}, 3*soLonely), []int{40, 3}) {
			var sent, got []string
			for i := range many {
				text := fmt.Sprintf("%d %s", i, strings.Repeat("x", i*20)) // the last ones are too long
				if _, err := c.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
				if len(text) > 512 {
					text = ""
				}
				sent = append(sent, text)
			}
			for {
				n, err := b.receive(fd)
				if err == unix.EAGAIN {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				for i := range n {
					got = append(got, string(b.message(i)))
					port := uint16(b.addrs[i][2])<<8 | uint16(b.addrs[i][3])
					if from := c.LocalAddr().(*net.UDPAddr); int(port) != from.Port || b.addrs[i].family() == unix.AF_INET6 && b.addrs[i][8+15] != 1 {
						t.Fatalf("received from % x, not %s", b.addrs[i][:b.addrs[i].len()], from)
					}
				}
			}
			if !slices.Equal(got, sent) {
				t.Fatalf("received %q, not %q", got, sent)
			}
		}
	}
}

// TestWornSocketsAreReplaced before the next question needs one.
func TestWornSocketsAreReplaced(t *testing.T) {
	r := newRig(t, oneServer())
	uses := map[*socket]int{}
	for i := range poolSize * socketUses {
		name := fmt.Sprintf("n%d.example.", i)
		r.ask(new(dns.Msg).SetQuestion(name, dns.TypeA))
		a := one(t, r.asked())
		if uses[a.s]++; uses[a.s] > socketUses {
			t.Fatalf("a socket is used %d times", uses[a.s])
		}
		r.reply(a, answer(t, a.Msg, name+" 300 IN A 192.0.2.1"))
		one(t, r.answers())
		r.e.renew()
		if a.s.uses == socketUses && (a.s.fd >= 0 || slices.Contains(r.e.upstreams[a.s.u.target].sockets[:], a.s)) {
			t.Fatal("a worn socket is kept")
		}
	}
	ready := 0
	for _, s := range one(t, slices.Collect(maps.Values(r.e.upstreams))).sockets {
		if s != nil {
			ready++
		}
	}
	if ready != poolSize {
		t.Errorf("%d sockets are ready", ready)
	}
}

// TestFlightsAreUsedAgain, with nothing in them of the question before.
func TestFlightsAreUsedAgain(t *testing.T) {
	r := newRig(t, Config{Scopes: []Scope{scope(serverA)}})
	r.ask(new(dns.Msg).SetQuestion("broken.example.", dns.TypeA))
	first := one(t, r.e.flights.active)
	a := one(t, r.asked())
	failure := new(dns.Msg).SetRcode(a.Msg, dns.RcodeRefused)
	r.reply(a, failure)
	if m := one(t, r.answers()); m.Rcode != dns.RcodeRefused {
		t.Fatal(m)
	}
	for i := range 3 {
		name := fmt.Sprintf("n%d.example.", i)
		r.ask(new(dns.Msg).SetQuestion(name, dns.TypeA))
		f := one(t, r.e.flights.active)
		if f != first {
			t.Fatal("a new flight was made")
		}
		if f.apology != nil || len(f.waiters) != 1 || len(f.attempts) != 1 || f.refused != 0 {
			t.Fatalf("%+v", f)
		}
		a := one(t, r.asked())
		r.reply(a, answer(t, a.Msg, name+" 300 IN A 192.0.2.1"))
		if m := one(t, r.answers()); m.Question[0].Name != name || len(m.Answer) != 1 {
			t.Fatal(m)
		}
	}
	if kept := len(r.e.flights.spare) + len(r.e.flights.over); kept != 1 {
		t.Errorf("%d flights are kept", kept)
	}
}
