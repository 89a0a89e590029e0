package dnsproxy

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/dnstls"
	"net.connman/pkg/netcfg"
)

// noRelay is where the program is missing.
type noRelay struct{}

func (noRelay) Carry(int, int, dnstls.Peer) error { return errors.New("no program") }
func (noRelay) Rest()                             {}

// fakeRelay has the test be the server behind each stream.
type fakeRelay struct {
	t       *testing.T
	streams []int
	peers   []dnstls.Peer
	rests   int
}

func (f *fakeRelay) Carry(_, stream int, to dnstls.Peer) error {
	fd, err := unix.FcntlInt(uintptr(stream), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f.t.Cleanup(func() { unix.Close(fd) })
	f.streams = append(f.streams, fd)
	f.peers = append(f.peers, to)
	return nil
}

func (f *fakeRelay) Rest() { f.rests++ }

// secureRig is an engine that asks server A over TLS.
type secureRig struct {
	*rig
	relay *fakeRelay
}

func newSecureRig(t *testing.T, mode netcfg.DNSOverTLS, servers ...netip.AddrPort) *secureRig {
	r := &secureRig{newRig(t, Config{}), &fakeRelay{t: t}}
	r.e.relay = r.relay
	epochs := uint32(9)
	r.set(secureConfig(mode, servers...), &epochs)
	return r
}

func secureConfig(mode netcfg.DNSOverTLS, servers ...netip.AddrPort) Config {
	return Config{Scopes: []Scope{{
		Servers: append([]netip.AddrPort{serverA}, servers...), TLS: mode, Names: map[netip.Addr]string{serverA.Addr(): "dns.example"},
	}}}
}

// secure is the connection of server A.
func (r *secureRig) secure() *connection {
	for t, u := range r.e.upstreams {
		if t.addr == serverA {
			return u.secure
		}
	}
	return nil
}

// heard returns what was said to the server over the last stream.
func (r *secureRig) heard() (all []*dns.Msg) {
	r.t.Helper()
	if c := r.secure(); c != nil {
		c.ready(r.e, unix.EPOLLOUT)
	}
	b := make([]byte, 4096)
	n, err := unix.Read(r.relay.streams[len(r.relay.streams)-1], b)
	if err == unix.EAGAIN {
		return nil
	}
	if err != nil {
		r.t.Fatal(err)
	}
	for b = b[:n]; len(b) > 2; b = b[2+be.Uint16(b):] {
		m := new(dns.Msg)
		if err := m.Unpack(b[2 : 2+be.Uint16(b)]); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// say has the server say m over the last stream.
func (r *secureRig) say(m *dns.Msg) {
	r.t.Helper()
	raw, err := m.Pack()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := unix.Write(r.relay.streams[len(r.relay.streams)-1], framed(raw)); err != nil {
		r.t.Fatal(err)
	}
	r.secure().ready(r.e, unix.EPOLLIN)
}

// hangUp ends the last stream.
func (r *secureRig) hangUp() {
	unix.Shutdown(r.relay.streams[len(r.relay.streams)-1], unix.SHUT_RDWR)
	r.secure().ready(r.e, unix.EPOLLIN|unix.EPOLLHUP)
}

func TestAskedOverTLS(t *testing.T) {
	for _, mode := range []netcfg.DNSOverTLS{netcfg.Strict, netcfg.Opportunistic} {
		r := newSecureRig(t, mode)
		for _, name := range []string{"a.example.", "b.example."} {
			r.ask(question(name))
			q := one(t, r.heard())
			r.say(answer(t, q, name+" 300 IN A 192.0.2.1"))
			if m := one(t, r.answers()); m.Question[0].Name != name || len(m.Answer) != 1 {
				t.Errorf("%s: %v", mode, m)
			}
		}
		none(t, r.asked())
		want := dnstls.Peer{Addr: serverA.Addr(), Name: "dns.example", Strict: mode == netcfg.Strict}
		if got := one(t, r.relay.peers); got != want {
			t.Errorf("%s: %+v", mode, got)
		}
		r.pass(idleSecure)
		if r.secure() != nil || r.e.due != never {
			t.Errorf("%s: a connection without use is kept", mode)
		}
	}
}

// TestStrictNeverInClearText: what the server does, nothing is sent to port 53.
func TestStrictNeverInClearText(t *testing.T) {
	for name, spoil := range map[string]func(*secureRig){
		"ends":         (*secureRig).hangUp,
		"says nothing": func(r *secureRig) { r.pass(patience) },
		"truncates": func(r *secureRig) {
			m := answer(t, r.heard()[0])
			m.Truncated = true
			r.say(m)
			for len(r.e.flights.active) > 0 {
				r.hangUp()
			}
		},
	} {
		r := newSecureRig(t, netcfg.Strict)
		r.e.plan.config.ServeStale = true
		for range 2 * strikes { // dead servers are looked at, also over TLS
			r.ask(question("a.example."))
			spoil(r)
			if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure && !m.Truncated {
				t.Errorf("%s: %v", name, m)
			}
			r.pass(time.Minute)
		}
		none(t, r.asked())
	}
}

func TestWithoutRelay(t *testing.T) {
	r := newSecureRig(t, netcfg.Strict)
	r.e.relay = noRelay{}
	r.ask(question("a.example."))
	if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("strict: %v", m)
	}
	none(t, r.asked())
	r = newSecureRig(t, netcfg.Opportunistic)
	r.e.relay = noRelay{}
	r.ask(question("a.example."))
	one(t, r.asked())
}

// TestClearTextIsTheLastResort, and TLS is looked at again without anybody
// waiting for it.
func TestClearTextIsTheLastResort(t *testing.T) {
	for name, spoil := range map[string]func(*secureRig){
		"ends":         (*secureRig).hangUp,
		"says nothing": func(r *secureRig) { r.pass(maxPatience) },
	} {
		r := newSecureRig(t, netcfg.Opportunistic)
		clearText := func(name string) {
			t.Helper()
			a := one(t, r.asked())
			r.reply(a, answer(t, a.Msg, name+" 300 IN A 192.0.2.1"))
			one(t, r.answers())
		}
		r.ask(question("a.example."))
		r.ask(question("b.example."))
		none(t, r.asked())
		spoil(r)
		for _, a := range r.asked() {
			r.reply(a, answer(t, a.Msg))
		}
		if n := len(r.answers()); n != 2 {
			t.Fatalf("%s: %d answers in clear text", name, n)
		}
		r.ask(question("c.example."))
		clearText("c.example.")
		if len(r.relay.streams) != 1 {
			t.Errorf("%s: looked again at once", name)
		}
		r.pass(clearTime)
		r.ask(question("d.example."))
		clearText("d.example.")
		if len(r.relay.streams) != 2 {
			t.Fatalf("%s: not looked again", name)
		}
		r.say(answer(t, r.heard()[0], "d.example. 300 IN A 192.0.2.1"))
		none(t, r.answers())
		r.ask(question("e.example."))
		none(t, r.asked())
		r.say(answer(t, one(t, r.heard()), "e.example. 300 IN A 192.0.2.1"))
		one(t, r.answers())
	}
}

// TestAskedOnceMore: a connection may end while a question is on its way, but a
// server that ends all of them is not asked for ever.
func TestAskedOnceMore(t *testing.T) {
	r := newSecureRig(t, netcfg.Strict)
	serve := func(name string) {
		r.ask(question(name))
		r.say(answer(t, one(t, r.heard()), name+" 300 IN A 192.0.2.1"))
		one(t, r.answers())
	}
	serve("a.example.")
	r.ask(question("b.example."))
	one(t, r.heard())
	r.hangUp()
	r.say(answer(t, one(t, r.heard()), "b.example. 300 IN A 192.0.2.1"))
	if m := one(t, r.answers()); len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
	r.ask(question("c.example."))
	r.hangUp()
	r.say(new(dns.Msg)) // of no use, but something
	r.hangUp()
	if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure || len(r.relay.streams) != 3 {
		t.Errorf("%v after %d connections", m, len(r.relay.streams))
	}
}

// TestPadding: over TLS, lengths tell little of questions, and clients hear
// nothing of that.
func TestPadding(t *testing.T) {
	plain := question("a.example.")
	edns := question("b.example.").SetEdns0(1232, true)
	cookie := question("c.example.").SetEdns0(1232, false)
	cookie.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}}
	padded := question("d.example.").SetEdns0(1232, false)
	padded.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 3)}}
	long := question(strings.Repeat("a23456789.", 11) + "example.")
	for _, m := range []*dns.Msg{plain, edns, cookie, padded, long} {
		r := newSecureRig(t, netcfg.Strict)
		r.ask(m)
		q := one(t, r.heard())
		opt := q.IsEdns0()
		options := 0
		for _, o := range opt.Option {
			if o.Option() == dns.EDNS0PADDING {
				options++
			}
		}
		if raw, _ := q.Pack(); options != 1 || m != padded && len(raw)%padBlock != 0 {
			t.Errorf("%d bytes: %v", len(raw), q)
		}
		if had := m.IsEdns0(); had != nil && (opt.Do() != had.Do() || opt.UDPSize() != had.UDPSize()) {
			t.Errorf("changed to %v", opt)
		}
		a := answer(t, q, m.Question[0].Name+" 300 IN A 192.0.2.1").SetEdns0(4096, opt.Do())
		a.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 1000)}}
		r.say(a)
		got := one(t, r.answers())
		if len(got.Answer) != 1 || got.Truncated || (got.IsEdns0() == nil) != (m.IsEdns0() == nil) {
			t.Errorf("the client hears %v", got)
		}
	}
}

// TestAfterSleep: what was open long ago is not asked.
func TestAfterSleep(t *testing.T) {
	r := newSecureRig(t, netcfg.Strict)
	for i, name := range []string{"a.example.", "b.example."} {
		r.ask(question(name))
		if len(r.relay.streams) != i+1 {
			t.Errorf("question %d is the one on connection %d", i, len(r.relay.streams))
		}
		r.say(answer(t, one(t, r.heard()), name+" 300 IN A 192.0.2.1"))
		r.e.now += idleSecure // without anything done meanwhile
	}
}

// TestNobodyStandsInForStrict in clear text, of whatever scope.
func TestNobodyStandsInForStrict(t *testing.T) {
	var epochs uint32
	c := secureConfig(netcfg.Strict)
	c.Scopes = append(c.Scopes, Scope{Servers: []netip.AddrPort{serverB}}, Scope{Servers: []netip.AddrPort{serverC}, TLS: netcfg.Strict})
	p := newPlan(c, nil, &epochs)
	if r := p.routes[0]; len(r.targets) != 2 || r.targets[1].addr != serverC {
		t.Errorf("asked are %v", r.targets)
	}
	slices.Reverse(c.Scopes)
	c.Scopes = c.Scopes[1:]
	if r := newPlan(c, nil, &epochs).routes[0]; len(r.targets) != 2 || r.targets[0].tls != netcfg.ClearText || r.targets[0].name != "" {
		t.Errorf("asked are %v", r.targets)
	}
}

func TestRelayRests(t *testing.T) {
	r := newSecureRig(t, netcfg.Opportunistic)
	before := r.relay.rests
	var epochs uint32 = 99
	r.set(oneServer(), &epochs)
	if before != 0 || r.relay.rests != 1 {
		t.Errorf("rested %d times before, %d times in all", before, r.relay.rests)
	}
}
