//go:build netns

package dns

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// TestServeStale: when its server is gone, an answer that has expired will do,
// for who wants that.
func TestServeStale(t *testing.T) {
	for _, stale := range []bool{true, false} {
		t.Run(fmt.Sprint(stale), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, place{"home.test", []int{53}})
			short := func(question *dns.Msg) *dns.Msg {
				reply := everyName(clearText)(question)
				for _, a := range reply.Answer {
					a.Header().Ttl = 1
				}
				return reply
			}
			server := w.nets[0].serve(53, short)
			w.configure(fmt.Sprintf("DNSServeStale=%v\n", stale))
			w.start()
			w.until(func() error {
				reply, err := w.ask("www.test")
				if err == nil && len(reply.Answer) != 1 {
					err = fmt.Errorf("no answer: %v", reply)
				}
				return err
			})
			server.stop()
			if stale {
				w.until(func() error {
					reply, err := w.ask("www.test")
					if err == nil && (len(reply.Answer) != 1 || reply.Answer[0].Header().Ttl != 30) {
						err = fmt.Errorf("not stale: %v", reply)
					}
					return err
				})
				return
			}
			w.until(func() error {
				reply, err := w.ask("www.test")
				if err == nil && reply.Rcode != dns.RcodeServerFailure {
					err = fmt.Errorf("answered: %v", reply)
				}
				return err
			})
		})
	}
}

// TestRandomCase: servers see letters in random case and programs get theirs
// back, where that is wanted.
func TestRandomCase(t *testing.T) {
	for _, random := range []bool{true, false} {
		t.Run(fmt.Sprint(random), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, place{"home.test", []int{53}})
			var mu sync.Mutex
			seen := map[string]bool{}
			w.nets[0].serve(53, func(question *dns.Msg) *dns.Msg {
				mu.Lock()
				defer mu.Unlock()
				if name := question.Question[0].Name; strings.HasSuffix(strings.ToLower(name), "letters.test.") {
					seen[name] = true
				}
				return everyName(clearText)(question)
			})
			w.configure(fmt.Sprintf("DNSRandomCase=%v\n", random))
			w.start()
			w.untilDig(clearText, "www.test")
			const name = "a.name.of.many.LETTERS.test."
			for range 5 {
				reply, err := w.ask(name)
				if err != nil || len(reply.Answer) != 1 || reply.Question[0].Name != name {
					t.Fatalf("%v, %v", reply, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if random && len(seen) < 5 || !random && (len(seen) != 1 || !seen[name]) {
				t.Errorf("the server saw %v", seen)
			}
		})
	}
}
