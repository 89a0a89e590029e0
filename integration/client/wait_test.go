//go:build netns

package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"net.connman/integration/lab"
)

// waitLines are command lines of connmand-wait-online.
var waitLines = []string{
	"",
	"-i eth0",
	"-i eth1",
	"-i eth0,eth1",
	"--interface=eth1,eth0",
	"-I eth0",
	"--ignore=eth1",
	"-i eth0 -I eth1",
	"--timeout=0",
	"-i nothing --timeout=1",
	"-I eth0,eth1 --timeout=1",
	"-i eth0 -I eth0 --timeout=1",
	"-i eth0 -i eth1",
	"eth0",
	"--timeout=x",
	"--bogus",
	"-i",
	"--timeout=-1",
}

// differently maps lines to why ours deliberately ends or complains in another
// way.
var differently = map[string]struct {
	status int
	reason string
}{
	"--timeout=x":  {95, "the words about options are the option parser's"},
	"--bogus":      {95, "likewise"},
	"-i":           {95, "likewise"},
	"--timeout=-1": {95, "the reference waits for ever, which nobody can mean by it"},
}

// TestWaitOnline: both programs say of both daemons whether there is a network.
func TestWaitOnline(t *testing.T) {
	theirs := filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "connman/usr/sbin/connmand-wait-online")
	our := filepath.Join(os.Getenv("CONNMAN_BIN"), "connmand-wait-online")
	for _, daemon := range []lab.Manager{lab.Reference(), lab.Ours()} {
		w := newWorld(t, daemon)
		for _, line := range waitLines {
			want, got := w.run(theirs, strings.Fields(line)...), w.run(our, strings.Fields(line)...)
			if other, ok := differently[line]; ok {
				if got.Status != other.status || got.Stderr == "" || cmp.Equal(want, got) {
					t.Errorf("%s: %q: status %d, %q; the reference: %d, %q", daemon.Name, line, got.Status, got.Stderr, want.Status, want.Stderr)
				}
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %q: (-reference +ours)\n%s", daemon.Name, line, diff)
			}
		}
	}
}
