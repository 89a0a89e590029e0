//go:build netns

package resolver

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A container's resolv.conf is a mount: it cannot be replaced, only changed.
// Whether its directory may be written or not, it is restored.
func TestMountedFile(t *testing.T) {
	runtime.LockOSThread() // for good: the thread dies with its mounts
	check(t, unix.Unshare(unix.CLONE_NEWNS))
	check(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	for _, readOnly := range []bool{false, true} {
		s := newSystem(t)
		dir := filepath.Dir(s.etc)
		outside := filepath.Join(dir, "..", "other", "resolv.conf")
		write(t, outside, "original\n")
		write(t, s.etc, "")
		if readOnly {
			check(t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
			check(t, unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
			t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
		}
		check(t, unix.Mount(outside, s.etc, "", unix.MS_BIND, ""))

		p := s.place(s.etc)
		check(t, p.write(ourText+"# first\n"))
		check(t, p.write(ourText))
		if got := read(t, s.etc); got != ourText {
			t.Errorf("read-only %v: wrote %q", readOnly, got)
		}
		check(t, p.restore())
		if got := read(t, s.etc); got != "original\n" {
			t.Errorf("read-only %v: restored %q", readOnly, got)
		}
		check(t, unix.Unmount(s.etc, 0))
		if _, err := os.Lstat(s.etc + keptSuffix); !os.IsNotExist(err) {
			t.Errorf("read-only %v: the copy is still there", readOnly)
		}
	}
}
