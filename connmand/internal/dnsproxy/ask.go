package dnsproxy

// begin asks the first server.
func (e *engine) begin(f *flight, search bool) {
	f.search = noSearch
	if search {
		e.askNextName(f)
		return
	}
	e.ask(f, f.msg, f.route)
}

// ask starts anew with the question in msg.
func (e *engine) ask(f *flight, msg []byte, route int) {
	f.recall(e)
	f.asked, f.route = msg, route
	if e.plan.config.Randomize0x20 {
		f.asked = e.randomCase(msg)
	}
	f.tried, f.refused, f.rounds, f.stream = 0, 0, 0, false
	e.advance(f)
}

// randomCase returns msg with the letters of its name in random case.
func (e *engine) randomCase(msg []byte) []byte {
	msg = append([]byte(nil), msg...)
	var bits uint64
	for i, n := headerLen, 0; msg[i] != 0; {
		for end := i + 1 + int(msg[i]); i+1 < end; n++ {
			i++
			if n%64 == 0 {
				bits = e.random.Uint64()
			}
			if c := lower(msg[i]); c-'a' < 26 {
				msg[i] = c ^ byte(bits&1)<<5
			}
			bits >>= 1
		}
		i++
	}
	return msg
}

// recall forgets all attempts.
func (f *flight) recall(e *engine) {
	for _, a := range f.attempts {
		a.via.forget(e, a.id)
	}
	f.attempts = f.attempts[:0]
}

// advance asks the next server that was not asked in this round. When all were
// and nobody is left to wait for, it is over.
func (e *engine) advance(f *flight) {
	for len(f.attempts) < maxAttempts {
		i := e.pick(f)
		if i < 0 {
			break
		}
		f.tried |= 1 << i
		u := e.routes[f.route][i]
		if !e.sendTo(f, u) {
			u.health.failed(e.now)
			continue
		}
		f.retryAt = min(e.now+u.patience()<<f.rounds, f.began+patience)
		e.at(min(f.retryAt, f.staleAt))
		if f.rounds == 0 && f.tried&(f.tried-1) == 0 {
			e.probe(f)
		}
		return
	}
	if len(f.attempts) == 0 {
		e.nameFailed(f)
		return
	}
	if len(f.attempts) == maxAttempts {
		f.retryAt = f.began + patience
	}
	e.at(min(f.retryAt, f.staleAt))
}

// maxServers of a route are asked.
const maxServers = 64

// pick returns the index of the server to ask next: the first one that lives,
// else the first dead one; -1 if all were asked.
func (e *engine) pick(f *flight) int {
	dead := -1
	for i, u := range e.routes[f.route] {
		switch {
		case (f.tried|f.refused)&(1<<i) != 0:
		case !u.health.dead():
			return i
		case dead < 0:
			dead = i
		}
	}
	return dead
}

// probe sends the question to a dead server, too, if it is time to look whether
// it is back. Nobody waits for that.
func (e *engine) probe(f *flight) {
	for i, u := range e.routes[f.route] {
		if f.tried&(1<<i) == 0 && u.health.probe(e.now) {
			u.look(e, f.asked)
			return
		}
	}
}

// sendTo sends the question to one server and reports whether it could.
func (e *engine) sendTo(f *flight, u *upstream) bool {
	via := u.carrier(e, f.stream)
	if via == nil {
		return false
	}
	f.attempts = append(f.attempts, attempt{via: via, id: via.send(e, f), sent: e.now})
	u.lookSecure(e, f.asked)
	return true
}

// freshID returns a random id that no question in ids has.
func (e *engine) freshID(ids map[uint16]*flight) uint16 {
	for {
		id := uint16(e.random.Uint64())
		if _, taken := ids[id]; !taken {
			return id
		}
	}
}

// tickFlights asks elsewhere where servers take too long.
func (e *engine) tickFlights() {
	// Those that end make room for the last one.
	for i := len(e.flights.active) - 1; i >= 0; i-- {
		if i < len(e.flights.active) {
			e.tickFlight(e.flights.active[i])
		}
	}
}

func (e *engine) tickFlight(f *flight) {
	if e.now >= f.staleAt {
		f.staleAt = never
		e.answerStale(f)
	}
	if e.now < f.retryAt {
		e.at(min(f.retryAt, f.staleAt))
		return
	}
	for i := range f.attempts {
		if a := &f.attempts[i]; !a.late {
			a.late = true
			e.stats.Timeouts++
			if c, ok := a.via.(*connection); ok && c.yields(e) {
				f.untry(e, c.u)
			} else {
				a.via.server().health.failed(e.now)
			}
		}
	}
	if e.now >= f.began+patience {
		e.keepFailure(f)
		e.fail(f)
		return
	}
	if all := uint64(1)<<len(e.routes[f.route]) - 1; (f.tried|f.refused)&all == all {
		f.tried = 0
		f.rounds++
	}
	e.advance(f)
}

// untry has the server asked again.
func (f *flight) untry(e *engine, u *upstream) {
	for i, o := range e.routes[f.route] {
		if o == u {
			f.tried &^= 1 << i
		}
	}
}

// replied handles what a server said to the question with this id, which came
// by the socket that it was sent from.
func (e *engine) replied(f *flight, via carrier, id uint16, msg []byte) {
	if !f.matches(msg, e.plan.config.Randomize0x20) {
		e.stats.Unexpected++
		return
	}
	u := via.server()
	for i, a := range f.attempts {
		if a.via == via && a.id == id {
			took := e.now - a.sent
			u.health.answered(took)
			e.stats.Waiting += took
			f.attempts = append(f.attempts[:i], f.attempts[i+1:]...)
			break
		}
	}
	e.stats.Answers++
	via.forget(e, id)
	r := &e.answer
	err := parseReply(msg, r)
	switch {
	case err == nil && msg[2]&flagTC != 0 && !f.stream:
		f.apology = append(f.apology[:0], msg...)
		f.stream = true
		if !e.sendTo(f, u) {
			e.advance(f)
			return
		}
		f.retryAt = min(e.now+maxPatience, f.began+patience)
		e.at(f.retryAt)
	case err != nil || r.rcode == rcodeFormErr || r.rcode == rcodeServFail || r.rcode == rcodeNotImp || r.rcode == rcodeRefused:
		if err == nil {
			f.apology = append(f.apology[:0], msg...)
		}
		for i, o := range e.routes[f.route] {
			if o == u {
				f.refused |= 1 << i
			}
		}
		e.advance(f)
	case f.search != noSearch:
		e.found(f, msg, r)
	default:
		e.settle(f, msg, r)
	}
}

// matches reports whether msg is an answer to the question asked. With exact,
// letters have to be in the case in which they were sent.
func (f *flight) matches(msg []byte, exact bool) bool {
	if len(msg) < f.q.end || msg[2]&(flagQR|maskOpcode) != flagQR || msg[4] != 0 || msg[5] != 1 {
		return false
	}
	want := f.asked[headerLen:]
	end, ok := plainName(f.asked, headerLen)
	if !ok || len(msg) < end+4 {
		return false
	}
	want, got := want[:end+4-headerLen], msg[headerLen:end+4]
	if exact {
		return string(want) == string(got)
	}
	n := len(want) - 4
	return equalFold(want[:n], got[:n]) && string(want[n:]) == string(got[n:])
}

// settle answers everybody and keeps the answer.
func (e *engine) settle(f *flight, msg []byte, r *reply) {
	clean := e.clean(msg, r)
	if r.keep && !f.q.solo && e.cache != nil {
		if ttl := e.clampTTL(r.ttl); ttl > 0 {
			e.keep(f, clean, r.ttls, ttl)
		}
	}
	f.answerTo(e, func(c *client, w *waiter) {
		if w.first && f.search == noSearch && !f.padded {
			e.sendRaw(c, w.msg, &w.q, msg)
			return
		}
		dst := append(e.replies.room(e), clean...)
		e.send(c, finish(dst, w.msg, &w.q, c.limit(&w.q)))
	})
	e.end(f)
}

// clean returns msg without its OPT record and with clamped times to live,
// valid until the next call.
func (e *engine) clean(msg []byte, r *reply) []byte {
	e.cleaned = append(e.cleaned[:0], msg[:r.cut]...)
	if r.cut < len(msg) {
		be.PutUint16(e.cleaned[10:], be.Uint16(msg[10:])-1)
	}
	for _, at := range r.ttls {
		ttl := be.Uint32(msg[at:])
		if ttl > 1<<31-1 {
			ttl = 0
		}
		be.PutUint32(e.cleaned[at:], e.clampTTL(ttl))
	}
	return e.cleaned
}

func (e *engine) clampTTL(ttl uint32) uint32 { return min(max(ttl, e.plan.minTTL), e.plan.maxTTL) }

// keep puts an answer into the cache.
func (e *engine) keep(f *flight, msg []byte, ttls []uint16, ttl uint32) {
	e.cache.put(f.key, f.hash, msg, ttls, ttl, f.epoch, e.now)
	if e.quietAt <= e.now && e.cache.held() > keepSmall {
		e.busy = e.stats.Queries
		e.quietAt = e.now + quietTime
		e.at(e.quietAt)
	}
}

// failureTTL is how long a question fails at once that has just failed, in
// seconds: the least of RFC 9520, section 3.2, as networks come back quickly.
const failureTTL = 1

// keepFailure keeps it that nobody could answer, unless there is something better.
func (e *engine) keepFailure(f *flight) {
	if f.q.solo || e.cache == nil {
		return
	}
	en := e.cache.get(f.key, f.hash)
	if en != nil && !en.failure() && en.epoch() == f.epoch && (e.plan.config.ServeStale || en.age(e.now) < en.ttl()) {
		return
	}
	e.cleaned = appendEmpty(e.cleaned[:0], f.msg, &f.q, f.verdict())
	e.keep(f, e.cleaned, nil, failureTTL)
}

// verdict is what clients are told when there is no answer.
func (f *flight) verdict() byte {
	if f.search == noSearch && f.apology != nil {
		if rcode := f.apology[3] & maskRcode; rcode != 0 {
			return rcode
		}
	}
	return rcodeServFail
}

// lost handles an attempt whose socket broke.
func (e *engine) lost(f *flight, via carrier, id uint16) {
	for i, a := range f.attempts {
		if a.via == via && a.id == id {
			f.attempts = append(f.attempts[:i], f.attempts[i+1:]...)
			e.advance(f)
			return
		}
	}
}

// answerStale answers from records that expired, and reports whether there are
// any.
func (e *engine) answerStale(f *flight) bool {
	if e.cache == nil {
		return false
	}
	en := e.cache.get(f.key, f.hash)
	if en == nil || en.epoch() != f.epoch {
		return false
	}
	age := en.age(e.now)
	en.setRetry(age + staleTTL)
	f.answerTo(e, func(c *client, w *waiter) {
		e.stats.Stale++
		e.stats.Hits++
		e.sendCached(c, w.msg, &w.q, en, age)
	})
	return true
}

// fail ends a question without an answer.
func (e *engine) fail(f *flight) {
	if f.staleAt == never || !e.answerStale(f) {
		f.answerTo(e, func(c *client, w *waiter) {
			e.stats.Failures++
			if f.search == noSearch && f.apology != nil && w.first && !f.padded {
				e.sendRaw(c, w.msg, &w.q, f.apology)
				return
			}
			e.sendError(c, w.msg, &w.q, f.verdict())
		})
	}
	e.end(f)
}

// end takes a flight away.
func (e *engine) end(f *flight) {
	f.recall(e)
	e.flights.remove(f)
	e.flights.over = append(e.flights.over, f)
}
