package dirwatch

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// messages is a log handler's output, safe to read while it is written.
type messages struct {
	mu   sync.Mutex
	text strings.Builder
}

func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.Write(p)
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

// world is a watched directory below a temporary one.
type world struct {
	*testing.T
	dir     string
	changes <-chan struct{}
	log     messages
}

// watch watches for files named *.yes in a directory, sub of a temporary one, that
// isn't there unless make is true.
func watch(t *testing.T, sub string, make bool) *world {
	t.Helper()
	t.Parallel()
	temp, err := filepath.EvalSymlinks(t.TempDir())
	w := &world{T: t, dir: filepath.Join(temp, sub)}
	w.must(err)
	if make {
		w.must(os.MkdirAll(w.dir, 0o700))
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	w.changes = Watch(ctx, slog.New(slog.NewTextHandler(&w.log, nil)), w.dir, func(name string) bool {
		if strings.Contains(name, "/") {
			t.Errorf("asked about %q", name)
		}
		return strings.HasSuffix(name, ".yes")
	})
	w.expect("at once")
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) write(name string) {
	w.Helper()
	w.must(os.WriteFile(filepath.Join(w.dir, name), []byte("x"), 0o600))
}

// expect waits to be told of a change.
func (w *world) expect(what string) {
	w.Helper()
	select {
	case <-w.changes:
	case <-time.After(30 * time.Second):
		w.Fatalf("not told: %s", what)
	}
}

// expectDespite waits to be told of a change that other does not put off: it goes on
// meanwhile, but is none that anybody asked for.
func (w *world) expectDespite(what string, other func()) {
	w.Helper()
	often := time.NewTicker(Settle / 10)
	defer often.Stop()
	for late := time.After(30 * time.Second); ; {
		select {
		case <-w.changes:
			return
		case <-often.C:
			other()
		case <-late:
			w.Fatalf("%s counts", what)
		}
	}
}

func TestFiles(t *testing.T) {
	w := watch(t, ".", true)
	w.write("a.yes")
	w.expect("a new file")
	w.write("a.yes")
	w.expect("a change in place")
	w.write("a.no")
	w.must(os.Rename(filepath.Join(w.dir, "a.no"), filepath.Join(w.dir, "a.yes")))
	w.expect("a file replaced by another")
	w.must(os.Chmod(filepath.Join(w.dir, "a.yes"), 0))
	w.expect("rights")
	w.must(os.Symlink("nowhere", filepath.Join(w.dir, "link.yes")))
	w.expect("a link")
	w.must(os.Remove(filepath.Join(w.dir, "a.yes")))
	w.expect("a removed file")
	w.must(os.Mkdir(filepath.Join(w.dir, "sub"), 0o700))
	w.write("b.yes")
	w.expectDespite("a file that is not wanted", func() { w.write("a.no") })
	w.write("b.yes")
	w.expectDespite("a file further down", func() { w.write("sub/c.yes") })
	if text := w.log.String(); text != "" {
		t.Error(text)
	}
}

// The directories above may come with it, and go.
func TestDirectoryComesAndGoes(t *testing.T) {
	w := watch(t, "a/b/c", false)
	above := filepath.Dir(filepath.Dir(w.dir))
	for range 3 {
		w.must(os.MkdirAll(w.dir, 0o700))
		w.expect("the directory came")
		w.write("x.yes")
		w.expect("a file in it")
		w.must(os.RemoveAll(above))
		w.expect("the directory went")
	}
	if text := w.log.String(); text != "" {
		t.Error(text)
	}
}

// A directory that somebody still uses goes all the same.
func TestDirectoryInUse(t *testing.T) {
	w := watch(t, "a", true)
	f, err := os.Open(w.dir)
	w.must(err)
	defer f.Close()
	w.must(os.Remove(w.dir))
	w.expect("the directory went")
	w.must(os.Mkdir(w.dir, 0o700))
	w.expect("the directory came")
	w.write("x.yes")
	w.expect("a file in it")
}

// Files are seen in the directory that has the name, not in the one that had it.
func TestDirectoryReplaced(t *testing.T) {
	w := watch(t, "a/b", true)
	above := filepath.Dir(w.dir)
	for _, d := range []string{w.dir, above} {
		w.must(os.Rename(d, d+".old"))
		w.must(os.MkdirAll(w.dir, 0o700))
		w.expect("another directory")
		w.write("x.yes")
		w.expect("a file in it")
	}
	w.write("x.yes")
	w.expectDespite("a file in the old one", func() { w.write("../../a.old/b/y.yes") })
}

// However many files change, and however long that takes, nothing is told more often
// than files settle, and the last change is told. So many events overflow the
// kernel's queue, too, if they come fast.
func TestBurst(t *testing.T) {
	w := watch(t, ".", true)
	const files = 10_000
	told, last := 0, make(chan struct{})
	begin := time.Now()
	go func() {
		defer close(last)
		for i := range files {
			if err := os.WriteFile(filepath.Join(w.dir, fmt.Sprint(i, ".yes")), []byte("x"), 0o600); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for writing := true; writing; {
		select {
		case <-w.changes:
			told++
		case <-last:
			writing = false
		}
	}
	w.expect("the last change")
	told++
	if most := int(time.Since(begin) / Settle); told > most {
		t.Errorf("told %d times in %v", told, time.Since(begin))
	}
	w.write("another.yes")
	w.expect("a change after the burst")
}

// What cannot be watched is looked at anyway, and the log says so, once.
func TestUnwatchable(t *testing.T) {
	temp := t.TempDir()
	file := filepath.Join(temp, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := watch(t, "x", false)
	var log messages
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.changes = Watch(ctx, slog.New(slog.NewTextHandler(&log, nil)), filepath.Join(file, "dir"), func(string) bool { return true })
	w.expect("at once")
	if text := log.String(); strings.Count(text, "changes of files are seen late") != 1 || !strings.Contains(text, "not a directory") {
		t.Errorf("logged %q", text)
	}
}
