package dnsproxy

import "time"

// Bounds of how long a server may take before the next one is asked, too.
const (
	firstPatience = 400 * time.Millisecond // of a server that was never heard
	minPatience   = 150 * time.Millisecond
	maxPatience   = 800 * time.Millisecond

	strikes   = 3 // failures in a row that make a server dead
	minCorpse = time.Second
	maxCorpse = time.Minute
)

// health is what is known of a server's willingness. Times are on the proxy's
// clock.
type health struct {
	srtt, rttvar time.Duration // of RFC 6298; srtt is 0 before the first answer
	failures     int           // in a row
	pause        time.Duration // between looks at a dead server
	deadUntil    time.Duration
}

// patience is how long to wait for an answer before asking elsewhere.
func (h *health) patience() time.Duration {
	if h.srtt == 0 {
		return firstPatience
	}
	return min(max(h.srtt+4*h.rttvar, minPatience), maxPatience)
}

// answered notes an answer after rtt.
func (h *health) answered(rtt time.Duration) {
	h.failures, h.pause = 0, 0
	rtt = max(rtt, 1)
	if h.srtt == 0 {
		h.srtt, h.rttvar = rtt, rtt/2
		return
	}
	h.rttvar += (max(h.srtt-rtt, rtt-h.srtt) - h.rttvar) / 4
	h.srtt += (rtt - h.srtt) / 8
}

// failed notes a question that went unanswered or could not even be sent.
func (h *health) failed(now time.Duration) {
	if h.failures++; h.failures == strikes {
		h.pause = minCorpse
		h.deadUntil = now + h.pause
	}
}

// dead reports whether the server should be passed over while others live.
func (h *health) dead() bool { return h.failures >= strikes }

// probe reports whether it is time to look after a dead server, and takes note
// that this is done: the next look is further off.
func (h *health) probe(now time.Duration) bool {
	if !h.dead() || now < h.deadUntil {
		return false
	}
	h.pause = min(2*h.pause, maxCorpse)
	h.deadUntil = now + h.pause
	return true
}
