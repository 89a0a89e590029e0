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

// TestIdleDaemonSleeps: with nothing due, nothing wakes the daemon. Here it
// looks for an IPv6 router in vain, ever more seldom (RFC 7559): four times
// within half a minute, and then not for as long again.
func TestIdleDaemonSleeps(t *testing.T) {
	t.Parallel()
	const (
		pause = 13 * time.Second // the third is 16 s, give or take a tenth
		long  = 25 * time.Second // the fourth, 32 s, leaves that much
	)
	w := newWorld(t, 1, nil)
	link := listen(t, w.Links[0])
	w.startOnline()
	for gap := time.Duration(0); gap < pause; {
		last := time.Now()
		link.wait(patience, true, solicitation)
		gap = time.Since(last)
	}
	watch(time.Second) // it lies down again
	before := usage(t, w.daemon.Pid())
	watch(long)
	after := usage(t, w.daemon.Pid())
	// A thread of the Go runtime looks once a minute, or when a timer is due,
	// what there is to do; that is all that may be seen here.
	if woken := after.wakeUps - before.wakeUps; woken > 2 {
		t.Errorf("woken %d times in %v", woken, long)
	}
}
