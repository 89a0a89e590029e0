package dhcp6

import "time"

// pace is how an exchange is repeated (RFC 8415, 7.6 and 15). The waits that
// RFC 8415 wants before the first message are left out: they are meant for
// machines that begin all at once, and here somebody waits.
type pace struct {
	first, max time.Duration // between messages; max 0 is none
	tries      int           // 0 is no limit
	lasts      time.Duration // the whole exchange; 0 is no limit
}

var paces = [...]pace{
	informing:  {first: time.Second, max: time.Hour},
	soliciting: {first: time.Second, max: time.Hour},
	requesting: {first: time.Second, max: 30 * time.Second, tries: 10},
	confirming: {first: time.Second, max: 4 * time.Second, lasts: 10 * time.Second},
	verifying:  {first: time.Second, max: 4 * time.Second, lasts: 10 * time.Second},
	renewing:   {first: 10 * time.Second, max: 10 * time.Minute},
	rebinding:  {first: 10 * time.Second, max: 10 * time.Minute},
	declining:  {first: time.Second, tries: 4},
	releasing:  {first: time.Second, tries: 4},
}

// Seconds that servers may ask for as the longest pause (RFC 8415, 21.24).
const minMaxRT, maxMaxRT = 60, 86400

// slowDown notes at what pace servers want to be asked.
func (m *machine) slowDown(o options) {
	note := func(c code, to *time.Duration) {
		if v, ok := o.uint32(c); ok && v >= minMaxRT && v <= maxMaxRT {
			*to = time.Duration(v) * time.Second
		}
	}
	note(optSolMaxRT, &m.maxSolicit)
	note(optInfMaxRT, &m.maxInform)
}

// nextSpacing is the time after the next message (RFC 8415, 15): it doubles,
// with a little chance. After the first Solicit it is never less than a second,
// so that all servers have that time.
func (m *machine) nextSpacing() time.Duration {
	p := paces[m.state]
	switch {
	case m.state == soliciting && m.maxSolicit > 0:
		p.max = m.maxSolicit
	case m.state == informing && m.maxInform > 0:
		p.max = m.maxInform
	}
	if m.spacing == 0 {
		d := p.first + m.jitter(p.first)
		if m.state == soliciting {
			d = max(d, 2*p.first-d)
		}
		return d
	}
	d := 2*m.spacing + m.jitter(m.spacing)
	if p.max > 0 && d > p.max {
		d = p.max + m.jitter(p.max)
	}
	return d
}

// jitter is up to a tenth of d, more or less.
func (m *machine) jitter(d time.Duration) time.Duration {
	return time.Duration(m.rand.Int64N(int64(d/5))) - d/10
}
