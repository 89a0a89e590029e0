package dhcp4

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/leasefile"
)

// state is where a client is in RFC 2131's figure 5.
type state uint8

const (
	stopped    state = iota
	selecting        // asks all servers for an offer
	requesting       // asks one server for what it offered
	rebooting        // asks whether an earlier address is still good
	probing          // has an acknowledged address and asks whether it is free
	bound            // uses the lease
	renewing         // uses it and asks its server for more time
	rebinding        // uses it and asks all servers for more time
	waiting          // pauses after a refusal or a conflict
)

var stateNames = [...]string{
	"stopped", "selecting", "requesting", "rebooting", "probing", "bound", "renewing", "rebinding", "waiting",
}

func (s state) String() string { return stateNames[s] }

// The times of the protocol. The first message is the likeliest to get lost, in
// a switch that does not forward from a fresh port yet: it is repeated soon.
const (
	noAnswerAfter = 30 * time.Second // as long as users of the reference wait for link-local
	firstRetry    = 500 * time.Millisecond
	maxRetry      = 64 * time.Second
	maxJitter     = time.Second
	requestTries  = 4 // then the server that offered is given up
	rebootTries   = 2 // then the earlier address is
	declinePause  = 10 * time.Second
	minRenewRetry = time.Second      // short leases still get several tries
	maxRenewRetry = 60 * time.Second // RFC 2131, 4.4.5
)

// event is what happens to a machine.
type event interface{ machineEvent() }

type (
	// begin starts a stopped machine. With last the address of an earlier
	// lease is confirmed first. With held that lease is still on the link: it
	// is used while it is being confirmed.
	begin struct {
		last netip.Addr
		held *lease
	}
	// recognized says that the machine is where it got the earlier lease, which
	// is used while it is being confirmed.
	recognized struct{ held *lease }
	// tick says that the time which wake returned has come.
	tick struct{}
	// received is a server's message to this client.
	received struct{ reply reply }
	// free says that nobody else uses the address.
	free struct{}
	// taken says that somebody else does.
	taken struct{ conflict core.Conflict }
	// end stops the machine.
	end struct{ release bool }
)

func (begin) machineEvent()      {}
func (recognized) machineEvent() {}
func (tick) machineEvent()       {}
func (received) machineEvent()   {}
func (free) machineEvent()       {}
func (taken) machineEvent()      {}
func (end) machineEvent()        {}

// action is what a machine wants done.
type action interface{ machineAction() }

type (
	// broadcast sends a message to all servers on the link.
	broadcast struct{ message []byte }
	// direct sends a message from the leased address to one server.
	direct struct {
		message  []byte
		from, to netip.Addr
	}
	// report tells the client's user.
	report struct{ event core.DHCPEvent }
	// refused names options of a lease that were left out.
	refused struct{ warnings []error }
	// keep stores the lease for a later run of the daemon, nil none.
	keep struct{ lease *leasefile.Lease }
)

func (broadcast) machineAction() {}
func (direct) machineAction()    {}
func (report) machineAction()    {}
func (refused) machineAction()   {}
func (keep) machineAction()      {}

// machine is one client. Besides the actions that Step returns it wants, for
// as long as they hold, what wake, listening, unicasting and watched say.
type machine struct {
	id    identity
	check bool       // probe addresses before their use
	rand  *rand.Rand // transaction ids and jitter

	state   state
	actions []action
	xid     uint32
	began   time.Time // of this exchange
	asked   time.Time // the last message; a lease counts from then
	tries   int       // messages sent in this state
	retry   time.Time // when to send again or to go on; zero: never
	giveUp  time.Time // when to report that nobody answers; zero: reported, or bound

	aloud     bool       // the last message asked for its answer as a broadcast
	offer     reply      // selecting: the second choice; requesting: what was chosen
	avoid     netip.Addr // server that offered and did not give; second choice
	confirm   netip.Addr // rebooting: the earlier address
	held      *lease     // in use, or being probed
	refusals  int        // in a row
	conflicts int        // in a row
}

// Step tells the machine what happened and returns what to do about it, in
// order. Events that mean nothing in the present state do nothing.
func (m *machine) Step(now time.Time, e event) []action {
	switch e := e.(type) {
	case begin:
		if m.state == stopped {
			m.begin(now, e)
		}
	case recognized:
		if m.state == rebooting && m.held == nil && m.confirm == e.held.addr {
			m.use(now, e.held)
		}
	case end:
		m.end(e.release)
	case tick:
		m.tick(now)
	case received:
		m.receive(now, e.reply)
	case free:
		if m.state == probing {
			m.bind(now)
		}
	case taken:
		if m.watched().IsValid() {
			m.conflict(now, e.conflict)
		}
	}
	actions := m.actions
	m.actions = nil
	return actions
}

// wake is when the machine wants the next tick; zero is never.
func (m *machine) wake() time.Time {
	at := earliest(m.retry, m.giveUp)
	if l := m.held; l != nil {
		at = earliest(at, l.expire)
		switch m.state {
		case bound:
			at = earliest(at, l.renew)
		case renewing:
			at = earliest(at, l.rebind)
		}
	}
	return at
}

// listening reports whether the machine waits for a server's message.
func (m *machine) listening() bool {
	switch m.state {
	case selecting, requesting, rebooting, renewing, rebinding:
		return true
	}
	return false
}

// unicasting returns the leased address while messages to it are expected;
// else it is invalid.
func (m *machine) unicasting() netip.Addr {
	if m.held != nil && m.listening() {
		return m.held.addr
	}
	return netip.Addr{}
}

// watched returns the address to probe and to defend; invalid: none.
func (m *machine) watched() netip.Addr {
	if m.check && m.held != nil {
		return m.held.addr
	}
	return netip.Addr{}
}

func (m *machine) do(a action) { m.actions = append(m.actions, a) }

func (m *machine) begin(now time.Time, e begin) {
	m.giveUp = now.Add(noAnswerAfter)
	switch {
	case e.held != nil:
		m.confirm = e.held.addr
		m.use(now, e.held)
		m.enter(now, rebooting)
	case unicast(e.last) && !e.last.IsLinkLocalUnicast():
		m.confirm = e.last
		m.enter(now, rebooting)
	default:
		m.enter(now, selecting)
	}
}

// use has an earlier lease used before it is confirmed.
func (m *machine) use(now time.Time, held *lease) {
	m.held = held
	m.giveUp = time.Time{}
	m.reportBound(now)
}

func (m *machine) end(giveBack bool) {
	if l := m.held; l != nil && m.state != probing {
		m.do(keep{})
		if giveBack {
			m.do(direct{
				message: m.id.encode(query{kind: release, xid: m.rand.Uint32(), current: l.addr, server: l.server}),
				from:    l.addr,
				to:      l.server,
			})
		}
	}
	*m = machine{id: m.id, check: m.check, rand: m.rand, actions: m.actions}
}

// enter changes the state. Every exchange with servers has an id of its own, a
// request continues the exchange of its offer.
func (m *machine) enter(now time.Time, s state) {
	m.state, m.tries, m.retry = s, 0, time.Time{}
	if s != requesting { // which goes on as the offer came
		m.offer, m.aloud = reply{}, false
	}
	switch s {
	case requesting:
		m.send(now)
	case selecting, rebooting, renewing, rebinding:
		m.xid, m.began = m.rand.Uint32(), now
		m.send(now)
	}
}

// pause waits before it starts over.
func (m *machine) pause(now time.Time, d time.Duration) {
	m.enter(now, waiting)
	m.retry = now.Add(d)
}

// restart starts over, without the lease that was.
func (m *machine) restart(now time.Time, after time.Duration) {
	m.held = nil
	if after > 0 {
		m.pause(now, after)
	} else {
		m.enter(now, selecting)
	}
}

func (m *machine) tick(now time.Time) {
	if due(m.giveUp, now) {
		m.giveUp = time.Time{}
		m.do(report{core.DHCPNoAnswer{}})
	}
	if l := m.held; l != nil {
		switch {
		case due(l.expire, now):
			m.lose(now, core.DHCPLost{}, 0)
			return
		case (m.state == bound || m.state == renewing) && due(l.rebind, now):
			m.enter(now, rebinding)
			return
		case m.state == bound && due(l.renew, now):
			m.enter(now, renewing)
			return
		}
	}
	if !due(m.retry, now) {
		return
	}
	switch {
	case m.state == waiting:
		m.enter(now, selecting)
	case m.state == selecting && m.offer.server.IsValid():
		m.enter(now, requesting)
	case m.state == requesting && m.tries >= requestTries:
		m.startOver(now)
	case m.state == rebooting && m.tries >= rebootTries:
		m.unconfirmed(now)
	default:
		m.send(now)
	}
}

// unconfirmed goes on when no server says a word about the earlier address. A
// lease that is in use may be used to its end (RFC 2131, 3.2).
func (m *machine) unconfirmed(now time.Time) {
	if m.held == nil {
		m.enter(now, selecting)
		return
	}
	m.enter(now, bound)
}

// lose drops the lease and starts over.
func (m *machine) lose(now time.Time, why core.DHCPLost, after time.Duration) {
	m.giveUp = now.Add(noAnswerAfter)
	m.do(keep{})
	m.do(report{why})
	m.restart(now, after)
}

// conflict declines an address that another machine has. After the second in a
// row the user may as well take a link-local address meanwhile.
func (m *machine) conflict(now time.Time, c core.Conflict) {
	l := m.held
	m.do(broadcast{m.id.encode(query{
		kind: decline, xid: m.rand.Uint32(), wanted: l.addr, server: l.server,
	})})
	m.conflicts++
	if m.conflicts == 1 {
		m.lose(now, core.DHCPLost{Conflict: c}, declinePause)
		return
	}
	m.lose(now, core.DHCPLost{Conflict: c}, maxRetry)
	m.giveUp = time.Time{}
	m.do(report{core.DHCPNoAnswer{}})
}

func (m *machine) receive(now time.Time, r reply) {
	if !m.listening() || r.xid != m.xid || r.client != m.id.addr {
		return
	}
	switch {
	case r.kind == offer:
		if m.state == selecting {
			m.offered(now, r)
		}
	case m.state == selecting || !m.fromServer(r):
	case r.kind == ack:
		m.acknowledged(now, r)
	case r.kind == nak:
		m.startOver(now)
	}
}

// offered takes the first offer that comes, but one of a server that did not
// keep its last offer only when the time for others is over.
func (m *machine) offered(now time.Time, r reply) {
	if _, err := addressOf(r); err != nil {
		return
	}
	m.offer = r
	if r.server != m.avoid {
		m.enter(now, requesting)
	}
}

// fromServer reports whether r comes from a server that was asked.
func (m *machine) fromServer(r reply) bool {
	switch m.state {
	case requesting:
		return r.server == m.offer.server
	case renewing:
		return r.server == m.held.server
	}
	return true // rebooting and rebinding ask them all
}

// startOver follows a refusal, spoken or silent: at once, or after a growing
// pause with a server that refuses again and again.
func (m *machine) startOver(now time.Time) {
	var pause time.Duration
	if m.refusals > 0 {
		pause = m.backOff(m.refusals - 1)
	}
	m.refusals++
	m.avoid = m.offer.server
	if m.held != nil {
		m.lose(now, core.DHCPLost{}, pause)
	} else {
		m.restart(now, pause)
	}
}

func (m *machine) acknowledged(now time.Time, r reply) {
	config, warnings, err := leaseConfig(r)
	if err != nil {
		return
	}
	l := newLease(config, r, m.asked)
	if due(l.expire, now) {
		return // came too late
	}
	had := m.held
	m.held, m.giveUp = l, time.Time{}
	if had == nil && len(warnings) > 0 {
		m.do(refused{warnings})
	}
	if !m.check || had != nil && had.addr == l.addr {
		m.bind(now)
		return
	}
	if had != nil {
		m.do(report{core.DHCPLost{}})
	}
	m.enter(now, probing)
}

// newLease makes a lease of what r gives, counted from the moment it was asked
// for.
func newLease(config core.Lease, r reply, began time.Time) *lease {
	l := &lease{
		addr: config.IP.Address.Addr(), server: config.Server, began: began,
		grant: &grant{config, r.raw},
	}
	if total, t1, t2 := lifetimes(r.options); total > 0 {
		l.renew, l.rebind, l.expire = began.Add(t1), began.Add(t2), began.Add(total)
	}
	return l
}

// bind begins to use the lease.
func (m *machine) bind(now time.Time) {
	m.enter(now, bound)
	m.refusals, m.conflicts = 0, 0
	m.avoid = netip.Addr{}
	m.do(keep{&leasefile.Lease{Asked: m.held.began, Reply: m.held.grant.ack}})
	m.reportBound(now)
}

// reportBound tells the user what the server gave, and forgets it.
func (m *machine) reportBound(now time.Time) {
	c := m.held.grant.config
	m.held.grant = nil
	if !m.held.expire.IsZero() {
		c.Lifetime = max(m.held.expire.Sub(now), time.Second)
	}
	m.do(report{core.DHCPBound{Lease: c}})
}

// send says what the state has to say and sets when to say it again.
func (m *machine) send(now time.Time) {
	// Some servers' broadcasts get lost on the way, with others it is the
	// direct answers: ask for both in turn, but not yet with the second
	// message, as that is for a switch which did not forward the first. Where
	// hundreds of links lead to it, each hears what is broadcast to all.
	if m.tries >= 2 {
		m.aloud = !m.aloud
	}
	q := query{
		kind:      request,
		xid:       m.xid,
		secs:      uint16(min(now.Sub(m.began)/time.Second, 0xffff)),
		broadcast: m.aloud,
	}
	wait := m.backOff(m.tries)
	switch m.state {
	case selecting:
		q.kind = discover
	case requesting:
		q.wanted, q.server = m.offer.address, m.offer.server
	case rebooting:
		q.wanted = m.confirm
	case renewing:
		q.current, q.broadcast = m.held.addr, false
		wait = m.renewWait(now, m.held.rebind)
	case rebinding:
		q.current, q.broadcast = m.held.addr, false
		wait = m.renewWait(now, m.held.expire)
	}
	m.tries++
	m.asked, m.retry = now, now.Add(wait)
	message := m.id.encode(q)
	if m.state == renewing {
		m.do(direct{message: message, from: m.held.addr, to: m.held.server})
	} else {
		m.do(broadcast{message})
	}
}

// backOff is the wait after a message that n others went before: it doubles,
// with a little chance, so that machines started together do not ask together.
func (m *machine) backOff(n int) time.Duration {
	d := maxRetry
	if n < 7 {
		d = firstRetry << n
	}
	jitter := min(maxJitter, d/8)
	return d - jitter + time.Duration(m.rand.Int64N(int64(2*jitter)))
}

// renewWait is half the time that is left, a minute at least (RFC 2131, 4.4.5)
// or less for a lease so short that this would leave it one try.
func (m *machine) renewWait(now, until time.Time) time.Duration {
	least := min(max(m.held.expire.Sub(m.held.began)/32, minRenewRetry), maxRenewRetry)
	return max(until.Sub(now)/2, least)
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// earliest returns the earlier of two times, zero being never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
