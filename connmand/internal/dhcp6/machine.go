package dhcp6

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"net.connman/connmand/internal/core"
)

// state is what a client does.
type state uint8

const (
	stopped    state = iota
	informing        // asks all servers for all but an address
	informed         // knows that, until it is time to ask again
	soliciting       // looks for a server
	requesting       // asks one server for what it advertised
	confirming       // asks whether the addresses of an earlier lease are still good here
	verifying        // the same where prefixes are wanted, too: the earlier lease is rebound for that
	bound            // uses the lease
	renewing         // uses it and asks its server for more time
	rebinding        // uses it and asks all servers for more time
	declining        // tells a server that an address it gave is in use
	releasing        // gives the lease back, then stops
	waiting          // pauses after a refusal
)

var stateNames = [...]string{
	"stopped", "informing", "informed", "soliciting", "requesting", "confirming", "verifying", "bound", "renewing",
	"rebinding", "declining", "releasing", "waiting",
}

func (s state) String() string { return stateNames[s] }

const (
	noAnswerAfter = 30 * time.Second // as with IPv4
	maxPause      = 2 * time.Minute
	unsentPause   = 100 * time.Millisecond

	defaultRefresh = 24 * time.Hour   // IRT_DEFAULT
	minRefresh     = 10 * time.Minute // IRT_MINIMUM
)

// event is what happens to a machine.
type event interface{ machineEvent() }

type (
	// begin starts a stopped machine. With last that address is asked for.
	// With held an earlier lease is confirmed first; when its addresses are
	// still on the link they are used meanwhile.
	begin struct {
		last   netip.Addr
		held   *lease
		onLink bool
	}
	// tick says that the time which wake returned has come.
	tick struct{}
	// received is a server's message on the client's link.
	received struct{ reply reply }
	// unsent says that the last message did not leave the machine.
	unsent struct{}
	// taken says that another machine uses an address.
	taken struct{ address netip.Addr }
	// end stops the machine, with release as soon as the server knows. A second
	// one stops it at once.
	end struct{ release bool }
)

func (begin) machineEvent()    {}
func (tick) machineEvent()     {}
func (received) machineEvent() {}
func (unsent) machineEvent()   {}
func (taken) machineEvent()    {}
func (end) machineEvent()      {}

// action is what a machine wants done.
type action interface{ machineAction() }

type (
	// send sends a message to all servers on the link.
	send struct{ message []byte }
	// report tells the client's user.
	report struct{ event core.DHCP6Event }
	// refused names options that were left out.
	refused struct{ warnings []error }
	// keep stores the lease for a later client, nil none.
	keep struct{ lease *lease }
)

func (send) machineAction()    {}
func (report) machineAction()  {}
func (refused) machineAction() {}
func (keep) machineAction()    {}

// machine is one client. Besides the actions that Step returns it wants, for
// as long as they hold, what wake and listening say.
type machine struct {
	id    identity
	wants wishes
	zone  string     // of link-local addresses
	rand  *rand.Rand // transaction ids and jitter

	state   state
	actions []action
	xid     uint32
	began   time.Time     // of this exchange
	asked   time.Time     // the last message; a lease counts from then
	tries   int           // messages sent in this state
	spacing time.Duration // between the last message and the next
	retry   time.Time     // when to send again or to go on; zero: never
	until   time.Time     // when to give the exchange up; zero: never
	giveUp  time.Time     // when to report that nobody answers; zero: reported, or bound
	refresh time.Time     // when to ask again for what needs no lease; zero: never, or bound

	maxSolicit, maxInform time.Duration // what a server said of paces; 0: nothing

	hint      []binding  // what to ask for; what held has
	offer     reply      // soliciting: the best so far
	server    core.DUID  // requesting, declining, releasing: whom is talked to
	avoid     core.DUID  // a server that advertised and did not give; second choice
	offending netip.Addr // declining: the address
	held      *lease     // in use, or being confirmed
	shown     bool       // held has been reported
	refusals  int        // in a row
	declines  int        // in a row
}

// Step tells the machine what happened and returns what to do about it, in
// order. Events that mean nothing in the present state do nothing.
func (m *machine) Step(now time.Time, e event) []action {
	m.actions = nil
	switch e := e.(type) {
	case begin:
		if m.state == stopped {
			m.begin(now, e)
		}
	case end:
		m.end(now, e.release)
	case tick:
		m.tick(now)
	case received:
		m.receive(now, e.reply)
	case unsent:
		m.unsent(now)
	case taken:
		m.taken(now, e.address)
	}
	return m.actions
}

// wake is when the machine wants the next tick; zero is never.
func (m *machine) wake() time.Time {
	at := earliest(earliest(m.retry, m.until), earliest(m.giveUp, m.refresh))
	if l := m.held; l != nil {
		at = earliest(at, l.nextEnd())
		switch m.state {
		case bound:
			at = earliest(at, earliest(l.renew, l.rebind))
		case renewing:
			at = earliest(at, l.rebind)
		}
	}
	return at
}

// listening reports whether the machine waits for a server's message.
func (m *machine) listening() bool {
	switch m.state {
	case stopped, informed, bound, waiting:
		return false
	}
	return true
}

func (m *machine) do(a action) { m.actions = append(m.actions, a) }

func (m *machine) begin(now time.Time, e begin) {
	m.giveUp = now.Add(noAnswerAfter)
	if m.wants.addresses && unicast(e.last) {
		m.hint = []binding{addressBinding(e.last)}
	}
	if e.held == nil {
		m.seek(now)
		return
	}
	m.held, m.hint = e.held, e.held.bindings()
	if e.onLink {
		m.show(now)
	}
	if m.wants.prefixes { // RFC 8415, 18.2.12: a Confirm is for addresses alone
		m.enter(now, verifying)
	} else {
		m.enter(now, confirming)
	}
}

// seek looks for what is wanted. Whoever wants no address does not have the
// rest wait for a prefix, which few networks have to give.
func (m *machine) seek(now time.Time) {
	if m.wants.addresses {
		m.enter(now, soliciting)
	} else {
		m.enter(now, informing)
	}
}

func (m *machine) end(now time.Time, giveBack bool) {
	l := m.held
	*m = machine{id: m.id, wants: m.wants, zone: m.zone, rand: m.rand, actions: m.actions}
	if l != nil && giveBack {
		m.do(keep{})
		m.server, m.hint = l.server, l.bindings()
		m.enter(now, releasing)
	}
}

func (m *machine) newID() uint32 { return m.rand.Uint32() & 0xffffff }

// enter changes the state and begins its exchange.
func (m *machine) enter(now time.Time, s state) {
	m.state, m.tries, m.spacing = s, 0, 0
	m.retry, m.until = time.Time{}, time.Time{}
	m.offer = reply{}
	if s == bound || s == informing {
		m.refresh = time.Time{}
	}
	if !m.listening() {
		return
	}
	m.xid, m.began = m.newID(), now
	if lasts := paces[s].lasts; lasts > 0 {
		m.until = now.Add(lasts)
	}
	m.send(now)
}

func (m *machine) tick(now time.Time) {
	if due(m.giveUp, now) {
		m.giveUp = time.Time{}
		m.do(report{core.DHCP6NoAnswer{}})
	}
	if m.held != nil && m.keepTime(now) {
		return
	}
	switch {
	case due(m.refresh, now):
		m.enter(now, informing)
	case due(m.until, now): // nobody says a word: what was given may be used to its end
		m.use(now)
	case !due(m.retry, now):
	case m.state == waiting:
		m.seek(now)
	case m.state == soliciting && m.offer.server != "":
		m.request(now, m.offer.server)
	case m.state == requesting && m.tries >= paces[requesting].tries:
		m.startOver(now)
	case m.state == declining && m.tries >= paces[declining].tries:
		m.declined(now)
	case m.state == releasing && m.tries >= paces[releasing].tries:
		m.enter(now, stopped)
	default:
		m.send(now)
	}
}

// keepTime does what the lease's times ask for and reports whether that was
// something else than before.
func (m *machine) keepTime(now time.Time) bool {
	l := m.held
	if l.age(now) && len(l.leased) > 0 {
		m.hint = l.bindings()
		if m.shown {
			m.show(now)
		}
	}
	switch {
	case len(l.leased) == 0:
		m.lose(now)
		m.seek(now)
	case (m.state == bound || m.state == renewing) && due(l.rebind, now):
		m.enter(now, rebinding)
	case m.state == bound && due(l.renew, now):
		m.enter(now, renewing)
	default:
		return false
	}
	return true
}

// lose drops the lease. What follows is the caller's to say.
func (m *machine) lose(now time.Time) {
	m.held = nil
	m.giveUp = now.Add(noAnswerAfter)
	m.do(keep{})
	if m.shown {
		m.shown = false
		m.do(report{core.DHCP6Lost{}})
	}
}

// startOver follows a server that refused or fell silent: at once, or after a
// growing pause when that happens again and again.
func (m *machine) startOver(now time.Time) {
	m.avoid = m.server
	if m.held != nil {
		m.lose(now)
	}
	m.refusals++
	m.again(now, m.refusals)
}

// again solicits; the n-th time in a row after a pause.
func (m *machine) again(now time.Time, n int) {
	if n <= 1 {
		m.seek(now)
		return
	}
	m.enter(now, waiting)
	m.retry = now.Add(min(time.Second<<min(n-2, 10), maxPause))
}

func (m *machine) request(now time.Time, server core.DUID) {
	if m.held == nil {
		m.hint = nil
		list, _ := m.offer.grants(m.id.iaid, m.wants)
		for _, a := range list {
			for _, g := range a.given {
				if g.valid > 0 {
					m.hint = append(m.hint, g.binding)
				}
			}
		}
	}
	m.server = server
	m.enter(now, requesting)
}

// taken gives back an address that another machine uses, and with it the lease:
// the server decides what of it is left.
func (m *machine) taken(now time.Time, a netip.Addr) {
	if m.held == nil || !m.held.hasAddress(a) {
		return
	}
	m.server, m.offending = m.held.server, a
	m.lose(now)
	m.hint = slices.DeleteFunc(m.hint, func(b binding) bool { return !b.delegated })
	m.declines++
	m.enter(now, declining)
}

func (m *machine) declined(now time.Time) { m.again(now, m.declines) }

// addressee is the server that a message is meant for; "": all.
func (m *machine) addressee() core.DUID {
	switch m.state {
	case requesting, declining, releasing:
		return m.server
	case renewing:
		return m.held.server
	}
	return ""
}

// use goes on with a lease whose addresses are good.
func (m *machine) use(now time.Time) {
	m.enter(now, bound)
	m.show(now)
}

func (m *machine) show(now time.Time) {
	m.shown, m.giveUp = true, time.Time{}
	m.do(report{core.DHCP6Bound{Lease: m.held.report(now)}})
}

// send says what the state has to say and sets when to say it again.
func (m *machine) send(now time.Time) {
	q := query{xid: m.xid, elapsed: now.Sub(m.began), server: m.addressee(), wants: m.wants, bindings: m.hint}
	switch m.state {
	case informing:
		q.kind, q.wants, q.bindings = information, wishes{}, nil
	case soliciting:
		q.kind = solicit
	case requesting:
		q.kind = request
	case confirming:
		q.kind, q.wants = confirm, wishes{}
	case renewing:
		q.kind = renew
	case rebinding, verifying:
		q.kind = rebind
	case declining:
		q.kind, q.wants, q.bindings = decline, wishes{}, []binding{addressBinding(m.offending)}
	case releasing:
		q.kind, q.wants = release, wishes{}
	}
	m.spacing = m.nextSpacing()
	m.tries++
	m.asked, m.retry = now, now.Add(m.spacing)
	m.do(send{m.id.encode(q)})
}

// unsent tries again soon, as long as the link may just not be ready.
func (m *machine) unsent(now time.Time) {
	if m.listening() && !m.giveUp.IsZero() && m.tries == 1 {
		m.tries, m.spacing = 0, 0
		m.retry = now.Add(unsentPause)
	}
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// earliest returns the earlier of two times, zero being never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
