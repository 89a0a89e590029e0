//go:build netns

package dns

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestFloods: thousands of names that no server answers, and hundreds of
// connections that say nothing, leave other clients served, and use what is
// bounded.
func TestFloods(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53}})
	good := answers(map[string]string{"good.test": "192.0.2.1", "better.test": "192.0.2.2"})
	w.nets[0].serve(53, func(question *dns.Msg) *dns.Msg {
		if strings.HasSuffix(question.Question[0].Name, ".flood.test.") {
			return nil
		}
		return good(question)
	})
	w.start()
	w.untilDig("192.0.2.1", "good.test")
	before := w.usage()

	idle := w.connectIdle(600)
	var packets net.Conn
	must(t, w.machine.Do(func() (err error) {
		packets, err = net.Dial("udp4", "127.0.0.1:53")
		return err
	}))
	defer packets.Close()
	for i := range 20000 {
		question, err := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.flood.test.", i), dns.TypeA).Pack()
		must(t, err)
		_, _ = packets.Write(question) // refused when the proxy's socket is full
	}
	for _, args := range [][]string{{"good.test"}, {"+tcp", "good.test"}} {
		w.untilDig("192.0.2.1", args...)
	}
	w.untilDig("192.0.2.2", "better.test")
	during := w.usage()
	if more := during.fds - before.fds; more > 1000 {
		t.Errorf("%d descriptors more", more)
	}
	if more := during.rss - before.rss; more > 20<<20 {
		t.Errorf("%d MB more", more>>20)
	}
	for _, conn := range idle {
		conn.Close()
	}
	w.untilCalm()
	w.until(func() error {
		if more := w.usage().fds - before.fds; more > 10 {
			return fmt.Errorf("%d descriptors are left", more)
		}
		return nil
	})
	t.Logf("descriptors %d → %d, Rss %d → %d KB", before.fds, during.fds, before.rss>>10, during.rss>>10)
}

// connectIdle opens connections to the proxy, each of which says half of what
// it should at most.
func (w *world) connectIdle(count int) []net.Conn {
	w.t.Helper()
	var all []net.Conn
	must(w.t, w.machine.Do(func() error {
		for i := range count {
			conn, err := net.Dial("tcp4", "127.0.0.1:53")
			if err != nil {
				return err
			}
			all = append(all, conn)
			if i%2 == 0 {
				_, _ = conn.Write([]byte{0}) // the proxy may have hung up
			}
		}
		return nil
	}))
	return all
}
