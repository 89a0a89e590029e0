package dhcp4

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"net.connman/connmand/internal/core"
)

func TestFirstLease(t *testing.T) {
	s := newSim(t, goodServer)
	s.step(begin{})
	s.wantState(bound)
	l, _ := s.lease()
	if l.IP.Address != netip.MustParsePrefix("10.0.0.5/24") || l.Lifetime != time.Hour || l.Server != serverOne {
		t.Errorf("lease %+v", l)
	}
	d, r := s.sent[0], s.sent[1]
	if d.kind() != discover || d.at != epoch || d.HostName() != "box" || d.IsBroadcast() {
		t.Errorf("first message %v", d.Summary())
	}
	if id := d.Options[61]; !bytes.Equal(id, append([]byte{1}, testMAC...)) {
		t.Errorf("client identifier %x", id)
	}
	if r.TransactionID != d.TransactionID || r.Options[50] == nil || r.Options[54] == nil || !r.ClientIPAddr.IsUnspecified() {
		t.Errorf("request %v", r.Summary())
	}
	if len(s.sent) != 2 || s.kept == nil {
		t.Errorf("%d messages, kept %v", len(s.sent), s.kept)
	}
}

// Days of silence: a report after half a minute, then about a message a minute
// for ever.
func TestSilence(t *testing.T) {
	s := newSim(t, silent)
	s.step(begin{})
	s.run(29 * time.Second)
	if len(s.events) != 0 || len(s.sent) != 6 {
		t.Fatalf("after 29 s: events %v, %d messages", s.events, len(s.sent))
	}
	s.run(2 * time.Second)
	if has[core.DHCPNoAnswer](s) != 1 {
		t.Fatalf("after 31 s: events %v", s.events)
	}
	s.run(48 * time.Hour)
	if n := len(s.sent); n < 2600 || n > 2800 {
		t.Errorf("%d messages in two days", n)
	}
	if len(s.events) != 1 {
		t.Errorf("events %v", s.events)
	}
	for i, m := range s.sent[1:] {
		gap, least := m.at.Sub(s.sent[i].at), min(firstRetry<<i, maxRetry)
		if i >= 7 {
			least = maxRetry
		}
		if gap < least-maxJitter || gap > least+maxJitter {
			t.Fatalf("message %d after %v, want %v ± 1s", i+1, gap, least)
		}
		if m.IsBroadcast() != (i%2 == 1) {
			t.Fatalf("message %d: broadcast flag %v", i+2, m.IsBroadcast())
		}
	}
	s.server = goodServer
	s.run(maxRetry + maxJitter)
	s.wantState(bound)
}

// A server of which only broadcasts arrive, or only what it sends directly, is
// understood within a few messages.
func TestAnswersOfOneKindArrive(t *testing.T) {
	for _, c := range []struct {
		broadcast bool
		messages  int
		within    time.Duration
	}{
		{broadcast: false, messages: 2, within: 0},
		{broadcast: true, messages: 4, within: 2 * time.Second},
	} {
		s := newSim(t, func(q sent) [][]byte {
			if q.IsBroadcast() != c.broadcast {
				return nil
			}
			return goodServer(q)
		})
		s.step(begin{})
		s.run(c.within)
		s.wantState(bound)
		if len(s.sent) != c.messages {
			t.Errorf("broadcast %v: %d messages, want %d", c.broadcast, len(s.sent), c.messages)
		}
	}
}

func TestRenewal(t *testing.T) {
	s := newSim(t, goodServer)
	s.step(begin{})
	s.run(30 * time.Minute)
	if len(s.sent) != 3 || has[core.DHCPBound](s) != 2 {
		t.Fatalf("%d messages, events %v", len(s.sent), s.events)
	}
	r := s.sent[2]
	if r.to != serverOne || r.ClientIPAddr.String() != addrOne.String() || r.Options[50] != nil || r.Options[54] != nil {
		t.Errorf("renewal to %v: %v", r.to, r.Summary())
	}
	s.run(24 * time.Hour)
	if has[core.DHCPLost](s) != 0 || s.count(discover) != 1 {
		t.Errorf("lost in a day of renewals: %v", s.events)
	}
}

// The server falls silent at a time of the lease and comes back later.
func TestSilentServer(t *testing.T) {
	for _, c := range []struct {
		name          string
		silent, again time.Duration
		losses        int
		state         state // when it comes back
	}{
		{"before T1", time.Minute, 29 * time.Minute, 0, bound},
		{"before T2", 20 * time.Minute, 50 * time.Minute, 0, renewing},
		{"after T2", 20 * time.Minute, 55 * time.Minute, 0, rebinding},
		{"beyond the lease", 20 * time.Minute, 61 * time.Minute, 1, selecting},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSim(t, goodServer)
			s.step(begin{})
			s.run(c.silent)
			s.server = silent
			s.run(c.again - c.silent)
			s.wantState(c.state)
			s.server = goodServer
			s.run(10 * time.Minute)
			s.wantState(bound)
			if n := has[core.DHCPLost](s); n != c.losses {
				t.Errorf("lost %d times, want %d", n, c.losses)
			}
		})
	}
}

// A renewal whose answer is lost is repeated, to the server and then to all.
func TestDroppedRenewalAck(t *testing.T) {
	drops := 0
	s := newSim(t, nil)
	s.server = func(q sent) [][]byte {
		if q.kind() == request && !q.ClientIPAddr.IsUnspecified() && drops < 3 {
			drops++
			return nil
		}
		return goodServer(q)
	}
	s.step(begin{})
	s.run(50 * time.Minute)
	s.wantState(bound)
	if drops != 3 || has[core.DHCPLost](s) != 0 {
		t.Errorf("%d dropped, events %v", drops, s.events)
	}
}

func TestShortLeaseGetsSeveralTries(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte {
		switch {
		case q.kind() == discover:
			return [][]byte{q.answer(offer, serverOne, addrOne)}
		case q.ClientIPAddr.IsUnspecified():
			return [][]byte{q.answer(ack, serverOne, addrOne, leaseTime(2*time.Minute))}
		}
		return nil
	})
	s.step(begin{})
	s.run(119 * time.Second)
	if n := s.count(request); n < 6 || n > 12 {
		t.Errorf("%d requests in a lease of two minutes", n)
	}
	s.run(time.Second)
	if has[core.DHCPLost](s) != 1 {
		t.Errorf("not lost at its end: %v", s.events)
	}
}

func TestInfiniteLease(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte {
		if q.kind() == discover {
			return goodServer(q)
		}
		return [][]byte{q.answer(ack, serverOne, addrOne, rawOption(51, be32(infinite)...))}
	})
	s.step(begin{})
	s.wantState(bound)
	l, _ := s.lease()
	if l.Lifetime != 0 || !s.m.wake().IsZero() {
		t.Errorf("lifetime %v, wake %v", l.Lifetime, s.m.wake())
	}
	s.run(10000 * time.Hour)
	if len(s.sent) != 2 {
		t.Errorf("%d messages", len(s.sent))
	}
}

// A lease counts from the message that it answers; an answer that comes when
// the lease is over already is none.
func TestLateAck(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte {
		if q.kind() == discover {
			return goodServer(q)
		}
		return nil
	})
	s.step(begin{})
	s.run(9 * time.Second)
	r := s.sent[len(s.sent)-1]
	s.run(time.Second)
	s.hear(r.answer(ack, serverOne, addrOne, leaseTime(time.Hour)))
	if l, _ := s.lease(); l.Lifetime != time.Hour-s.now.Sub(r.at) {
		t.Errorf("asked at %v, now %v, lifetime %v", r.at, s.now, l.Lifetime)
	}

	s = newSim(t, goodServer)
	s.step(begin{})
	s.server = silent
	s.run(31 * time.Minute)
	s.hear(s.sent[2].answer(ack, serverOne, addrOne, leaseTime(30*time.Second)))
	s.wantState(renewing)
}

func nakAll(q sent) [][]byte {
	if q.kind() == discover {
		return goodServer(q)
	}
	return [][]byte{q.answer(nak, serverOne, netip.IPv4Unspecified())}
}

func TestServerThatAlwaysRefuses(t *testing.T) {
	s := newSim(t, nakAll)
	s.step(begin{last: addrOne})
	s.run(time.Hour)
	if n := s.count(discover); n < 50 || n > 80 {
		t.Errorf("%d discovers in an hour", n)
	}
	if has[core.DHCPNoAnswer](s) != 1 || len(s.events) != 1 {
		t.Errorf("events %v", s.events)
	}
	s.server = goodServer
	s.run(maxRetry + maxJitter)
	s.wantState(bound)
}

func TestServerThatNeverAcknowledges(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte {
		if q.kind() == discover {
			return goodServer(q)
		}
		return nil
	})
	s.step(begin{})
	s.run(time.Hour)
	if n := len(s.sent); n > 300 || has[core.DHCPNoAnswer](s) != 1 {
		t.Errorf("%d messages in an hour, events %v", n, s.events)
	}
}

func TestRefusedRenewalStartsOver(t *testing.T) {
	s := newSim(t, goodServer)
	s.step(begin{})
	s.server = nakAll
	s.run(30 * time.Minute)
	if has[core.DHCPLost](s) != 1 || s.kept != nil {
		t.Fatalf("events %v, kept %v", s.events, s.kept)
	}
	s.server = goodServer
	s.run(2 * time.Second)
	s.wantState(bound)
}

func TestReboot(t *testing.T) {
	t.Run("confirmed", func(t *testing.T) {
		s := newSim(t, goodServer)
		s.step(begin{last: addrOne})
		s.wantState(bound)
		r := s.sent[0]
		if len(s.sent) != 1 || r.kind() != request || r.Options[50] == nil || r.Options[54] != nil {
			t.Errorf("%d messages, first %v", len(s.sent), r.Summary())
		}
	})
	t.Run("refused", func(t *testing.T) {
		s := newSim(t, func(q sent) [][]byte {
			if q.kind() == request && q.Options[54] == nil {
				return nakAll(q)
			}
			return goodServer(q)
		})
		s.step(begin{last: netip.MustParseAddr("192.168.9.9")})
		s.wantState(bound)
		if s.now != epoch || len(s.sent) != 3 {
			t.Errorf("took %v and %d messages", s.now.Sub(epoch), len(s.sent))
		}
	})
	t.Run("unanswered", func(t *testing.T) {
		s := newSim(t, func(q sent) [][]byte {
			if q.kind() == request && q.Options[54] == nil {
				return nil
			}
			return goodServer(q)
		})
		s.step(begin{last: addrOne})
		s.run(4 * time.Second)
		s.wantState(bound)
	})
	t.Run("of nothing to ask for", func(t *testing.T) {
		for _, a := range []string{"0.0.0.0", "169.254.3.4", "255.255.255.255", "::1"} {
			s := newSim(t, silent)
			s.step(begin{last: netip.MustParseAddr(a)})
			s.wantState(selecting)
		}
	})
}

// held gives a lease of an hour, as one read from a file.
func held(t *testing.T, age time.Duration) *lease {
	s := newSim(t, goodServer)
	s.step(begin{})
	r, err := parseReply(s.kept.Reply)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := leaseConfig(r)
	if err != nil {
		t.Fatal(err)
	}
	return newLease(c, r, epoch.Add(-age))
}

func TestHeldLease(t *testing.T) {
	t.Run("confirmed", func(t *testing.T) {
		s := newSim(t, goodServer)
		s.step(begin{last: addrOne, held: held(t, 20*time.Minute)})
		s.wantState(bound)
		if b := s.events[0].(core.DHCPBound); b.Lease.Lifetime != 40*time.Minute {
			t.Errorf("first reported with %v to go", b.Lease.Lifetime)
		}
		if l, _ := s.lease(); l.Lifetime != time.Hour || has[core.DHCPLost](s) != 0 {
			t.Errorf("then %v", s.events)
		}
	})
	t.Run("refused", func(t *testing.T) {
		s := newSim(t, nakAll)
		s.step(begin{last: addrOne, held: held(t, 20*time.Minute)})
		if has[core.DHCPBound](s) != 1 || has[core.DHCPLost](s) != 1 {
			t.Errorf("events %v", s.events)
		}
	})
	t.Run("unanswered", func(t *testing.T) {
		s := newSim(t, silent)
		s.step(begin{last: addrOne, held: held(t, 20*time.Minute)})
		s.run(9 * time.Minute)
		s.wantState(bound)
		s.run(5 * time.Minute)
		s.wantState(renewing)
		s.run(26 * time.Minute)
		s.wantState(selecting)
		if has[core.DHCPLost](s) != 1 {
			t.Errorf("events %v", s.events)
		}
	})
}

// Time asleep counts: the machine wakes where the lease stands then.
func TestSuspend(t *testing.T) {
	for _, c := range []struct {
		asleep time.Duration
		want   state
	}{
		{20 * time.Minute, bound},
		{40 * time.Minute, renewing},
		{55 * time.Minute, rebinding},
		{2 * time.Hour, selecting},
	} {
		s := newSim(t, goodServer)
		s.step(begin{})
		s.server = silent
		s.now = s.now.Add(c.asleep)
		s.step(tick{})
		if s.m.state != c.want {
			t.Errorf("after %v: %v, want %v", c.asleep, s.m.state, c.want)
		}
	}
}

func TestOffersThatAreIgnored(t *testing.T) {
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.5", "255.255.255.255", "240.0.0.1", "10.0.0.0", "10.0.0.255",
	} {
		s := newSim(t, func(q sent) [][]byte {
			return [][]byte{q.answer(offer, serverOne, netip.MustParseAddr(a))}
		})
		s.step(begin{})
		if s.m.state != selecting {
			t.Errorf("offer of %s accepted", a)
		}
	}
}

// Messages that are not the answer to what was asked change nothing.
func TestStrangersMessages(t *testing.T) {
	s := newSim(t, silent)
	s.step(begin{})
	q := s.sent[0]
	offered := func(change func(b []byte)) []byte {
		b := q.answer(offer, serverOne, addrOne)
		change(b)
		return b
	}
	for name, b := range map[string][]byte{
		"other transaction": offered(func(b []byte) { b[5] ^= 1 }),
		"other client":      offered(func(b []byte) { b[28] ^= 1 }),
		"request":           offered(func(b []byte) { b[0] = 1 }),
		"ack, unasked":      q.answer(ack, serverOne, addrOne),
		"nak, unasked":      q.answer(nak, serverOne, addrOne),
		"no server":         q.answer(offer, serverOne, addrOne, rawOption(54)),
		"server 0.0.0.0":    q.answer(offer, netip.IPv4Unspecified(), addrOne),
	} {
		s.hear(b)
		if s.m.state != selecting || len(s.sent) != 1 {
			t.Fatalf("%s: state %v, %d messages", name, s.m.state, len(s.sent))
		}
	}
	s.hear(offered(func([]byte) {}))
	s.wantState(requesting)
	r := s.sent[1]
	s.hear(r.answer(ack, serverTwo, addrOne))
	s.hear(r.answer(nak, serverTwo, addrOne))
	s.hear(q.answer(offer, serverTwo, addrOne))
	s.wantState(requesting)
	s.hear(r.answer(ack, serverOne, addrOne))
	s.wantState(bound)
	s.hear(r.answer(nak, serverOne, addrOne))
	s.wantState(bound)
}

func TestTwoServers(t *testing.T) {
	other := netip.MustParseAddr("10.0.0.9")
	s := newSim(t, func(q sent) [][]byte {
		if q.kind() == discover {
			return [][]byte{q.answer(offer, serverTwo, other), q.answer(offer, serverOne, addrOne)}
		}
		if bytes.Equal(q.Options[54], serverTwo.AsSlice()) {
			return [][]byte{q.answer(ack, serverTwo, other, leaseTime(time.Hour))}
		}
		return nil
	})
	s.step(begin{})
	s.wantState(bound)
	if l, _ := s.lease(); l.Server != serverTwo || len(s.sent) != 2 {
		t.Errorf("lease %+v after %d messages", l, len(s.sent))
	}
	// Its server is gone for good; when all are asked, the other one answers.
	s.server = func(q sent) [][]byte {
		if q.kind() == request && !q.to.IsValid() {
			return [][]byte{q.answer(ack, serverOne, other, leaseTime(time.Hour))}
		}
		return nil
	}
	s.run(53 * time.Minute)
	s.wantState(bound)
	if l, _ := s.lease(); l.Server != serverOne || has[core.DHCPLost](s) != 0 {
		t.Errorf("lease %+v", l)
	}
}

// A server that answers first and never keeps its offers does not keep the
// machine from the other one; alone it is still asked.
func TestServerThatOffersOnly(t *testing.T) {
	other := netip.MustParseAddr("10.0.0.9")
	s := newSim(t, func(q sent) [][]byte {
		switch {
		case q.kind() == discover:
			return [][]byte{q.answer(offer, serverTwo, other), q.answer(offer, serverOne, addrOne)}
		case bytes.Equal(q.Options[54], serverOne.AsSlice()):
			return goodServer(q)
		}
		return nil
	})
	s.step(begin{})
	s.run(20 * time.Second)
	if l, ok := s.lease(); !ok || l.Server != serverOne {
		t.Fatalf("%v; events %v", s.m.state, s.events)
	}

	s = newSim(t, nakAll)
	s.step(begin{})
	s.wantState(selecting)
	s.server = goodServer
	s.run(4 * time.Second)
	s.wantState(bound)
}

func TestConflicts(t *testing.T) {
	c := core.Conflict{Address: addrOne, Holder: "\x02\x00\x00\x00\x00\x99"}
	s := newSim(t, goodServer)
	s.m.check = true
	s.step(begin{})
	s.wantState(probing)
	if s.m.watched() != addrOne || len(s.events) != 0 {
		t.Fatalf("watches %v, events %v", s.m.watched(), s.events)
	}
	s.step(taken{c})
	s.wantState(waiting)
	d := s.sent[len(s.sent)-1]
	if d.kind() != decline || !bytes.Equal(d.Options[50], addrOne.AsSlice()) || !bytes.Equal(d.Options[54], serverOne.AsSlice()) ||
		!d.ClientIPAddr.IsUnspecified() || d.Options[12] != nil {
		t.Errorf("declined with %v", d.Summary())
	}
	if got := s.events[0].(core.DHCPLost); got.Conflict != c || s.m.watched().IsValid() {
		t.Errorf("reported %+v", got)
	}
	s.run(declinePause - 1)
	s.wantState(waiting)
	s.run(1)
	s.wantState(probing)
	s.step(taken{c})
	if has[core.DHCPLost](s) != 2 || has[core.DHCPNoAnswer](s) != 1 {
		t.Fatalf("after the second conflict: %v", s.events)
	}
	s.run(maxRetry)
	s.wantState(probing)
	s.step(free{})
	s.wantState(bound)
	s.run(40 * time.Minute)
	if s.m.watched() != addrOne || has[core.DHCPBound](s) != 2 {
		t.Errorf("after renewal: watches %v, events %v", s.m.watched(), s.events)
	}
	s.step(taken{c})
	s.wantState(waiting)
}

func TestEnd(t *testing.T) {
	for _, give := range []bool{false, true} {
		s := newSim(t, goodServer)
		s.step(begin{})
		s.step(end{give})
		s.wantState(stopped)
		if n := s.count(release); (n == 1) != give || s.kept != nil {
			t.Errorf("release %v: %d sent, kept %v", give, n, s.kept)
		}
		if !s.m.wake().IsZero() || s.m.listening() || s.m.watched().IsValid() || s.m.unicasting().IsValid() {
			t.Error("a stopped machine wants something")
		}
	}
	s := newSim(t, silent)
	s.step(begin{})
	s.step(end{true})
	if s.count(release) != 0 {
		t.Error("released what it never had")
	}
}

// Ends and starts again in each state: the next lease comes at once.
func TestFlap(t *testing.T) {
	for _, c := range []struct {
		want   state
		server func(sent) [][]byte
		run    time.Duration
		check  bool
	}{
		{selecting, silent, 0, false},
		{requesting, func(q sent) [][]byte {
			if q.kind() == discover {
				return goodServer(q)
			}
			return nil
		}, 0, false},
		{bound, goodServer, time.Minute, false},
		{probing, goodServer, 0, true},
		{waiting, nakAll, 1500 * time.Millisecond, false},
	} {
		s := newSim(t, c.server)
		s.m.check = c.check
		s.step(begin{})
		s.run(c.run)
		s.wantState(c.want)
		s.step(end{})
		s.server, s.m.check = goodServer, false
		s.step(begin{})
		s.wantState(bound)
	}
}
