//go:build netns

package wired

import (
	"fmt"
	"os"
	"testing"
	"time"

	"net.connman/integration/lab"
)

// TestBudget holds the daemon, idle and connected, to the memory that small
// products have for it, and its program to their disks.
func TestBudget(t *testing.T) {
	const rss, anonymous, program = 12, 3, 10 // MB
	info, err := os.Stat(lab.Ours().Path)
	must(t, err)
	if size := float64(info.Size()) / 1e6; size > program {
		t.Errorf("the program has %.1f MB, budget %d", size, program)
	}
	w := newWorld(t, 1, nil)
	w.startOnline()
	var u spent
	w.until("memory within the budget", func() error {
		if u = usage(t, w.daemon.Pid()); u.rss > rss || u.anonymous > anonymous {
			return fmt.Errorf("Rss %.1f MB, budget %d; anonymous %.1f MB, budget %d", u.rss, rss, u.anonymous, anonymous)
		}
		return nil
	})
	t.Logf("program %.1f MB, Rss %.1f MB, anonymous %.1f MB", float64(info.Size())/1e6, u.rss, u.anonymous)
}

// TestIdleDaemonSleeps: with nothing due, nothing wakes the daemon for half a
// minute.
func TestIdleDaemonSleeps(t *testing.T) {
	t.Parallel()
	const long = 30 * time.Second
	w := newWorld(t, 1, nil)
	w.startOnline()
	// This home has no IPv6 router, which would be looked for now and then.
	w.set(0, "IPv6.Configuration", dictOf("Method", "off"))
	watch(12 * time.Second) // what follows a start is over
	before := usage(t, w.daemon.Pid())
	watch(long)
	after := usage(t, w.daemon.Pid())
	// The runtime may look once whether there is garbage: every two minutes.
	if woken := after.wakeUps - before.wakeUps; woken > 2 {
		t.Errorf("woken %d times in %v", woken, long)
	}
}
