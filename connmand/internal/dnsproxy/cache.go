package dnsproxy

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"time"

	"golang.org/x/sys/unix"
)

// cache keeps answers as they came, in memory of its own beside Go's heap: so
// its size is exact, the collector never looks at it, and what is no longer
// used goes back to the system at once.
//
// The memory is a ring of segments. Answers are appended to the newest one;
// when it is full, the oldest becomes the newest after losing all answers that
// nobody asked for since. An index of chained entries leads to the answers. Its
// hash is seeded, so that nobody can choose names that share a chain.
type cache struct {
	seed   maphash.Seed
	memory []byte
	seg    int   // bytes of a segment
	fill   []int // bytes used of each segment
	newest int
	ahead  int      // offset in memory up to which prepare has been
	heads  []uint32 // offsets of the first entries of the chains
	mask   uint64
	names  int
}

const (
	cacheSegments = 32
	minCacheBytes = 128 << 10
	meanEntry     = 128 // bytes
)

// An entry is a header, the key, the message, and the offsets of its TTLs.
const (
	entryNext  = 0  // uint32: next of the chain
	entrySize  = 4  // uint32: of all, a multiple of 8
	entryHash  = 8  // uint64
	entryTime  = 16 // int64: when it was stored, a time.Duration
	entryTTL   = 24 // uint32: seconds
	entryEpoch = 28 // uint32: of the route that it came by
	entryRetry = 32 // uint32: seconds after entryTime until which it serves stale
	entryKey   = 36 // uint16: length
	entryMsg   = 38 // uint16: length
	entryTTLs  = 40 // uint16: number
	entryFlags = 42
	entryHits  = 43 // saturating count since it was stored
	entryHead  = 48

	flagDead = 1 // replaced; still takes up room
	flagUsed = 2 // asked for since the ring came by
)

var le = binary.LittleEndian

// newCache returns a cache of so many bytes, of which none is taken yet.
func newCache(bytes int) (*cache, error) {
	page := unix.Getpagesize()
	seg := (max(bytes, minCacheBytes)/cacheSegments + page - 1) / page * page
	memory, err := mapMemory(seg * cacheSegments)
	if err != nil {
		return nil, err
	}
	heads := 1
	for heads*meanEntry < len(memory) {
		heads *= 2
	}
	return &cache{
		seed:   maphash.MakeSeed(),
		memory: memory,
		seg:    seg,
		fill:   make([]int, cacheSegments),
		heads:  make([]uint32, heads),
		mask:   uint64(heads - 1),
	}, nil
}

// mapMemory returns memory that is not Go's: the garbage collector neither
// counts nor reads it, and what is never written to takes no room. It is given
// back with unix.Munmap.
func mapMemory(bytes int) ([]byte, error) {
	memory, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("cannot get %d bytes of memory: %w", bytes, err)
	}
	return memory, nil
}

func (c *cache) close() { unix.Munmap(c.memory) }

func (c *cache) hash(key []byte) uint64 { return maphash.Bytes(c.seed, key) }

// entry is an answer in the cache, valid until the next put or trim.
type entry []byte

func (e entry) age(now time.Duration) uint32 {
	return uint32(max(0, now-time.Duration(le.Uint64(e[entryTime:]))) / time.Second)
}
func (e entry) ttl() uint32   { return le.Uint32(e[entryTTL:]) }
func (e entry) epoch() uint32 { return le.Uint32(e[entryEpoch:]) }
func (e entry) hits() byte    { return e[entryHits] }
func (e entry) key() []byte   { return e[entryHead:][:le.Uint16(e[entryKey:])] }
func (e entry) retry() uint32 { return le.Uint32(e[entryRetry:]) }

// setRetry lets the expired entry serve until so many seconds of its age.
func (e entry) setRetry(age uint32) { le.PutUint32(e[entryRetry:], age) }

func (e entry) message() []byte {
	return e[entryHead+int(le.Uint16(e[entryKey:])):][:le.Uint16(e[entryMsg:])]
}

// failure reports whether the answer is that there is none to be had.
func (e entry) failure() bool {
	rcode := e.message()[3] & maskRcode
	return rcode != 0 && rcode != rcodeNXDomain
}

// ttls are the offsets of the times to live in the message, little-endian.
func (e entry) ttls() []byte {
	return e[entryHead+int(le.Uint16(e[entryKey:]))+int(le.Uint16(e[entryMsg:])):][:2*le.Uint16(e[entryTTLs:])]
}

// used notes that somebody asked for it.
func (e entry) used() {
	e[entryFlags] |= flagUsed
	if e[entryHits] < 255 {
		e[entryHits]++
	}
}

// at returns the entry at an offset.
func (c *cache) at(off uint32) entry {
	e := c.memory[off:]
	return e[:le.Uint32(e[entrySize:])]
}

// get returns the answer under key, nil if there is none. Whether it still
// holds is for the caller to judge.
func (c *cache) get(key []byte, hash uint64) entry {
	for off := c.heads[hash&c.mask]; off != 0; {
		e := c.at(off - 1)
		if le.Uint64(e[entryHash:]) == hash && string(e.key()) == string(key) {
			return e
		}
		off = le.Uint32(e)
	}
	return nil
}

// put keeps msg under key for ttl seconds. What was there under key is
// replaced. An answer that is too long for the cache is not kept.
func (c *cache) put(key []byte, hash uint64, msg []byte, ttls []uint16, ttl, epoch uint32, now time.Duration) {
	c.remove(key, hash)
	size := (entryHead + len(key) + len(msg) + 2*len(ttls) + 7) &^ 7
	if size > c.seg/2 || len(ttls) > maxMessage {
		return
	}
	if c.fill[c.newest]+size > c.seg {
		c.newest = (c.newest + 1) % cacheSegments
		c.renew(c.newest, c.seg/2)
	}
	off := c.newest*c.seg + c.fill[c.newest]
	c.fill[c.newest] += size
	e := entry(c.memory[off:][:size])
	clear(e[:entryHead])
	le.PutUint32(e[entrySize:], uint32(size))
	le.PutUint64(e[entryHash:], hash)
	le.PutUint64(e[entryTime:], uint64(now))
	le.PutUint32(e[entryTTL:], ttl)
	le.PutUint32(e[entryEpoch:], epoch)
	le.PutUint16(e[entryKey:], uint16(len(key)))
	le.PutUint16(e[entryMsg:], uint16(len(msg)))
	le.PutUint16(e[entryTTLs:], uint16(len(ttls)))
	at := entryHead + copy(e[entryHead:], key)
	at += copy(e[at:], msg)
	for i, t := range ttls {
		le.PutUint16(e[at+2*i:], t)
	}
	c.link(off, e)
}

// stride is how much memory prepare gets at a time.
const stride = 64 << 10

// prepare gets the memory for the next answers from the kernel, which takes its
// time over it. It is called when all that wait are answered.
func (c *cache) prepare() {
	page := unix.Getpagesize()
	at, end := c.newest*c.seg+c.fill[c.newest], (c.newest+1)*c.seg
	if c.ahead < at || c.ahead > end {
		c.ahead = at &^ (page - 1)
	}
	if c.ahead-at >= page || c.ahead == end {
		return
	}
	to := min(c.ahead+stride, end)
	unix.Madvise(c.memory[c.ahead:to], unix.MADV_POPULATE_WRITE) // before Linux 5.14 it comes when it is used
	c.ahead = to
}

// remove forgets the answer under key.
func (c *cache) remove(key []byte, hash uint64) {
	if e := c.get(key, hash); e != nil {
		c.unlink(e)
		e[entryFlags] |= flagDead
	}
}

// link makes the entry at off the first of its chain. Chains count from 1, as
// 0 is their end.
func (c *cache) link(off int, e entry) {
	head := &c.heads[le.Uint64(e[entryHash:])&c.mask]
	le.PutUint32(e, *head)
	*head = uint32(off) + 1
	c.names++
}

// unlink takes an entry, which is there, out of its chain.
func (c *cache) unlink(e entry) {
	c.names--
	head := &c.heads[le.Uint64(e[entryHash:])&c.mask]
	if *head != 0 && &c.memory[*head-1] == &e[0] {
		*head = le.Uint32(e)
		return
	}
	for off := *head; off != 0; {
		before := c.at(off - 1)
		off = le.Uint32(before)
		if off != 0 && &c.memory[off-1] == &e[0] {
			le.PutUint32(before, le.Uint32(e))
			return
		}
	}
}

// renew empties a segment but for the answers in use, up to keep bytes, which
// move to its beginning.
func (c *cache) renew(segment, keep int) {
	base := segment * c.seg
	to := base
	for off, end := base, base+c.fill[segment]; off < end; {
		e := c.at(uint32(off))
		off += len(e)
		if e[entryFlags]&flagDead != 0 {
			continue
		}
		c.unlink(e)
		if e[entryFlags]&flagUsed != 0 && to-base+len(e) <= keep {
			moved := entry(c.memory[to:][:len(e)])
			copy(moved, e)
			moved[entryFlags] &^= flagUsed
			c.link(to, moved)
			to += len(moved)
		}
	}
	c.fill[segment] = to - base
}

// held returns the bytes of memory that the cache takes up.
func (c *cache) held() int {
	n := 0
	for _, f := range c.fill {
		if f > 0 {
			n += c.seg
		}
	}
	return n
}

// trim gives memory back to the system, the oldest answers first, until the
// cache takes up at most keep bytes.
func (c *cache) trim(keep int) {
	for i := 1; i <= cacheSegments && c.held() > keep; i++ {
		if s := (c.newest + i) % cacheSegments; c.fill[s] > 0 {
			c.renew(s, 0)
			unix.Madvise(c.memory[s*c.seg:][:c.seg], unix.MADV_DONTNEED)
		}
	}
}
