package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// writeForever in the environment makes the test binary write that file, in
// turn with all a and all b, until it is killed, and say when it is there.
const writeForever = "STORE_TEST_WRITE_FOREVER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writeForever); path != "" {
		for i := 0; ; i++ {
			if err := WriteFile(path, bytes.Repeat([]byte{"ab"[i%2]}, size)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			if i == 0 {
				fmt.Println("written")
			}
		}
	}
	goleak.VerifyTestMain(m)
}

const size = 300_000

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "settings")
	for _, content := range []string{"one", "", "three"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != content {
			t.Fatalf("read %q, wrote %q", got, content)
		}
	}
	for p, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, want %v (%v)", p, info.Mode(), want, err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("files left behind: %v", entries)
	}
}

// A file in the making that someone replaced by a link must not be followed.
func TestWriteFileFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "settings"), filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{path, path + tempSuffix} {
		if err := os.Symlink(victim, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if read(t, victim) != "precious" || read(t, path) != "new" {
		t.Error("wrote through a symbolic link")
	}
}

func TestRemove(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "service")
	path := filepath.Join(dir, "settings")
	if err := WriteFile(path, nil); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{dir, path, path, dir, dir} { // first not empty, then gone
		if err := Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("directory is still there: %v", err)
	}
}

// stalled is how long a disk may take that others use: to write a file is to wait for
// all that they write.
const stalled = 5 * time.Minute

func TestKilledWriterLeavesAWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings")
	if err := WriteFile(path, bytes.Repeat([]byte("b"), size)); err != nil {
		t.Fatal(err)
	}
	for round := range 20 {
		written, says, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writeForever+"="+path)
		cmd.Stdout, cmd.Stderr = says, os.Stderr
		if err := errors.Join(cmd.Start(), says.Close(), written.SetReadDeadline(time.Now().Add(stalled))); err != nil {
			t.Fatal(err)
		}
		if _, err := written.Read(make([]byte, 1)); err != nil {
			t.Error("nothing was written:", err)
		}
		time.Sleep(time.Duration(round*137) * time.Microsecond) // kill in another phase each time
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the writer ended by itself: %v", err)
		}
		written.Close()
		got := read(t, path)
		if len(got) != size || strings.Trim(got, got[:1]) != "" {
			t.Fatalf("torn file of %d bytes", len(got))
		}
	}
}

// messages is a log handler's output, safe to read while it is written.
type messages struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.Write(p)
}

func (m *messages) count(what string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Count(m.text.String(), what)
}

func newWriter(t *testing.T) (*Writer, *messages) {
	var out messages
	w := NewWriter(slog.New(slog.NewTextHandler(&out, nil)), time.Second)
	t.Cleanup(w.Close)
	return w, &out
}

func inode(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestWriterGathersAndLastWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "settings")
		w, _ := newWriter(t)
		for i := range 100 {
			w.Write(path, fmt.Append(nil, i))
			time.Sleep(9 * time.Millisecond)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal("written before the delay was over")
		}
		if got, _ := w.Read(path); string(got) != "99" {
			t.Fatalf("Read gives %q before the write", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := read(t, path); got != "99" {
			t.Fatalf("file holds %q", got)
		}
	})
}

func TestWriterSparesUnchangedFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "settings")
		w, _ := newWriter(t)
		w.Write(path, []byte("same"))
		w.Flush()
		before := inode(t, path)
		w.Write(path, []byte("other"))
		w.Write(path, []byte("same"))
		w.Flush()
		if !os.SameFile(before, inode(t, path)) {
			t.Error("a file that stays the same was written again")
		}
	})
}

func TestWriterEditsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings")
	w, _ := newWriter(t)
	w.Write(path, []byte("one"))
	w.Flush()
	w.Update(path, func(old []byte) []byte { return append(bytes.TrimSuffix(bytes.Clone(old), []byte(" two")), " two"...) })
	if got, err := w.Read(path); string(got) != "one two" || err != nil {
		t.Errorf("Read gives %q, %v", got, err)
	}
	w.Close()
	if got := read(t, path); got != "one two" {
		t.Errorf("Close left %q", got)
	}
}

// A read does not wait for what is being written meanwhile, its own file
// included.
func TestReadOvertakesWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		slow, other := filepath.Join(dir, "slow"), filepath.Join(dir, "other")
		w, _ := newWriter(t)
		w.Write(other, []byte("there"))
		w.Flush()
		begun, held := make(chan struct{}), make(chan struct{})
		calls := 0
		w.Update(slow, func([]byte) []byte {
			if calls++; calls == 1 {
				close(begun)
				<-held
			}
			return []byte("slow")
		})
		w.Write(other, []byte("changed"))
		go w.Flush()
		<-begun
		for path, want := range map[string]string{slow: "slow", other: "changed"} {
			if got, err := w.Read(path); string(got) != want || err != nil {
				t.Errorf("%s: %q, %v", path, got, err)
			}
		}
		close(held)
		synctest.Wait()
		if got := read(t, slow) + read(t, other); got != "slowchanged" {
			t.Errorf("the files hold %q", got)
		}
	})
}

func TestWriterRemovesInOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "service")
	path := filepath.Join(dir, "settings")
	w, _ := newWriter(t)
	w.Write(path, []byte("x"))
	w.Flush()
	w.Write(path, []byte("y"))
	w.Remove(dir) // too early: it must go behind the next one
	w.Remove(path)
	w.Remove(dir)
	if _, err := w.Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of a removed file: %v", err)
	}
	w.Flush()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("directory is still there: %v", err)
	}
	w.Remove(path)
	w.Write(path, []byte("back"))
	w.Flush()
	if got := read(t, path); got != "back" {
		t.Errorf("a file written after its removal holds %q", got)
	}
}

// A file in the way of a directory makes every write fail, also for root.
func TestWriterReportsAFailureOnceAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		obstacle := filepath.Join(t.TempDir(), "service")
		if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(obstacle, "settings")
		w, log := newWriter(t)
		for range 10 {
			w.Write(path, []byte("x"))
			time.Sleep(2 * time.Second)
		}
		synctest.Wait()
		if got := log.count("level=ERROR"); got != 1 {
			t.Errorf("a lasting failure was logged %d times, want once", got)
		}
		if err := os.Remove(obstacle); err != nil {
			t.Fatal(err)
		}
		time.Sleep(Retry + time.Second)
		synctest.Wait()
		if got := read(t, path); got != "x" || log.count("at last") != 1 {
			t.Errorf("not written when it became possible")
		}
	})
}
