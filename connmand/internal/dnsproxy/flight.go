package dnsproxy

import (
	"hash/maphash"
	"slices"
	"time"
)

// flight is a question being asked, for all who want to know. It survives
// changes of configuration.
type flight struct {
	key   []byte
	hash  uint64
	epoch uint32
	msg   []byte // the first client's message
	q     query

	asked  []byte // what servers are asked: msg, or msg about a longer name
	search int    // index of the search domain that asked has, or noSearch
	route  int    // whom asked goes to

	began    time.Duration
	retryAt  time.Duration // when to ask elsewhere
	staleAt  time.Duration // when expired records have to do; never if there are none
	rounds   uint          // times that all servers were asked
	tried    uint64        // servers of the route asked in this round
	refused  uint64        // servers that are of no use for this question
	stream   bool          // answers are too long for datagrams
	padded   bool          // answers are about more than the client said
	again    bool          // a connection ended under way, so it was asked once more
	attempts []attempt
	apology  []byte // what a server had to say instead of an answer

	waiters []waiter
	bucket  int // of the source
	listed  int // index in flights.active
	older   *flight
	newer   *flight
}

const noSearch = -1

// attempt is a question on its way to a server.
type attempt struct {
	via  carrier
	id   uint16
	sent time.Duration
	late bool // its time is over, but an answer is still welcome
}

// carrier is a socket to a server.
type carrier interface {
	// send sends the question of f under the id that it returns.
	send(e *engine, f *flight) (id uint16)
	// sendMessage sends a question whose answer nobody waits for.
	sendMessage(e *engine, msg []byte) (id uint16)
	// forget makes the answer to the question id unexpected.
	forget(e *engine, id uint16)
	server() *upstream
}

// waiter is one who wants the answer.
type waiter struct {
	client client
	addr   sockaddr // of client, if on UDP
	msg    []byte   // his message, at least up to the question
	q      query
	first  bool // it is his message that servers get
}

const (
	maxFlights  = 1024
	maxWaiters  = 256                     // of one question
	maxAttempts = 8                       // of one question
	patience    = 4800 * time.Millisecond // clients give up after 5 s

	buckets  = 256
	maxSpare = 64 // flights kept to be used again
)

// flights are all questions being asked. Each belongs to the bucket of its
// source, so that a flood from one makes room for others.
type flights struct {
	seed   maphash.Seed
	active []*flight
	byHash map[uint64]*flight
	// over have ended in this round, spare in earlier ones: those are used again,
	// since the less litter there is, the fewer questions meet the collector.
	over, spare []*flight
	bucket      [buckets]struct {
		count          int
		oldest, newest *flight
	}
}

func (fs *flights) init() {
	fs.seed = maphash.MakeSeed()
	fs.byHash = map[uint64]*flight{}
}

// join has a question asked, or answered along with the same one.
func (e *engine) join(n *need) {
	if f := e.flights.byHash[n.hash]; f != nil && !n.q.solo && string(f.key) == string(n.key) {
		e.stats.Coalesced++
		f.join(e, n)
		return
	}
	if len(e.routes[n.route]) == 0 && !n.search {
		e.giveUp(n)
		return
	}
	if len(e.flights.active) >= maxFlights {
		e.stats.Evicted++
		e.fail(e.flights.heaviest())
	}
	e.begin(e.newFlight(n), n.search)
}

// giveUp answers where nobody can be asked.
func (e *engine) giveUp(n *need) {
	if n.stale {
		if en := e.cache.get(n.key, n.hash); en != nil {
			e.stats.Stale++
			e.stats.Hits++
			e.sendCached(&n.client, n.msg, n.q, en, en.age(e.now))
			return
		}
	}
	e.stats.Failures++
	e.sendError(&n.client, n.msg, n.q, rcodeServFail)
}

// prefetch asks again what was answered just now.
func (e *engine) prefetch(n *need) {
	if e.flights.byHash[n.hash] != nil || len(e.flights.active) > maxFlights/2 || n.search {
		return
	}
	if len(e.routes[n.route]) > 0 {
		n.client = client{}
		e.begin(e.newFlight(n), false)
	}
}

func (e *engine) newFlight(n *need) *flight {
	fs := &e.flights
	f := fs.blank()
	*f = flight{
		key: append(f.key[:0], n.key...), hash: n.hash, epoch: n.epoch,
		msg: append(f.msg[:0], n.msg...), q: *n.q,
		route: n.route, began: e.now, staleAt: never,
		attempts: f.attempts, waiters: f.waiters,
	}
	if n.stale {
		f.staleAt = e.now + staleWait
	}
	w := waiter{client: n.client, msg: f.msg, q: f.q, first: true}
	switch c := n.client; {
	case c.tcp != nil:
		c.tcp.pending++
		f.bucket = fs.source(&c.tcp.addr)
		f.waiters = append(f.waiters, w)
	case c.udp != nil:
		w.addr = *c.addr
		f.bucket = fs.source(c.addr)
		f.waiters = append(f.waiters, w)
	}
	fs.add(f)
	return f
}

// blank returns a flight to be filled: what it holds is room.
func (fs *flights) blank() *flight {
	last := len(fs.spare) - 1
	if last < 0 {
		return &flight{}
	}
	f := fs.spare[last]
	fs.spare = fs.spare[:last]
	return f
}

// recycle keeps some of those that ended in this round for later ones: nobody
// knows them any more.
func (fs *flights) recycle() {
	for _, f := range fs.over {
		if len(fs.spare) < maxSpare && cap(f.msg) <= maxQuery && cap(f.waiters) <= 4 { // ordinary ones
			fs.spare = append(fs.spare, f)
		}
	}
	clear(fs.over)
	fs.over = fs.over[:0]
}

// source returns the bucket of a client's address and port: on loopback, it is
// the port that tells clients apart.
func (fs *flights) source(a *sockaddr) int {
	return int(maphash.Bytes(fs.seed, a[2:a.len()]) % buckets)
}

func (fs *flights) add(f *flight) {
	f.listed = len(fs.active)
	fs.active = append(fs.active, f)
	if !f.q.solo && fs.byHash[f.hash] == nil {
		fs.byHash[f.hash] = f
	}
	b := &fs.bucket[f.bucket]
	b.count++
	f.older = b.newest
	if f.older != nil {
		f.older.newer = f
	} else {
		b.oldest = f
	}
	b.newest = f
}

func (fs *flights) remove(f *flight) {
	last := fs.active[len(fs.active)-1]
	fs.active[f.listed], last.listed = last, f.listed
	fs.active[len(fs.active)-1] = nil
	fs.active = fs.active[:len(fs.active)-1]
	if fs.byHash[f.hash] == f {
		delete(fs.byHash, f.hash)
	}
	b := &fs.bucket[f.bucket]
	b.count--
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		b.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		b.newest = f.older
	}
}

// heaviest returns the oldest question of the source that has most of them.
func (fs *flights) heaviest() *flight {
	most := 0
	for i := range fs.bucket {
		if fs.bucket[i].count > fs.bucket[most].count {
			most = i
		}
	}
	return fs.bucket[most].oldest
}

// join adds one who wants the same answer.
func (f *flight) join(e *engine, n *need) {
	w := waiter{client: n.client, q: *n.q}
	if n.client.udp != nil {
		w.addr = *n.client.addr
		for i := range f.waiters {
			o := &f.waiters[i]
			if o.client.udp == n.client.udp && o.addr == w.addr && o.msg[0] == n.msg[0] && o.msg[1] == n.msg[1] {
				return // asks again, out of impatience
			}
		}
	}
	if len(f.waiters) >= maxWaiters {
		e.giveUp(n)
		return
	}
	if n.client.tcp != nil {
		n.client.tcp.pending++
	}
	w.msg = slices.Clone(n.msg[:n.q.end])
	f.waiters = append(f.waiters, w)
}

// answerTo has send called for everybody who waits. Nobody waits any more then.
func (f *flight) answerTo(e *engine, send func(c *client, w *waiter)) {
	for i := range f.waiters {
		w := &f.waiters[i]
		c := w.client
		if c.tcp != nil {
			c.tcp.pending--
		} else {
			c.addr = &w.addr
		}
		send(&c, w)
		if c.tcp != nil && !c.tcp.closed && !c.tcp.dirty {
			c.tcp.dirty = true
			e.dirty = append(e.dirty, c.tcp)
		}
	}
	clear(f.waiters)
	f.waiters = f.waiters[:0]
}
