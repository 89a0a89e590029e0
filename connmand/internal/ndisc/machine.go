package ndisc

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"net.connman/connmand/internal/core"
)

// The times of RFC 7559 between solicitations, and how many go unanswered until
// a host takes it that there is no router (RFC 4861, 6.3.7, sends three).
const (
	firstSolicit = 4 * time.Second
	lastSolicit  = 3600 * time.Second
	round        = 2
	jitter       = 10 // percent, either way
)

// As long as the link has no address of its own, which takes the kernel one or
// two seconds to find, solicitations say nothing of their sender. They may get
// lost, as a cable has only just been plugged in: so they come quickly, and do
// not count.
const (
	earlySolicits = 4
	earlyInterval = 500 * time.Millisecond
)

// unsureFor is how long the flags of one that is no default router count.
const unsureFor = 30 * time.Minute

// twoHours keeps a forged advertisement from ending an address's life at once
// (RFC 4862, 5.5.3 e).
const twoHours = 2 * time.Hour

// An event is one of the events below.
type event interface{ event() }

type (
	begin    struct{ anonymous bool } // the link has no address of its own
	tick     struct{ anonymous bool } // the time that wake said has come
	received struct{ advert }
)

func (begin) event()    {}
func (tick) event()     {}
func (received) event() {}

// An action is one of the actions below.
type action interface{ action() }

type (
	solicit struct{}
	report  struct{ event core.RouterEvent }
)

func (solicit) action() {}
func (report) action()  {}

// machine is the host side of router discovery on one link.
type machine struct {
	link string // its name, the zone of link-local name servers
	rand *rand.Rand

	heard    bool          // an advertisement
	early    int           // solicitations before the link had an address
	sent     int           // solicitations since a router was known
	interval time.Duration // the last one, without jitter
	next     time.Time     // solicitation; zero: none

	routers  []router
	prefixes []prefix
	routes   []route
	servers  []server
	domains  []domain

	told *core.RouterInfo // as last reported, nil: nothing yet
}

// router is one that sent an advertisement.
type router struct {
	addr       netip.Addr
	preference int
	isDefault  time.Time // until when it is a default router
	known      time.Time // until when its flags count
	managed    bool
	other      bool
	hopLimit   int
	mtu        int
	portal     string
}

type prefix struct {
	prefixOption
	preferredUntil, validUntil time.Time
}

type route struct {
	routeOption
	router netip.Addr
	until  time.Time
}

type server struct {
	addr  netip.Addr
	until time.Time
}

type domain struct {
	name  string
	until time.Time
}

// forever is a time that does not come.
var forever = time.Unix(1<<40, 0)

// after is the end of a lifetime that begins now.
func after(now time.Time, lifetime time.Duration) time.Time {
	if lifetime == core.Forever {
		return forever
	}
	return now.Add(lifetime)
}

// Step takes an event in and returns what is to be done, in order.
func (m *machine) Step(now time.Time, e event) []action {
	var actions []action
	switch e := e.(type) {
	case begin:
		actions = m.solicit(now, e.anonymous)
	case tick:
		if !m.next.IsZero() && !now.Before(m.next) {
			actions = m.solicit(now, e.anonymous)
		}
	case received:
		m.heard = true
		m.hear(now, e.advert)
	}
	m.forget(now)
	m.followRouters(now)
	if !m.heard {
		return actions
	}
	if info := m.info(now); m.told == nil || !sameInfo(info, *m.told) {
		m.told = &info
		actions = append(actions, report{core.RoutersSeen{Info: info}})
	}
	return actions
}

// solicit asks routers to speak up and plans the next time (RFC 7559, 2).
func (m *machine) solicit(now time.Time, anonymous bool) []action {
	if anonymous && m.early < earlySolicits {
		m.early++
		m.next = now.Add(earlyInterval)
		return []action{solicit{}}
	}
	m.interval = min(max(2*m.interval, firstSolicit), lastSolicit)
	m.next = now.Add(m.jittered(m.interval))
	actions := []action{solicit{}}
	if m.sent == round && !m.heard {
		actions = append(actions, report{core.RoutersNoAnswer{}})
	}
	m.sent++
	return actions
}

func (m *machine) jittered(d time.Duration) time.Duration {
	return d + d*time.Duration(m.rand.IntN(2*jitter+1)-jitter)/100
}

// followRouters ends soliciting when there is a default router, and begins anew
// when the last one is gone.
func (m *machine) followRouters(now time.Time) {
	has := slices.ContainsFunc(m.routers, func(r router) bool { return r.isDefault.After(now) })
	switch {
	case has:
		m.next, m.interval, m.sent = time.Time{}, 0, 0
	case m.next.IsZero():
		m.interval = firstSolicit
		m.next = now.Add(m.jittered(firstSolicit))
	}
}

// wake is when the machine wants a tick; zero: not at all.
func (m *machine) wake(now time.Time) time.Time {
	next := m.next
	consider := func(t time.Time) {
		if t.After(now) && t != forever && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, r := range m.routers {
		consider(r.isDefault)
		consider(r.known)
	}
	for _, p := range m.prefixes {
		consider(p.preferredUntil)
		consider(p.validUntil)
	}
	for _, r := range m.routes {
		consider(r.until)
	}
	for _, s := range m.servers {
		consider(s.until)
	}
	for _, d := range m.domains {
		consider(d.until)
	}
	return next
}

// forget drops what has ended.
func (m *machine) forget(now time.Time) {
	m.routers = slices.DeleteFunc(m.routers, func(r router) bool { return !r.known.After(now) && !r.isDefault.After(now) })
	m.prefixes = slices.DeleteFunc(m.prefixes, func(p prefix) bool { return !p.validUntil.After(now) })
	m.routes = slices.DeleteFunc(m.routes, func(r route) bool { return !r.until.After(now) })
	m.servers = slices.DeleteFunc(m.servers, func(s server) bool { return !s.until.After(now) })
	m.domains = slices.DeleteFunc(m.domains, func(d domain) bool { return !d.until.After(now) })
}
