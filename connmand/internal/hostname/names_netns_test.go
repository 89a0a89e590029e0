//go:build netns

package hostname

import (
	"log/slog"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestKernel(t *testing.T) {
	runtime.LockOSThread() // for good: the thread dies with its names
	if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
		t.Fatal(err)
	}
	n, err := New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	own := n.domain.own
	n.SetHostname("zed.lab.example")
	n.SetDomainname("lab.example")
	expect(t, "zed", "lab.example")
	n.SetHostname("")
	n.SetDomainname("")
	expect(t, n.Hostname(), own)
}

func expect(t *testing.T, host, domain string) {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	h, d := unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Domainname[:])
	if h != host || d != domain {
		t.Errorf("the machine is %q in %q, want %q in %q", h, d, host, domain)
	}
}
