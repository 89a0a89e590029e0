package dnsproxy

import (
	"runtime/debug"
	"time"
)

// serve handles one message of a client. msg is valid until it returns; nil
// stands for one that was too long.
func (e *engine) serve(c client, msg []byte) {
	q := &e.question
	switch parseQuery(msg, q) {
	case ignore:
		e.stats.Malformed++
		return
	case badQuery:
		e.stats.Malformed++
		e.sendError(&c, msg, q, rcodeFormErr)
		return
	case otherOp:
		e.stats.Malformed++
		q.end = headerLen
		e.sendError(&c, msg, q, rcodeNotImp)
		return
	}
	e.stats.Queries++
	e.key = appendKey(e.key[:0], msg, q)
	name := e.key[:q.nameEnd()-headerLen]
	n := need{client: c, msg: msg, q: q, key: e.key, route: e.plan.route(name), search: e.plan.searches(name, q)}
	n.epoch = e.plan.routes[n.route].epoch
	if n.search {
		n.epoch = e.plan.searched
	}
	if e.cache != nil {
		n.hash = e.cache.hash(n.key)
		if !q.solo && e.serveCached(&n) {
			return
		}
	}
	if e.serveLocal(&n) {
		e.stats.Local++
		return
	}
	e.stats.Misses++
	e.join(&n)
}

// need is a client's question on its way through the proxy.
type need struct {
	client client
	msg    []byte
	q      *query
	key    []byte
	hash   uint64
	route  int    // index into the plan's
	epoch  uint32 // that an answer must have
	search bool
	// stale says that the cache has an answer that expired.
	stale bool
}

// appendKey appends what an answer depends on: the name in lower case, type,
// class, and the bits that ask for more or less of it.
func appendKey(dst, msg []byte, q *query) []byte {
	for _, c := range msg[headerLen:q.nameEnd()] {
		dst = append(dst, lower(c))
	}
	dst = append(dst, msg[q.nameEnd():q.end]...)
	bits := msg[2]&flagRD | msg[3]&(flagAD|flagCD)
	if q.do {
		bits |= 0x80
	}
	return append(dst, bits)
}

const (
	staleTTL  = 30                      // seconds; RFC 8767, section 4
	maxStale  = 24 * 60 * 60            // seconds after the end
	staleWait = 1800 * time.Millisecond // RFC 8767, section 5

	minPrefetch = 10 // seconds to live of an answer worth fetching early
)

// serveCached answers from the cache, if it can.
func (e *engine) serveCached(n *need) bool {
	en := e.cache.get(n.key, n.hash)
	if en == nil || en.epoch() != n.epoch {
		return false
	}
	age, ttl := en.age(e.now), en.ttl()
	if age >= ttl {
		if !e.plan.config.ServeStale || age-ttl > maxStale || en.failure() {
			return false
		}
		if age >= en.retry() {
			n.stale = true
			return false
		}
		e.stats.Stale++
	}
	e.stats.Hits++
	en.used()
	e.sendCached(&n.client, n.msg, n.q, en, age)
	// What is asked for often is fetched again in its last tenth, so that
	// nobody has to wait for it.
	if age < ttl && ttl >= minPrefetch && age > ttl-ttl/10 && en.hits() > 2 {
		e.prefetch(n)
	}
	return true
}

// sendCached answers with what the cache holds.
func (e *engine) sendCached(c *client, msg []byte, q *query, en entry, age uint32) {
	dst := append(e.replies.room(e), en.message()...)
	stale := age >= en.ttl()
	if ttls := en.ttls(); age > 0 {
		for i := 0; i+1 < len(ttls); i += 2 {
			at := dst[le.Uint16(ttls[i:]):]
			if stale {
				be.PutUint32(at, staleTTL)
			} else {
				be.PutUint32(at, max(be.Uint32(at), age)-age)
			}
		}
	}
	dst[2] &^= flagAA
	e.send(c, finish(dst, msg, q, c.limit(q)))
}

// finish makes an answer to somebody else's question the answer to this one:
// its id, its letter case, its EDNS, no longer than limit.
func finish(dst, msg []byte, q *query, limit int) []byte {
	dst[0], dst[1] = msg[0], msg[1]
	copy(dst[headerLen:q.nameEnd()], msg[headerLen:])
	if q.edns {
		dst = appendOPT(dst, q)
	}
	if len(dst) > limit {
		dst = truncate(dst, q)
	}
	return dst
}

// appendOPT appends our OPT record (RFC 6891, section 6.1.2). The server's own
// does not survive the cache: what it says is between two programs.
func appendOPT(dst []byte, q *query) []byte {
	be.PutUint16(dst[10:], be.Uint16(dst[10:])+1)
	dst = append(dst, 0, 0, typeOPT, maxQuery>>8, maxQuery&0xff, 0, 0, 0, 0, 0, 0)
	if q.do {
		dst[len(dst)-4] = 0x80
	}
	return dst
}

// truncate cuts an answer down to its question and says so.
func truncate(dst []byte, q *query) []byte {
	dst = dst[:q.end]
	dst[2] |= flagTC
	clear(dst[6:headerLen])
	if q.edns {
		dst = appendOPT(dst, q)
	}
	return dst
}

// appendEmpty begins an answer with no records to msg.
func appendEmpty(dst, msg []byte, q *query, rcode byte) []byte {
	at := len(dst)
	dst = append(dst, msg[:q.end]...)
	head := dst[at:]
	head[2] = flagQR | head[2]&(maskOpcode|flagRD)
	head[3] = flagRA | head[3]&flagCD | rcode
	be.PutUint16(head[4:], 0)
	if q.end > headerLen {
		be.PutUint16(head[4:], 1)
	}
	clear(head[6:headerLen])
	return dst
}

// sendError tells a client that there is no answer.
func (e *engine) sendError(c *client, msg []byte, q *query, rcode byte) {
	dst := appendEmpty(e.replies.room(e), msg, q, rcode)
	if q.edns {
		dst = appendOPT(dst, q)
	}
	e.send(c, dst)
}

// sendRaw answers the one whose very question went to the server with what it
// said, to the byte.
func (e *engine) sendRaw(c *client, msg []byte, q *query, reply []byte) {
	dst := append(e.replies.room(e), reply...)
	dst[0], dst[1] = msg[0], msg[1]
	copy(dst[headerLen:q.nameEnd()], msg[headerLen:])
	if len(dst) > c.limit(q) {
		dst = truncate(dst, q)
	}
	e.send(c, dst)
}

// keepSmall is how much of the cache outlives a quiet time.
const (
	keepSmall  = 512 << 10 // bytes
	quietTime  = 20 * time.Second
	quietCount = 2000 // queries in it
)

// tickCache gives memory back when few questions come.
func (e *engine) tickCache() {
	if e.cache == nil || e.cache.held() <= keepSmall {
		return
	}
	if e.now < e.quietAt {
		e.at(e.quietAt)
		return
	}
	if e.stats.Queries-e.busy < quietCount {
		e.cache.trim(keepSmall)
		debug.FreeOSMemory() // what the questions of busy times have left behind
		return
	}
	e.busy = e.stats.Queries
	e.quietAt = e.now + quietTime
	e.at(e.quietAt)
}
