//go:build netns

package store

import (
	"bytes"
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// On a full and on a read-only file system the old file stays whole.
func TestFullAndReadOnlyFileSystem(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread ends with its mounts
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(dir, "settings")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, bytes.Repeat([]byte("x"), 1<<20)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("writing to a full file system: %v", err)
	}
	if got := read(t, path); got != "old" {
		t.Errorf("a full file system changed the file to %d bytes", len(got))
	}
	if err := WriteFile(path, []byte("small")); err != nil {
		t.Errorf("the failed write left no room: %v", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("new")); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing to a read-only file system: %v", err)
	}
	if got := read(t, path); got != "small" {
		t.Errorf("a read-only file system let the file become %q", got)
	}
}
