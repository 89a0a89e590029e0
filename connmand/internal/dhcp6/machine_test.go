package dhcp6

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"net.connman/connmand/internal/core"
)

// bind brings a machine to a lease of addrOne for an hour.
func bind(t testing.TB) *sim {
	t.Helper()
	s := newSim(t, goodServer)
	s.step(begin{})
	s.run(2 * time.Second)
	s.wantLease(addrOne)
	s.wantState(bound)
	return s
}

func TestSolicitRequest(t *testing.T) {
	s := bind(t)
	s.wantKinds(solicit, request)
	// RFC 8415, 18.2.1: other servers have a second, and a tenth at most.
	if d := s.last().at.Sub(epoch); d < time.Second || d > 1100*time.Millisecond {
		t.Errorf("requested after %v", d)
	}
	first, second := s.sent[0], s.sent[1]
	if first.server() != "" || second.server() != serverOne || !slices.Equal(second.addresses(), []netip.Addr{addrOne}) {
		t.Errorf("sent %v and %v", first, second)
	}
	if first.GetOneOption(dhcpv6.OptionRapidCommit) == nil || second.GetOneOption(dhcpv6.OptionRapidCommit) != nil {
		t.Error("rapid commit belongs to the Solicit alone")
	}
	for _, m := range s.sent {
		if core.DUID(m.Options.ClientID().ToBytes()) != testDUID || m.Options.OneIANA().IaId != testID.iaid ||
			!m.Options.RequestedOptions().Contains(dhcpv6.OptionSolMaxRT) || m.GetOneOption(dhcpv6.OptionElapsedTime) == nil {
			t.Errorf("sent %v", m)
		}
	}
	if l, _ := s.lease(); l.Addresses[0].Valid != time.Hour || l.Addresses[0].Preferred != 30*time.Minute {
		t.Errorf("lease %+v", l)
	}
	if s.kept == nil || s.kept.server != serverOne {
		t.Errorf("kept %+v", s.kept)
	}
}

func TestRapidCommit(t *testing.T) {
	s := newSim(t, rapidServer)
	s.step(begin{last: addrOne})
	s.wantLease(addrOne)
	s.wantKinds(solicit)
	if got := s.sent[0].addresses(); !slices.Equal(got, []netip.Addr{addrOne}) {
		t.Errorf("asked for %v", got)
	}
}

// A Reply that does not say so is not rapid (RFC 8415, 18.2.10.1).
func TestReplyToSolicitWithoutRapidCommit(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte { return [][]byte{q.answer(response, serverOne, hour(addrOne))} })
	s.step(begin{})
	s.wantState(soliciting)
}

func TestChoiceOfServer(t *testing.T) {
	preferred := func(q sent, server core.DUID, n byte, a netip.Addr) []byte {
		return appendOption(q.answer(advertise, server, hour(a)), optPreference, n)
	}
	t.Run("higher preference", func(t *testing.T) {
		s := newSim(t, func(q sent) [][]byte {
			if q.kind() == solicit {
				return [][]byte{preferred(q, serverOne, 1, addrOne), preferred(q, serverTwo, 2, addrTwo)}
			}
			return nil
		})
		s.step(begin{})
		s.run(1200 * time.Millisecond)
		if q := s.last(); q.kind() != request || q.server() != serverTwo || !slices.Equal(q.addresses(), []netip.Addr{addrTwo}) {
			t.Errorf("sent %v", q)
		}
	})
	t.Run("255 ends the choice", func(t *testing.T) {
		s := newSim(t, func(q sent) [][]byte {
			if q.kind() == solicit {
				return [][]byte{preferred(q, serverOne, 1, addrOne), preferred(q, serverTwo, 255, addrTwo)}
			}
			return nil
		})
		s.step(begin{})
		if q := s.last(); q.kind() != request || q.server() != serverTwo {
			t.Errorf("sent %v", q)
		}
	})
	t.Run("late ones are taken at once", func(t *testing.T) {
		s := newSim(t, silent)
		s.step(begin{})
		s.run(1200 * time.Millisecond)
		s.hear(s.last().answer(advertise, serverOne, hour(addrOne)))
		s.wantState(requesting)
	})
	t.Run("those without an address are passed over", func(t *testing.T) {
		s := newSim(t, func(q sent) [][]byte {
			ia := appendOption(associationBytes(testID.iaid, 0, 0), optStatus, statusBytes(noAddresses)...)
			return [][]byte{
				appendOption(q.answer(advertise, serverOne, hour(addrOne)), optStatus, statusBytes(noAddresses)...),
				appendOption(q.answer(advertise, serverOne), optIANA, ia...),
				q.answer(advertise, serverOne),
				q.answer(advertise, serverOne, give(addrOne, 0, 0)),
			}
		})
		s.step(begin{})
		s.run(31 * time.Second)
		s.wantState(soliciting)
		if has[core.DHCP6NoAnswer](s) != 1 {
			t.Errorf("events %+v", s.events)
		}
	})
}

// RFC 8415, 7.6 and 15: the pace of each exchange when nobody answers.
func TestPaceOfSilence(t *testing.T) {
	tests := []struct {
		name       string
		bring      func(*sim)
		kind       kind
		first, max time.Duration
		count      int // 0: for ever
	}{
		{"solicit", func(s *sim) { s.step(begin{}) }, solicit, time.Second, time.Hour, 0},
		{"information", func(s *sim) { s.m.wants = wishes{}; s.step(begin{}) }, information, time.Second, time.Hour, 0},
		{"request", func(s *sim) { s.server = advertiseOnly; s.step(begin{}) }, request, time.Second, 30 * time.Second, 10},
		{"confirm", func(s *sim) { s.step(begin{held: longLease(s)}) }, confirm, time.Second, 4 * time.Second, 0},
		{"renew", func(s *sim) { s.m.state, s.m.held = bound, longLease(s); s.m.held.renew = s.now }, renew, 10 * time.Second, 10 * time.Minute, 0},
		{"rebind", func(s *sim) { s.m.state, s.m.held = bound, longLease(s); s.m.held.rebind = s.now }, rebind, 10 * time.Second, 10 * time.Minute, 0},
		{"decline", func(s *sim) {
			s.m.held = longLease(s)
			s.m.enter(s.now, bound)
			s.step(taken{addrOne})
		}, decline, time.Second, 0, 4},
		{"release", func(s *sim) {
			s.m.held = longLease(s)
			s.m.enter(s.now, bound)
			s.step(end{true})
		}, release, time.Second, 0, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSim(t, silent)
			test.bring(s)
			s.run(12 * time.Hour)
			var times []time.Time
			var id uint32
			for _, q := range s.sent {
				if q.kind() == test.kind && (id == 0 || q.xid() == id) {
					id = q.xid()
					times = append(times, q.at)
				}
			}
			if test.count > 0 && len(times) != test.count {
				t.Fatalf("sent %d times, want %d", len(times), test.count)
			}
			before := time.Duration(0)
			for i := range len(times) - 1 {
				got := times[i+1].Sub(times[i])
				least, most := 19*before/10, 21*before/10
				if i == 0 {
					least, most = test.first*9/10, test.first*11/10
				}
				if test.max > 0 {
					least, most = min(least, test.max*9/10), min(most, test.max*11/10)
				}
				if got < least || got > most {
					t.Fatalf("pause %d is %v, want %v to %v", i, got, least, most)
				}
				before = got
			}
		})
	}
}

func advertiseOnly(q sent) [][]byte {
	if q.kind() == solicit {
		return [][]byte{q.answer(advertise, serverOne, hour(addrOne))}
	}
	return nil
}

// longLease never ends and is never to be renewed.
func longLease(s *sim) *lease {
	l := &lease{server: serverOne}
	l.update([]association{{given: []given{give(addrOne, infinite, infinite)}}}, s.now)
	return l
}

// RFC 8415, 21.24 and 21.25.
func TestServersSlowClientsDown(t *testing.T) {
	for _, test := range []struct {
		seconds uint32
		most    time.Duration
	}{{60, 66 * time.Second}, {59, 66 * time.Minute}, {86401, 66 * time.Minute}, {7200, 132 * time.Minute}} {
		s := newSim(t, func(q sent) [][]byte {
			b := appendOption(q.answer(advertise, serverOne), optSolMaxRT, binary.BigEndian.AppendUint32(nil, test.seconds)...)
			return [][]byte{b}
		})
		s.step(begin{})
		s.run(48 * time.Hour)
		n := len(s.sent)
		if d := s.sent[n-1].at.Sub(s.sent[n-2].at); d > test.most || d < test.most*9/11 {
			t.Errorf("%d s: pause of %v", test.seconds, d)
		}
	}
}

func TestElapsedTime(t *testing.T) {
	s := newSim(t, silent)
	s.step(begin{})
	s.run(time.Hour)
	for i, q := range s.sent {
		want := q.at.Sub(epoch).Truncate(10 * time.Millisecond)
		if got := q.Options.ElapsedTime(); got != min(want, 0xffff*10*time.Millisecond) {
			t.Errorf("message %d at %v says %v", i, want, got)
		}
	}
}

func TestRenewAndRebind(t *testing.T) {
	s := bind(t)
	asked := s.last().at
	s.sent = nil
	s.run(16 * time.Minute)
	s.wantKinds(renew)
	if q := s.last(); q.at != asked.Add(15*time.Minute) || q.server() != serverOne || !slices.Equal(q.addresses(), []netip.Addr{addrOne}) {
		t.Errorf("at %v: %v", q.at.Sub(asked), q)
	}
	asked = s.last().at
	s.server = func(q sent) [][]byte {
		if q.kind() == rebind {
			return [][]byte{q.answer(response, serverTwo, hour(addrOne))}
		}
		return nil
	}
	s.sent = nil
	s.run(25 * time.Minute)
	last := s.last()
	if last.kind() != rebind || last.at != asked.Add(24*time.Minute) || last.server() != "" {
		t.Errorf("at %v: %v", last.at.Sub(asked), last)
	}
	s.wantState(bound)
	if s.m.held.server != serverTwo || has[core.DHCP6Lost](s) != 0 {
		t.Errorf("server %s, events %+v", s.m.held.server, s.events)
	}
}

func TestExpiry(t *testing.T) {
	s := bind(t)
	s.server = silent
	s.run(time.Hour + time.Minute)
	if has[core.DHCP6Lost](s) != 1 || has[core.DHCP6NoAnswer](s) != 1 || s.kept != nil {
		t.Errorf("events %+v, kept %+v", s.events, s.kept)
	}
	s.wantState(soliciting)
	if q := s.last(); !slices.Equal(q.addresses(), []netip.Addr{addrOne}) {
		t.Errorf("asks for %v", q.addresses())
	}
	s.server = goodServer
	s.run(3 * time.Minute)
	s.wantLease(addrOne)
}

// One of two addresses ends before the other.
func TestPartOfALeaseExpires(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte {
		if q.kind() == solicit {
			return [][]byte{appendOption(q.answer(response, serverOne, give(addrOne, 3600, 3600), give(addrTwo, 60, 60)), optRapidCommit)}
		}
		return nil
	})
	s.step(begin{})
	s.wantLease(addrOne, addrTwo)
	s.run(61 * time.Second)
	s.wantLease(addrOne)
	if q := s.last(); q.kind() != rebind {
		t.Errorf("sent %v", q)
	}
	s.run(time.Hour)
	if has[core.DHCP6Lost](s) != 1 {
		t.Errorf("events %+v", s.events)
	}
}

// When the preferred time of an address is over, that is reported once.
func TestDeprecation(t *testing.T) {
	s := bind(t)
	s.server = silent
	s.run(31 * time.Minute)
	l, _ := s.lease()
	if has[core.DHCP6Bound](s) != 2 || l.Addresses[0].Preferred != 0 || l.Addresses[0].Valid > 30*time.Minute {
		t.Errorf("events %+v", s.events)
	}
	s.run(28 * time.Minute)
	if has[core.DHCP6Bound](s) != 2 || has[core.DHCP6Lost](s) != 0 {
		t.Errorf("events %+v", s.events)
	}
}

// A server takes addresses back with a lifetime of zero and adds others.
func TestRenumbering(t *testing.T) {
	s := bind(t)
	s.server = func(q sent) [][]byte {
		return [][]byte{q.answer(response, serverOne, give(addrOne, 0, 0), hour(addrTwo))}
	}
	s.run(16 * time.Minute)
	s.wantLease(addrTwo)
	s.server = func(q sent) [][]byte {
		if q.kind() == renew {
			return [][]byte{q.answer(response, serverOne, give(addrTwo, 0, 0))}
		}
		return nil
	}
	s.run(16 * time.Minute)
	if has[core.DHCP6Lost](s) != 1 || s.last().kind() != solicit || len(s.last().addresses()) != 0 {
		t.Errorf("events %+v, last %v", s.events, s.last())
	}
}

// RFC 8415, 18.2.10.1: a server that forgot the lease is asked for it anew.
func TestNoBinding(t *testing.T) {
	s := bind(t)
	s.server = func(q sent) [][]byte {
		if q.kind() == renew {
			return [][]byte{q.refuse(serverOne, noBinding)}
		}
		return goodServer(q)
	}
	s.sent, s.events = nil, nil
	s.run(16 * time.Minute)
	s.wantKinds(renew, request)
	s.wantLease(addrOne)
	if has[core.DHCP6Lost](s) != 0 {
		t.Errorf("events %+v", s.events)
	}
}

// A refused Request leads to another try, soon at first and then more and more
// slowly.
func TestRefusedRequests(t *testing.T) {
	for _, why := range []status{noAddresses, notOnLink, noBinding} {
		s := newSim(t, func(q sent) [][]byte {
			if q.kind() == solicit {
				return [][]byte{appendOption(q.answer(advertise, serverOne, hour(addrOne)), optPreference, 255)}
			}
			return [][]byte{q.refuse(serverOne, why)}
		})
		s.step(begin{last: addrOne})
		s.run(time.Hour)
		if n := len(s.sent); n < 20 || n > 150 {
			t.Errorf("status %d: %d messages in an hour", why, n)
		}
		if has[core.DHCP6NoAnswer](s) != 1 || has[core.DHCP6Lost](s) != 0 {
			t.Errorf("status %d: events %+v", why, s.events)
		}
		if asks := len(s.sent[2].addresses()) > 0; asks == (why == notOnLink) {
			t.Errorf("status %d: asks for %v again", why, s.sent[2].addresses())
		}
	}
}

// RFC 8415, 21.4: an association whose times make no sense is no part of the
// message, which counts otherwise.
func TestTimesOutOfOrder(t *testing.T) {
	s := bind(t)
	s.server = func(q sent) [][]byte {
		bad := associationBytes(testID.iaid, 2, 1, give(addrTwo, 600, 600))
		b := appendOption(appendReply(response, q.xid(), testDUID, serverOne, testID.iaid), optIANA, bad...)
		return [][]byte{appendOption(b, optIANA, associationBytes(testID.iaid, 0, 0, hour(addrOne))...)}
	}
	s.run(16 * time.Minute)
	s.wantState(bound)
	s.wantLease(addrOne)
}

// A server that does not keep what it advertised is the second choice.
func TestServerThatGivesNothing(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte {
		switch {
		case q.kind() == solicit:
			return [][]byte{
				appendOption(q.answer(advertise, serverOne, hour(addrOne)), optPreference, 255),
				q.answer(advertise, serverTwo, hour(addrTwo)),
			}
		case q.server() == serverOne:
			return [][]byte{q.refuse(serverOne, noAddresses)}
		}
		return [][]byte{q.answer(response, serverTwo, hour(addrTwo))}
	})
	s.step(begin{})
	s.run(3 * time.Second)
	s.wantLease(addrTwo)
}

func TestDecline(t *testing.T) {
	s := bind(t)
	s.sent = nil
	s.step(taken{addrTwo})
	s.wantKinds()
	s.step(taken{addrOne})
	if q := s.sent[0]; q.kind() != decline || q.server() != serverOne || !slices.Equal(q.addresses(), []netip.Addr{addrOne}) {
		t.Errorf("sent %v", q)
	}
	if has[core.DHCP6Lost](s) != 1 || s.kept != nil {
		t.Errorf("events %+v", s.events)
	}
	s.run(2 * time.Second)
	s.wantKinds(decline, solicit, request)
	if len(s.sent[1].addresses()) != 0 {
		t.Error("asks for the declined address again")
	}
	// The server gives the same address again and again.
	for range 10 {
		s.step(taken{addrOne})
		s.run(3 * time.Minute)
	}
	if n := len(s.sent); n > 40 {
		t.Errorf("%d messages", n)
	}
}

func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		name   string
		onLink bool
		server func(sent) [][]byte
		before int // leases reported before the server's word
		want   []kind
		state  state
		lost   int
	}{
		{"good", false, goodServer, 0, []kind{confirm}, bound, 0},
		{"good and on the link", true, goodServer, 1, []kind{confirm}, bound, 0},
		{"refused", false, refuseConfirm, 0, []kind{confirm, solicit}, soliciting, 0},
		{"refused and on the link", true, refuseConfirm, 1, []kind{confirm, solicit}, soliciting, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			held := bind(t).kept
			s := newSim(t, silent)
			s.now = epoch.Add(time.Minute)
			s.step(begin{last: addrOne, held: held, onLink: test.onLink})
			if got := has[core.DHCP6Bound](s); got != test.before {
				t.Errorf("reported %d leases", got)
			}
			for _, b := range test.server(s.last()) {
				s.hear(b)
			}
			s.wantKinds(test.want...)
			s.wantState(test.state)
			if has[core.DHCP6Lost](s) != test.lost {
				t.Errorf("events %+v", s.events)
			}
		})
	}
	t.Run("silence", func(t *testing.T) {
		s := newSim(t, silent)
		s.step(begin{last: addrOne, held: bind(t).kept})
		s.run(11 * time.Second)
		s.wantState(bound)
		s.wantLease(addrOne)
	})
}

func refuseConfirm(q sent) [][]byte {
	return [][]byte{appendOption(q.answer(response, serverOne), optStatus, statusBytes(notOnLink)...)}
}

func TestRelease(t *testing.T) {
	s := bind(t)
	s.sent = nil
	s.step(end{false})
	s.wantState(stopped)
	s.wantKinds()
	if s.kept == nil {
		t.Error("lease forgotten")
	}
	for name, after := range map[string]func(s *sim){
		"answered": func(s *sim) { s.hear(s.last().answer(response, serverOne)) },
		// RFC 8415, 18.2.10.2: whatever the server says, it is over.
		"unknown to the server":   func(s *sim) { s.hear(s.last().refuse(serverOne, noBinding)) },
		"answered the third time": func(s *sim) { s.run(5 * time.Second); s.hear(s.last().answer(response, serverOne)) },
		"never answered":          func(s *sim) { s.run(20 * time.Second) },
		"ended":                   func(s *sim) { s.step(end{}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := bind(t)
			s.sent, s.events, s.server = nil, nil, silent
			s.step(end{true})
			s.wantState(releasing)
			if q := s.last(); q.kind() != release || q.server() != serverOne || !slices.Equal(q.addresses(), []netip.Addr{addrOne}) {
				t.Errorf("sent %v", q)
			}
			s.hear(s.last().answer(response, serverTwo))
			s.wantState(releasing)
			after(s)
			s.wantState(stopped)
			if s.kept != nil || !s.m.wake().IsZero() || s.m.listening() || len(s.events) > 0 {
				t.Errorf("wants something after its end; events %+v", s.events)
			}
		})
	}
}

// What is not for this client or not an answer to its question does nothing.
func TestForeignMessages(t *testing.T) {
	s := newSim(t, silent)
	s.step(begin{})
	q := s.sent[0]
	rapidly := func(xid uint32, client core.DUID) []byte {
		return appendOption(appendReply(response, xid, client, serverOne, testID.iaid, hour(addrOne)), optRapidCommit)
	}
	s.hear(rapidly(q.xid()+1, testDUID))
	s.hear(rapidly(q.xid(), serverTwo))
	s.hear(appendOption(appendReply(response, q.xid(), testDUID, serverOne, iaid{1}, hour(addrOne)), optRapidCommit))
	s.wantState(soliciting)
	s.hear(rapidly(q.xid(), testDUID))
	s.wantState(bound)

	s.server = silent
	s.run(16 * time.Minute)
	s.wantState(renewing)
	s.hear(s.last().answer(response, serverTwo, hour(addrOne)))
	s.wantState(renewing)
	s.hear(s.last().answer(response, serverOne))
	s.wantState(renewing)
	s.hear(s.last().answer(response, serverOne, hour(addrOne)))
	s.wantState(bound)
}

// A link that is not ready to send is tried again soon.
func TestUnsent(t *testing.T) {
	s := newSim(t, silent)
	s.step(begin{})
	for range 3 {
		s.step(unsent{})
		s.run(unsentPause)
	}
	if n := len(s.sent); n != 4 {
		t.Fatalf("sent %d times", n)
	}
	s.run(30 * time.Second)
	before := len(s.sent)
	for range 10 {
		s.step(unsent{})
		s.run(unsentPause)
	}
	if n := len(s.sent) - before; n > 1 {
		t.Errorf("sent %d times in a second when it hopes no longer", n)
	}
}

// Whatever times a server gives, T1 comes before T2 and the machine neither
// asks all the time nor uses an address longer than it was given.
func TestLifetimes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seconds := rapid.OneOf(rapid.Uint32Range(0, 100), rapid.Uint32(), rapid.Just[uint32](infinite))
		a := association{id: testID.iaid, t1: seconds.Draw(rt, "T1"), t2: seconds.Draw(rt, "T2")}
		valid := seconds.Draw(rt, "valid")
		g := give(addrOne, min(valid, seconds.Draw(rt, "preferred")), valid)
		s := newSim(t, func(q sent) [][]byte {
			if q.kind() != solicit {
				return nil
			}
			b := appendOption(q.answer(response, serverOne), optIANA, associationBytes(a.id, a.t1, a.t2, g)...)
			return [][]byte{appendOption(b, optRapidCommit)}
		})
		s.step(begin{})
		if l := s.m.held; l != nil && !l.renew.IsZero() && !l.rebind.IsZero() && l.rebind.Before(l.renew) {
			rt.Fatalf("T2 at %v before T1 at %v", l.rebind.Sub(epoch), l.renew.Sub(epoch))
		}
		s.run(10 * time.Minute)
		if n := len(s.sent); n > 10*60/3 { // Renew, Rebind and Solicit in the shortest lease
			rt.Fatalf("%d messages in ten minutes", n)
		}
		if valid > 0 && valid < 600 && len(s.sent) < 2 {
			rt.Fatal("lease held for ever")
		}
	})
}
