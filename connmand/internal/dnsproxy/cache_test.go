package dnsproxy

import (
	"bytes"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func testCache(t testing.TB, bytes int) *cache {
	c, err := newCache(bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

// TestCacheNeverLies: whatever is put, replaced and trimmed, what comes out
// under a key is what was last put there.
func TestCacheNeverLies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := newCache(minCacheBytes)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		model := map[string][]byte{}
		count := 0
		for range rapid.IntRange(1, 2000).Draw(t, "steps") {
			key := fmt.Sprintf("key%d", rapid.IntRange(0, 300).Draw(t, "key"))
			hash := c.hash([]byte(key))
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1, 2, 3:
				count++
				msg := bytes.Repeat([]byte{byte(count), byte(count >> 8)}, rapid.IntRange(6, 700).Draw(t, "size"))
				ttls := make([]uint16, rapid.IntRange(0, 5).Draw(t, "ttls"))
				c.put([]byte(key), hash, msg, ttls, uint32(count), 7, time.Second)
				model[key] = msg
			case 4:
				c.remove([]byte(key), hash)
				delete(model, key)
			case 5:
				if rapid.IntRange(0, 20).Draw(t, "trim") == 0 {
					keep := rapid.IntRange(0, minCacheBytes).Draw(t, "keep")
					c.trim(keep)
					if c.held() > keep {
						t.Fatalf("%d bytes after trimming to %d", c.held(), keep)
					}
				}
			default:
				e := c.get([]byte(key), hash)
				if e == nil {
					continue // forgetting is allowed
				}
				if !bytes.Equal(e.message(), model[key]) || string(e.key()) != key || e.epoch() != 7 {
					t.Fatalf("%s: %x, want %x", key, e.message(), model[key])
				}
				e.used()
			}
			if c.held() > minCacheBytes {
				t.Fatalf("%d bytes held", c.held())
			}
		}
		found := 0
		for key := range model {
			if c.get([]byte(key), c.hash([]byte(key))) != nil {
				found++
			}
		}
		if found != c.names {
			t.Fatalf("%d names found of %d", found, c.names)
		}
	})
}

// TestCacheKeepsWhatIsUsed while names come along that nobody asks for again.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c := testCache(t, 1<<20)
	put := func(key string) { c.put([]byte(key), c.hash([]byte(key)), make([]byte, 100), nil, 300, 1, 0) }
	for i := range 100 {
		put(fmt.Sprintf("hot%d", i))
	}
	for i := range 100_000 {
		put(fmt.Sprintf("cold%d", i))
		hot := fmt.Sprintf("hot%d", i%100)
		e := c.get([]byte(hot), c.hash([]byte(hot)))
		if e == nil {
			t.Fatalf("%s is gone after %d others", hot, i)
		}
		e.used()
	}
	if c.names < 4000 {
		t.Errorf("only %d names in 1 MB", c.names)
	}
}

// TestCacheOfManyNames: the default holds the names of the benchmarks.
func TestCacheOfManyNames(t *testing.T) {
	c := testCache(t, DefaultCacheBytes)
	for i := range 20_000 {
		key := fmt.Appendf(nil, "\x06n%05d\x07example\x03com\x00\x00\x01\x00\x01\x01", i)
		c.put(key, c.hash(key), make([]byte, len(key)+28), []uint16{40}, 300, 1, 0)
	}
	if c.names != 20_000 {
		t.Errorf("%d names", c.names)
	}
	longest := 0
	for _, off := range c.heads {
		n := 0
		for ; off != 0; n++ {
			off = le.Uint32(c.at(off - 1))
		}
		longest = max(longest, n)
	}
	if longest > 16 {
		t.Errorf("a chain of %d", longest)
	}
}

// TestCacheGivesMemoryBack, to the system and not just to the collector.
func TestCacheGivesMemoryBack(t *testing.T) {
	r := newRig(t, oneServer())
	fill := func() {
		for i := range 40_000 {
			key := fmt.Appendf(nil, "\x06n%05d\x07example\x03com\x00\x00\x01\x00\x01\x01", i)
			f := &flight{key: key, hash: r.e.cache.hash(key), epoch: 1}
			r.e.keep(f, make([]byte, 100), nil, 1<<20)
		}
	}
	if n := resident(t, r.e.cache); n != 0 {
		t.Fatalf("%d bytes are taken by an empty cache", n)
	}
	fill()
	if held, n := r.e.cache.held(), resident(t, r.e.cache); held < DefaultCacheBytes*9/10 || n < held*9/10 || n > DefaultCacheBytes {
		t.Fatalf("%d bytes held, %d taken", held, n)
	}
	r.e.stats.Queries += quietCount // busy
	r.pass(quietTime)
	if held := r.e.cache.held(); held < DefaultCacheBytes*9/10 {
		t.Errorf("%d bytes held while busy", held)
	}
	r.pass(quietTime)
	if held := r.e.cache.held(); held > keepSmall || held < keepSmall/2 {
		t.Errorf("%d bytes held when it is quiet", held)
	}
	if n := resident(t, r.e.cache); n > keepSmall {
		t.Errorf("%d bytes still taken", n)
	}
	if r.e.due != never {
		t.Error("due, with nothing to do")
	}
	fill()
	if r.e.due == never {
		t.Error("full again, and nobody looks after it")
	}
}

// resident is how much of the cache's memory the system has given it.
func resident(t *testing.T, c *cache) (bytes int) {
	t.Helper()
	page := unix.Getpagesize()
	pages := make([]byte, len(c.memory)/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&c.memory[0])), uintptr(len(c.memory)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, p := range pages {
		bytes += int(p&1) * page
	}
	return bytes
}

func TestCacheOff(t *testing.T) {
	c := oneServer()
	c.CacheBytes, c.ServeStale = -1, true
	r := newRig(t, c)
	for range 2 {
		r.ask(question("www.example."))
		a := one(t, r.asked())
		r.reply(a, answer(t, a.Msg, "www.example. 300 IN A 192.0.2.1"))
		one(t, r.answers())
	}
	r.ask(question("a.example."))
	r.ask(question("b.example."))
	if n := len(r.asked()); n != 2 {
		t.Errorf("%d questions", n)
	}
}

// TestPrepare: memory is there before it is written to, wherever the ring is, and
// what the cache holds stays.
func TestPrepare(t *testing.T) {
	c, err := newCache(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	page := unix.Getpagesize()
	for i := range 20000 {
		c.prepare()
		// The page behind the answers; where a segment ends there is none.
		at := c.newest*c.seg + c.fill[c.newest]
		resident := make([]byte, 1)
		if off := at &^ (page - 1); at < (c.newest+1)*c.seg {
			if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&c.memory[off])), uintptr(page), uintptr(unsafe.Pointer(&resident[0]))); errno != 0 {
				t.Fatal(errno)
			}
			if resident[0]&1 == 0 {
				t.Fatalf("answer %d: the page at %d is not there, %d are", i, off, c.ahead)
			}
		}
		key := []byte(fmt.Sprintf("key %d", i))
		c.put(key, c.hash(key), make([]byte, 40+i%200), nil, 1, 1, 0)
		if c.get(key, c.hash(key)) == nil {
			t.Fatalf("answer %d is gone", i)
		}
		if i == 15000 {
			c.trim(c.seg)
		}
	}
}
