package dnsproxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func twoServers() Config {
	return Config{Scopes: []Scope{{Servers: []netip.AddrPort{serverA, serverB}}}}
}

func refuse(t *testing.T, a asking, rcode int) *dns.Msg {
	m := answer(t, a.Msg)
	m.Rcode = rcode
	return m
}

func TestNextServerAfterSilence(t *testing.T) {
	r := newRig(t, twoServers())
	r.ask(question("www.example."))
	a := one(t, r.asked())
	if a.to() != serverA {
		t.Fatalf("asked %s first", a.to())
	}
	r.pass(firstPatience - 1)
	none(t, r.asked())
	r.pass(1)
	b := one(t, r.asked())
	if b.to() != serverB || b.Id == a.Id && b.s == a.s {
		t.Fatalf("asked %s next", b.to())
	}
	// The first one's answer is still welcome.
	r.reply(a, answer(t, a.Msg, "www.example. 300 IN A 192.0.2.1"))
	one(t, r.answers())
	if n := len(b.s.ids); n != 0 {
		t.Errorf("%d answers expected of the other one", n)
	}
}

func TestNextServerAfterRefusal(t *testing.T) {
	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeNotImplemented, dns.RcodeFormatError} {
		r := newRig(t, twoServers())
		r.ask(question("www.example."))
		r.ask(question("www.example."))
		a := one(t, r.asked())
		r.reply(a, refuse(t, a, rcode))
		b := one(t, r.asked())
		if b.to() != serverB {
			t.Fatalf("asked %s", b.to())
		}
		none(t, r.answers())
		r.reply(b, refuse(t, b, rcode))
		for _, m := range r.answers() {
			if m.Rcode != rcode {
				t.Errorf("%v", m)
			}
		}
		if len(r.e.flights.active) != 0 {
			t.Error("the question is kept")
		}
	}
}

// TestFailuresAreKept for a moment, so that impatient programs don't make
// matters worse (RFC 9520).
func TestFailuresAreKept(t *testing.T) {
	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeRefused, -1} {
		r := newRig(t, oneServer())
		fail := func() {
			t.Helper()
			a := one(t, r.asked())
			if rcode < 0 {
				r.pass(patience)
				r.asked()
			} else {
				r.reply(a, refuse(t, a, rcode))
			}
		}
		want := max(rcode, dns.RcodeServerFailure)
		r.ask(question("www.example."))
		fail()
		r.ask(question("WWW.example."))
		none(t, r.asked())
		for _, m := range r.answers() {
			if m.Rcode != want || len(m.Question) != 1 {
				t.Errorf("%v", m)
			}
		}
		r.ask(question("other.example."))
		fail()
		r.answers()
		r.pass(failureTTL * time.Second)
		r.ask(question("www.example."))
		a := one(t, r.asked())
		r.reply(a, answer(t, a.Msg, "www.example. 300 IN A 192.0.2.1"))
		if m := one(t, r.answers()); len(m.Answer) != 1 {
			t.Errorf("%v", m)
		}
	}
}

// TestEvictionIsNoFailure: a flood must not make names fail for others.
func TestEvictionIsNoFailure(t *testing.T) {
	r := newRig(t, oneServer())
	for i := range maxFlights + 1 {
		r.ask(question(fmt.Sprintf("n%d.example.", i)))
		r.e.asks.n, r.e.asks.used = 0, 0
	}
	if r.e.stats.Evicted != 1 || r.e.cache.names != 0 {
		t.Errorf("%d evicted, %d kept", r.e.stats.Evicted, r.e.cache.names)
	}
}

func TestNextServerAfterNonsense(t *testing.T) {
	r := newRig(t, twoServers())
	r.ask(question("www.example."))
	a := one(t, r.asked())
	raw, _ := answer(t, a.Msg, "www.example. 300 IN A 192.0.2.1").Pack()
	r.replyRaw(a, raw[:len(raw)-1])
	if b := one(t, r.asked()); b.to() != serverB {
		t.Errorf("asked %s", b.to())
	}
}

// TestDeadServerIsPassedOver, and looked at now and then without making anybody
// wait for it.
func TestDeadServerIsPassedOver(t *testing.T) {
	r := newRig(t, twoServers())
	n := 0
	ask := func() []asking {
		n++
		r.ask(question(fmt.Sprintf("n%d.example.", n)))
		return r.asked()
	}
	for range strikes {
		one(t, ask())
		r.pass(firstPatience)
		b := one(t, r.asked())
		r.reply(b, answer(t, b.Msg))
	}
	dead := r.e.now
	looks := 0
	for r.e.now < dead+10*time.Minute {
		all := ask()
		if all[0].to() != serverB || len(all) > 2 {
			t.Fatalf("after %v asked %s", r.e.now-dead, all[0].to())
		}
		looks += len(all) - 1
		r.reply(all[0], answer(t, all[0].Msg))
		r.pass(time.Second)
	}
	if looks < 2 || looks > 20 {
		t.Errorf("looked %d times in ten minutes", looks)
	}
	for all := []asking(nil); len(all) < 2; r.pass(time.Second) {
		all = ask()
		for _, a := range all {
			r.reply(a, answer(t, a.Msg))
		}
		if r.e.now > dead+20*time.Minute {
			t.Fatal("the dead server is not looked at any more")
		}
	}
	if a := one(t, ask()); a.to() != serverA {
		t.Errorf("the first server is back, but %s is asked", a.to())
	}
}

// TestSilenceEndsInTime: clients hear of a failure before they give up, a lone
// server is asked again, and not for ever more often.
func TestSilenceEndsInTime(t *testing.T) {
	for _, c := range []Config{oneServer(), twoServers()} {
		r := newRig(t, c)
		began := r.e.now
		r.ask(question("www.example."))
		sent := 0
		for len(r.e.flights.active) > 0 {
			sent += len(r.asked())
			r.pass(50 * time.Millisecond)
		}
		if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure || r.e.now-began > 5*time.Second {
			t.Errorf("after %v: %v", r.e.now-began, m)
		}
		if sent < 3 || sent > maxAttempts {
			t.Errorf("%d questions sent", sent)
		}
		r.pass(time.Minute)
		for u := range r.e.upstreams {
			if up := r.e.upstreams[u]; up.sockets != [poolSize]*socket{} || len(up.retired) != 0 {
				t.Errorf("sockets are open after a minute")
			}
		}
		if r.e.due != never {
			t.Errorf("due again in %v, with nothing to do", r.e.due-r.e.now)
		}
	}
}

func TestUnreachableServerIsToldAtOnce(t *testing.T) {
	r := newRig(t, oneServer())
	r.ask(question("www.example."))
	a := one(t, r.asked())
	a.s.fail(r.e) // as after an ICMP error
	if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("%v", m)
	}
}

func TestServeStale(t *testing.T) {
	c := twoServers()
	c.ServeStale = true
	r := newRig(t, c)
	r.ask(question("www.example."))
	a := one(t, r.asked())
	r.reply(a, answer(t, a.Msg, "www.example. 60 IN A 192.0.2.1"))
	one(t, r.answers())
	r.pass(time.Hour)

	// Nobody answers: the client gets what there is, before it gives up.
	r.ask(question("www.example."))
	none(t, r.answers())
	r.pass(staleWait)
	if m := one(t, r.answers()); len(m.Answer) != 1 || m.Answer[0].Header().Ttl != staleTTL {
		t.Errorf("%v", m)
	}
	r.pass(patience)
	none(t, r.answers())
	r.asked()
	// For a while nobody has to wait again.
	r.ask(question("www.example."))
	if m := one(t, r.answers()); len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
	none(t, r.asked())
	r.pass(staleTTL * time.Second)
	r.ask(question("www.example."))
	a = r.asked()[0]
	r.reply(a, answer(t, a.Msg, "www.example. 60 IN A 192.0.2.2"))
	if m := one(t, r.answers()); m.Answer[0].(*dns.A).A[3] != 2 {
		t.Errorf("with servers again: %v", m)
	}
	r.pass(25 * time.Hour)
	r.ask(question("www.example."))
	r.pass(patience)
	if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("of yesterday: %v", m)
	}
}

// TestPrefetch: what is asked for often is fetched before it expires.
func TestPrefetch(t *testing.T) {
	r := newRig(t, oneServer())
	r.ask(question("hot.example."))
	r.ask(question("cold.example."))
	for _, a := range r.asked() {
		r.reply(a, answer(t, a.Msg, a.Question[0].Name+" 100 IN A 192.0.2.1"))
	}
	for range 5 {
		r.ask(question("hot.example."))
	}
	none(t, r.asked())
	r.pass(95 * time.Second)
	r.answers()
	r.ask(question("hot.example."))
	r.ask(question("hot.example."))
	r.ask(question("cold.example."))
	if n := len(r.answers()); n != 3 {
		t.Errorf("%d answers", n)
	}
	a := one(t, r.asked())
	if a.Question[0].Name != "hot.example." {
		t.Errorf("fetched %v", a.Question)
	}
	r.reply(a, answer(t, a.Msg, "hot.example. 100 IN A 192.0.2.1"))
	none(t, r.answers())
	r.pass(50 * time.Second)
	r.ask(question("hot.example."))
	if m := one(t, r.answers()); m.Answer[0].Header().Ttl != 50 {
		t.Errorf("%v", m)
	}
}

// TestFailedPrefetch leaves what holds still.
func TestFailedPrefetch(t *testing.T) {
	r := newRig(t, oneServer())
	r.ask(question("hot.example."))
	a := one(t, r.asked())
	r.reply(a, answer(t, a.Msg, "hot.example. 100 IN A 192.0.2.1"))
	r.pass(95 * time.Second)
	for range 3 {
		r.ask(question("hot.example."))
	}
	a = one(t, r.asked())
	r.reply(a, refuse(t, a, dns.RcodeServerFailure))
	r.answers()
	r.ask(question("hot.example."))
	if m := one(t, r.answers()); len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
}

func TestHealth(t *testing.T) {
	var h health
	if h.patience() != firstPatience || h.dead() {
		t.Errorf("new: %v", h)
	}
	for range 20 {
		h.answered(20 * time.Millisecond)
	}
	if h.patience() != minPatience {
		t.Errorf("fast: %v", h.patience())
	}
	for range 50 {
		h.answered(300 * time.Millisecond)
	}
	if p := h.patience(); p < 300*time.Millisecond || p > 500*time.Millisecond {
		t.Errorf("slow: %v", p)
	}
	now := time.Hour
	for range strikes {
		if h.dead() {
			t.Error("dead too early")
		}
		h.failed(now)
	}
	for _, p := range []time.Duration{minCorpse, 2 * minCorpse, 4 * minCorpse} {
		if !h.dead() || h.probe(now+p-1) {
			t.Errorf("looked at before %v", p)
		}
		now += p
		if !h.probe(now) || h.probe(now) {
			t.Errorf("not looked at once after %v", p)
		}
		h.failed(now)
	}
	h.answered(time.Millisecond)
	if h.dead() || h.probe(now+time.Hour) {
		t.Error("dead after an answer")
	}
}

// TestFloodMakesRoom: a flood of names that nobody answers takes its own
// places, not those of others.
func TestFloodMakesRoom(t *testing.T) {
	r := newRig(t, oneServer())
	flooder := sockaddr{2, 0, 66, 66, 127, 0, 0, 1}
	flood := func(n int) {
		for i := range n {
			raw, _ := question(fmt.Sprintf("n%d.x%d.example.", i, r.e.round)).Pack()
			r.e.round++
			r.e.serve(client{udp: r.l, addr: &flooder}, raw)
			r.e.asks.n, r.e.asks.used = 0, 0
			r.e.replies.n, r.e.replies.used = 0, 0
		}
	}
	flood(3 * maxFlights)
	if n := len(r.e.flights.active); n != maxFlights {
		t.Fatalf("%d in flight", n)
	}
	for fs := &r.e.flights; fs.source(r.source(r.port+1)) == fs.source(&flooder); {
		r.port++ // into another bucket
	}
	r.ask(question("www.example."))
	if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("the flood's oldest question ends with %v", m)
	}
	a := one(t, r.asked())
	flood(3 * maxFlights)
	r.reply(a, answer(t, a.Msg, "www.example. 300 IN A 192.0.2.1"))
	if m := one(t, r.answers()); len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
	sockets := 0
	for _, u := range r.e.upstreams {
		sockets += len(u.retired) + poolSize
	}
	if sockets > 100 {
		t.Errorf("%d sockets", sockets)
	}
	r.pass(10 * time.Second)
	if len(r.e.flights.active) != 0 || len(r.e.flights.byHash) != 0 {
		t.Error("questions are left")
	}
	for _, u := range r.e.upstreams {
		if len(u.retired) != 0 {
			t.Errorf("%d sockets are left", len(u.retired))
		}
	}
}

// TestCrowdWithOneQuestion is bounded, and nobody is counted twice.
func TestCrowdWithOneQuestion(t *testing.T) {
	r := newRig(t, oneServer())
	q, _ := question("www.example.").Pack()
	from := sockaddr{2, 0, 66, 66, 127, 0, 0, 1}
	for range 10 {
		r.e.serve(client{udp: r.l, addr: &from}, q)
	}
	a := one(t, r.asked())
	r.reply(a, answer(t, a.Msg, "www.example. 0 IN A 192.0.2.1"))
	one(t, r.answers())
	for i := range maxWaiters + 10 {
		from[2], from[3] = byte(i>>8), byte(i)
		r.e.serve(client{udp: r.l, addr: &from}, q)
		if i < maxWaiters && len(r.answers()) != 0 {
			t.Fatalf("the %dth client is turned away", i)
		}
	}
	one(t, r.answers()[9:])
	one(t, r.asked())
}
