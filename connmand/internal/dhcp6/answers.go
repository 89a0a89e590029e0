package dhcp6

import (
	"slices"
	"time"

	"net.connman/connmand/internal/core"
)

// receive takes a server's message, if it answers what was asked.
func (m *machine) receive(now time.Time, r reply) {
	if !m.listening() || r.xid != m.xid || r.client != m.id.duid {
		return
	}
	m.slowDown(r.options)
	switch {
	case r.kind == advertise:
		if m.state == soliciting {
			m.advertised(now, r)
		}
	case m.state == informing:
		m.inform(now, r)
	case m.state == soliciting:
		if r.rapid {
			m.granted(now, r)
		}
	case m.state == confirming:
		m.confirmed(now, r)
	case m.state == rebinding, m.state == verifying:
		m.granted(now, r)
	case r.server != m.addressee():
	case m.state == declining:
		m.declined(now)
	case m.state == releasing:
		m.enter(now, stopped)
	default:
		m.granted(now, r)
	}
}

func (m *machine) inform(now time.Time, r reply) {
	if r.status != success {
		return
	}
	m.giveUp = time.Time{}
	refresh := defaultRefresh
	if v, ok := r.options.uint32(optRefresh); ok {
		refresh = max(time.Duration(v)*time.Second, minRefresh)
		if v == infinite {
			refresh = 0
		}
	}
	if refresh > 0 {
		m.refresh = now.Add(refresh)
	}
	m.do(report{core.DHCP6Bound{Lease: m.config(r, true)}})
	if m.wants.prefixes {
		m.enter(now, soliciting)
	} else {
		m.enter(now, informed)
	}
}

// config reads what r says besides addresses.
func (m *machine) config(r reply, complain bool) core.Lease6 {
	c, warnings := leaseConfig(r.options, m.zone)
	if complain && len(warnings) > 0 {
		m.do(refused{warnings})
	}
	return c
}

// advertised compares what servers have to give until the first pause is over,
// unless one says that it is to be taken (RFC 8415, 18.2.1 and 18.2.9).
func (m *machine) advertised(now time.Time, r reply) {
	rank := m.rank(r)
	if rank == 0 {
		return
	}
	if rank > m.rank(m.offer) {
		m.offer = r
	}
	if r.server != m.avoid && (r.preference == maxPreference || m.tries > 1) {
		m.request(now, m.offer.server)
	}
}

const maxPreference = 255

// rank says how good an offer is: first by how much of what is wanted is in it,
// then by the server's preference. 0 is none.
func (m *machine) rank(r reply) (rank int) {
	list, _ := r.grants(m.id.iaid, m.wants)
	for _, a := range list {
		if a.gives() {
			rank += 1 + maxPreference
		}
	}
	switch {
	case rank == 0:
		return 0
	case r.server == m.avoid:
		return 1
	}
	return rank + int(r.preference)
}

func (m *machine) confirmed(now time.Time, r reply) {
	switch r.status {
	case success:
		m.use(now)
	case notOnLink:
		m.hint = nil
		m.lose(now)
		m.seek(now)
	}
}

// granted takes the Reply to a Solicit, Request, Renew or Rebind. One that
// means nothing is passed over: the question will be repeated.
func (m *machine) granted(now time.Time, r reply) {
	list, refusal := r.grants(m.id.iaid, m.wants)
	asked := m.state
	switch {
	case len(list) > 0:
		m.take(now, r, list)
	case asked == requesting && slices.Contains([]status{success, notOnLink, noAddresses, noBinding, noPrefixes}, refusal):
		if refusal == notOnLink {
			m.hint = nil
		}
		m.startOver(now)
	}
	// Extending what a server has forgotten begins anew with it, while the rest
	// stays in use (RFC 8415, 18.2.10.1).
	if refusal == noBinding && m.held != nil && (asked == renewing || asked == rebinding || asked == verifying) {
		m.request(now, r.server)
	}
}

// take makes associations the lease, or a part of it.
func (m *machine) take(now time.Time, r reply, list []association) {
	var l lease
	fresh := m.held == nil
	if !fresh {
		l = *m.held
		l.leased = slices.Clone(l.leased)
	}
	l.update(list, m.asked)
	l.age(now)
	if len(l.leased) == 0 {
		if fresh && m.state != requesting {
			return
		}
		m.server, m.hint = r.server, nil
		m.startOver(now)
		return
	}
	l.server, l.raw, l.asked = r.server, r.raw, m.asked
	l.config = m.config(r, fresh)
	if !fresh {
		m.declines = 0
	}
	m.held, m.hint = &l, l.bindings()
	m.refusals, m.avoid = 0, ""
	m.do(keep{&l})
	m.enter(now, bound)
	m.show(now)
}
