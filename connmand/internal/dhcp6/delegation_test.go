package dhcp6

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"net.connman/connmand/internal/core"
)

var (
	prefixOne = netip.MustParsePrefix("2001:db8:100::/56")
	prefixTwo = netip.MustParsePrefix("2001:db8:200::/56")

	both = wishes{addresses: true, prefixes: true}
)

func hourOf(p netip.Prefix) given { return delegate(p, 1800, 3600) }

// prefixes are those of the association.
func (s sent) prefixes() (list []netip.Prefix) {
	if ia := s.Options.OneIAPD(); ia != nil {
		for _, p := range ia.Options.Prefixes() {
			a, _ := netip.AddrFromSlice(p.Prefix.IP)
			bits, _ := p.Prefix.Mask.Size()
			list = append(list, netip.PrefixFrom(a, bits))
		}
	}
	return list
}

// router is a server that gives what it is asked for: addrOne, prefixOne or
// both.
func router(s sent) [][]byte {
	var list []given
	if s.Options.OneIANA() != nil {
		list = append(list, hour(addrOne))
	}
	if s.Options.OneIAPD() != nil {
		list = append(list, hourOf(prefixOne))
	}
	switch s.kind() {
	case solicit:
		return [][]byte{s.answer(advertise, serverOne, list...)}
	case request, renew, rebind:
		return [][]byte{s.answer(response, serverOne, list...)}
	}
	return goodServer(s)
}

// delegated brings a machine that wants both to a lease of both for an hour.
func delegated(t testing.TB) *sim {
	t.Helper()
	s := newSim(t, router)
	s.m.wants = both
	s.step(begin{})
	s.run(2 * time.Second)
	s.wantState(bound)
	s.wantLease(addrOne)
	s.wantPrefixes(prefixOne)
	return s
}

// wantPrefixes fails unless the last report was a lease of just these prefixes.
func (s *sim) wantPrefixes(want ...netip.Prefix) {
	s.t.Helper()
	l, ok := s.lease()
	var got []netip.Prefix
	for _, p := range l.Prefixes {
		got = append(got, p.Prefix)
	}
	if !ok || !slices.Equal(got, want) {
		s.t.Fatalf("prefixes %v, want %v; events %+v", got, want, s.events)
	}
}

// Address and prefix are asked for, renewed and released in one session
// (RFC 8415, 6.5 and 18.2).
func TestAddressAndPrefix(t *testing.T) {
	s := delegated(t)
	s.wantKinds(solicit, request)
	if q := s.last(); !slices.Equal(q.addresses(), []netip.Addr{addrOne}) || !slices.Equal(q.prefixes(), []netip.Prefix{prefixOne}) ||
		q.Options.OneIAPD().IaId != testID.iaid {
		t.Errorf("sent %v", q)
	}
	if l, _ := s.lease(); l.Prefixes[0].Valid != time.Hour || l.Prefixes[0].Preferred != 30*time.Minute {
		t.Errorf("lease %+v", l)
	}
	s.sent = nil
	s.run(16 * time.Minute)
	s.wantKinds(renew)
	s.step(end{true})
	s.wantKinds(renew, release)
	if q := s.last(); len(q.addresses()) != 1 || len(q.prefixes()) != 1 {
		t.Errorf("released %v", q)
	}
}

// All is renewed when the first is due, and each ends at its own time.
func TestShortestTimeRenewsAll(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte {
		if q.kind() == solicit {
			b := q.answer(response, serverOne, give(addrOne, 3600, 7200), delegate(prefixOne, 600, 1200))
			return [][]byte{appendOption(b, optRapidCommit)}
		}
		return nil
	})
	s.m.wants = both
	s.step(begin{})
	s.run(301 * time.Second)
	s.wantState(renewing)
	s.run(300 * time.Second)
	if l, _ := s.lease(); l.Prefixes[0].Preferred != 0 || l.Addresses[0].Preferred == 0 {
		t.Errorf("lease %+v", l)
	}
	s.run(10 * time.Minute)
	s.wantLease(addrOne)
	s.wantPrefixes()
	if has[core.DHCP6Lost](s) != 0 {
		t.Errorf("events %+v", s.events)
	}
}

// A network without prefixes gives its address; what is missing is asked for at
// each renewal (RFC 8415, 18.2.4).
func TestPrefixComesLater(t *testing.T) {
	give := false
	s := newSim(t, func(q sent) [][]byte {
		if give {
			return router(q)
		}
		k := response
		if q.kind() == solicit {
			k = advertise
		}
		none := appendOption(associationBytes(testID.iaid, 0, 0), optStatus, statusBytes(noPrefixes)...)
		return [][]byte{appendOption(q.answer(k, serverOne, hour(addrOne)), optIAPD, none...)}
	})
	s.m.wants = both
	s.step(begin{})
	s.run(2 * time.Second)
	s.wantLease(addrOne)
	s.wantPrefixes()
	give = true
	s.run(16 * time.Minute)
	s.wantLease(addrOne)
	s.wantPrefixes(prefixOne)
}

// Whoever gives all that is wanted goes before whoever is preferred for less.
func TestCompleteOfferIsChosen(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte {
		if q.kind() != solicit {
			return nil
		}
		return [][]byte{
			q.answer(advertise, serverOne, hour(addrTwo), hourOf(prefixTwo)),
			appendOption(q.answer(advertise, serverTwo, hour(addrOne)), optPreference, 100),
		}
	})
	s.m.wants = both
	s.step(begin{})
	s.run(1200 * time.Millisecond)
	if q := s.last(); q.kind() != request || q.server() != serverOne || len(q.prefixes()) != 1 {
		t.Errorf("sent %v", q)
	}
}

// Without a wish for an address, configuration comes first and does not wait
// for a prefix.
func TestPrefixAlone(t *testing.T) {
	give := false
	s := newSim(t, func(q sent) [][]byte {
		switch {
		case give:
			return router(q)
		case q.kind() == information:
			return [][]byte{appendOption(q.answer(response, serverOne), optDNS, addrTwo.AsSlice()...)}
		}
		return nil
	})
	s.m.wants = wishes{prefixes: true}
	s.step(begin{})
	s.wantKinds(information, solicit)
	s.wantPrefixes()
	if l, _ := s.lease(); len(l.DNS.Servers) != 1 {
		t.Errorf("lease %+v", l)
	}
	if q := s.last(); q.Options.OneIANA() != nil || q.Options.OneIAPD() == nil {
		t.Errorf("sent %v", q)
	}
	s.run(25 * time.Hour)
	if n := slices.Index(s.kinds()[2:], information); n < 0 || has[core.DHCP6NoAnswer](s) != 0 {
		t.Errorf("configuration is not refreshed; events %+v", s.events)
	}
	give = true
	s.run(2 * time.Hour)
	s.wantLease()
	s.wantPrefixes(prefixOne)
	s.wantState(bound)
}

// An earlier lease with a prefix is rebound, not confirmed, within the time of
// a Confirm (RFC 8415, 18.2.12).
func TestPrefixOfAnEarlierLease(t *testing.T) {
	for _, test := range []struct {
		name     string
		earlier  func(testing.TB) *sim
		server   func(sent) [][]byte
		prefixes []netip.Prefix
		want     []kind
	}{
		{"good", delegated, router, []netip.Prefix{prefixOne}, []kind{rebind}},
		{"silence", delegated, silent, []netip.Prefix{prefixOne}, []kind{rebind, rebind, rebind, rebind}},
		{"renumbered", delegated, func(q sent) [][]byte {
			return [][]byte{q.answer(response, serverTwo, delegate(prefixOne, 0, 0), hourOf(prefixTwo))}
		}, []netip.Prefix{prefixTwo}, []kind{rebind}},
		{"forgotten", delegated, func(q sent) [][]byte {
			if q.kind() != rebind {
				return router(q)
			}
			none := appendOption(associationBytes(testID.iaid, 0, 0), optStatus, statusBytes(noBinding)...)
			return [][]byte{appendOption(q.answer(response, serverOne, hour(addrOne)), optIAPD, none...)}
		}, []netip.Prefix{prefixOne}, []kind{rebind, request}},
		{"of an address alone", bind, router, []netip.Prefix{prefixOne}, []kind{rebind}},
	} {
		t.Run(test.name, func(t *testing.T) {
			held := test.earlier(t).kept
			s := newSim(t, test.server)
			s.m.wants, s.now = both, epoch.Add(time.Minute)
			s.step(begin{last: addrOne, held: held})
			s.run(11 * time.Second)
			s.wantKinds(test.want...)
			s.wantState(bound)
			s.wantLease(addrOne)
			s.wantPrefixes(test.prefixes...)
			if has[core.DHCP6Lost](s) != 0 {
				t.Errorf("events %+v", s.events)
			}
		})
	}
}

// An address that is another machine's goes, its prefix is asked for again.
func TestDeclineWithPrefix(t *testing.T) {
	s := delegated(t)
	s.sent = nil
	s.step(taken{addrOne})
	s.run(2 * time.Second)
	s.wantKinds(decline, solicit, request)
	if q := s.sent[0]; q.Options.OneIAPD() != nil || len(q.addresses()) != 1 {
		t.Errorf("declined %v", q)
	}
	if q := s.sent[1]; len(q.addresses()) != 0 || !slices.Equal(q.prefixes(), []netip.Prefix{prefixOne}) {
		t.Errorf("asks for %v", q)
	}
}

// Prefixes that cannot be used are passed over; bits beyond their length do not
// count.
func TestUnusablePrefixes(t *testing.T) {
	var list [][]byte
	for _, s := range []string{
		"::/0", "2000::/3", "2001::/15", "2001:db8::/65", "2001:db8::1/128", "ff02::/64", "fe80::/64", "::/64", "::ffff:0:0/64",
	} {
		list = append(list, opt(optIAPrefix, prefixBytes(delegate(netip.MustParsePrefix(s), 1, 1))...))
	}
	list = append(list,
		opt(optIAPrefix, prefixBytes(delegate(prefixTwo, 2, 1))...),
		opt(optIAPrefix, append(prefixBytes(hourOf(prefixTwo)), opt(optStatus, statusBytes(noPrefixes)...)...)...),
		opt(optIAPrefix, prefixBytes(delegate(netip.MustParsePrefix("2001:db8:100:ff::1/56"), 1800, 3600))...))
	ia := opt(optIAPD, append(associationBytes(testID.iaid, 0, 0), slices.Concat(list...)...)...)
	r, err := parseReply(raw(response, serverOption, ia))
	if err != nil {
		t.Fatal(err)
	}
	if grants, _ := r.grants(testID.iaid, both); len(grants) != 1 || !slices.Equal(grants[0].given, []given{hourOf(prefixOne)}) {
		t.Errorf("got %+v", r.associations)
	}
}

// What was not asked for is not taken: prefixes by who wants addresses, and
// temporary addresses (option 4) by anybody.
func TestUnaskedAssociations(t *testing.T) {
	const temporary code = 4
	s := newSim(t, func(q sent) [][]byte {
		ia := append(testID.iaid[:], opt(optIAAddress, addressBytes(hour(addrTwo))...)...)
		b := q.answer(response, serverOne, hour(addrOne), hourOf(prefixOne))
		return [][]byte{appendOption(appendOption(b, temporary, ia...), optRapidCommit)}
	})
	s.step(begin{})
	s.wantLease(addrOne)
	s.wantPrefixes()
}

// A second association of one sort and number is not an addition.
func TestRepeatedAssociation(t *testing.T) {
	s := newSim(t, func(q sent) [][]byte {
		b := q.answer(response, serverOne, hour(addrOne))
		b = appendOption(b, optIANA, associationBytes(testID.iaid, 0, 0, hour(addrTwo))...)
		return [][]byte{appendOption(b, optRapidCommit)}
	})
	s.step(begin{})
	s.wantLease(addrOne)
}
