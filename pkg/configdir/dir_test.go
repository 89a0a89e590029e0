package configdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"net.connman/pkg/keyfile"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// words takes each word of a file for a specification, but "bad".
func words(name string, data []byte) (specs []string, problems []keyfile.Problem) {
	for _, w := range strings.Fields(string(data)) {
		if w == "bad" {
			problems = append(problems, keyfile.Problem{Line: 1, Text: "a bad word"})
		} else {
			specs = append(specs, name+"/"+w)
		}
	}
	return specs, problems
}

func upper(name string, data []byte) ([]string, []keyfile.Problem) {
	return words(strings.ToUpper(name), data)
}

// messages is a log handler's output, safe to read while it is written.
type messages struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // has a value when something was written
}

func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case m.more <- struct{}{}:
	default:
	}
	return m.text.Write(p)
}

func (m *messages) count(what string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Count(m.text.String(), what)
}

// world is a directory.
type world struct {
	*testing.T
	path    string
	dir     *Dir[string]
	log     messages
	loop    *loop.Loop
	reports chan []string
	stop    func()
}

// newWorld makes a directory, which is followed from follow on.
func newWorld(t *testing.T) *world {
	w := &world{T: t, path: filepath.Join(t.TempDir(), "dir"), reports: make(chan []string, 100)}
	w.log.more = make(chan struct{}, 1)
	if err := os.Mkdir(w.path, 0o700); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	w.loop = loop.New(log)
	w.dir = New(w.loop, log, w.path, words, upper)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { w.loop.Run(ctx); close(ended) }()
	t.Cleanup(func() {
		if w.stop != nil {
			w.loop.Post("stop", w.stop)
		}
		w.loop.Post("quit", cancel)
		<-ended
	})
	return w
}

func (w *world) follow() { w.stop = w.dir.Follow(func(specs []string) { w.reports <- specs }) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) file(name string) string { return filepath.Join(w.path, name) }

// put replaces a file.
func (w *world) put(name, text string) {
	w.Helper()
	w.must(os.WriteFile(w.file("new"), []byte(text), 0o600))
	w.must(os.Rename(w.file("new"), w.file(name)))
}

// link replaces a file by a link.
func (w *world) link(to, name string) {
	w.Helper()
	w.must(os.Symlink(to, w.file("new")))
	w.must(os.Rename(w.file("new"), w.file(name)))
}

// expect waits for the next report.
func (w *world) expect(what string, want ...string) {
	w.Helper()
	select {
	case got := <-w.reports:
		if !slices.Equal(got, want) {
			w.Fatalf("%s: %q, want %q", what, got, want)
		}
	case <-time.After(30 * time.Second):
		w.Fatalf("%s: not reported", what)
	}
}

func TestFollow(t *testing.T) {
	w := newWorld(t)
	w.put("b.config", "one two")
	for _, name := range []string{"settings", ".config", "x.config~", "\x01.config"} {
		w.put(name, "other")
	}
	w.follow()
	w.expect("at once", "b/one", "b/two")
	w.put("a.toml", "three")
	w.expect("added", "A/three", "b/one", "b/two")
	w.put("b.config", "two")
	w.expect("replaced", "A/three", "b/two")
	w.put("a.config", "four")
	w.expect("beside its twin", "a/four", "b/two")
	if w.log.count("ignored beside a.config") != 1 {
		t.Error("the ignored twin was not reported")
	}
	w.must(os.Remove(w.file("a.config")))
	w.expect("without its twin", "A/three", "b/two")
	w.put("b.config", " two ")
	w.put("c.config", "five")
	w.expect("what changes nothing is not reported", "A/three", "b/two", "c/five")
	w.must(os.RemoveAll(w.path))
	w.expect("the directory is gone")
	w.must(os.Mkdir(w.path, 0o700))
	w.put("d.config", "six")
	w.expect("another directory", "d/six")
}

// Nothing is reported after the end, not even what was read before.
func TestStop(t *testing.T) {
	w := newWorld(t)
	w.put("a.config", "one")
	w.follow()
	w.expect("at once", "a/one")
	stopped := make(chan struct{})
	w.loop.Post("stop", func() {
		w.dir.report([]string{"late"})
		w.stop()
		w.loop.Post("stopped", func() { close(stopped) })
	})
	<-stopped
	if len(w.reports) > 0 {
		t.Errorf("reported %q", <-w.reports)
	}
}

func TestTroubleIsLoggedOnce(t *testing.T) {
	w := newWorld(t)
	w.put("a.config", "one bad")
	w.must(os.Mkdir(w.file("dir.config"), 0o700))
	w.must(unix.Mkfifo(w.file("pipe.config"), 0o600))
	w.put("huge.config", strings.Repeat("x", MaxFile+1))
	w.follow()
	w.expect("at once", "a/one")
	w.put("b.config", "two")
	w.expect("read again", "a/one", "b/two")
	for _, text := range []string{
		w.file("a.config") + ": line 1: a bad word", w.file("dir.config") + ": cannot be read: not a regular file",
		w.file("pipe.config") + ": cannot be read: not a regular file", w.file("huge.config") + ": cannot be read: longer than 1 MiB",
	} {
		if got := w.log.count(text); got != 1 {
			t.Errorf("%q was logged %d times", text, got)
		}
	}
	w.put("b.config", "two bad")
	w.put("c.config", "three")
	w.expect("a new problem", "a/one", "b/two", "c/three")
	if w.log.count("a bad word") != 2 {
		t.Error("the new problem was not logged")
	}
}

// A file that cannot be read says what it said, until it can be read or is gone.
func TestUnreadableFile(t *testing.T) {
	const broken = "/proc/self/mem" // a regular file whose first byte gives EIO
	w := newWorld(t)
	w.put("a.config", "one")
	w.put("b.config", "two")
	w.follow()
	w.expect("at once", "a/one", "b/two")
	w.link(broken, "a.config")
	w.put("b.config", "three")
	w.expect("one is broken", "a/one", "b/three")
	w.link(broken, "c.config")
	w.put("b.config", "four")
	w.expect("one always was", "a/one", "b/four")
	for _, name := range []string{"a.config", "c.config"} {
		if got := w.log.count(w.file(name) + ": cannot be read: read"); got != 1 {
			t.Errorf("that %s is broken was logged %d times", name, got)
		}
	}
	w.put("a.config", "five")
	w.expect("mended", "a/five", "b/four")
	w.link(broken, "a.config")
	w.put("b.config", "six")
	w.expect("broken again", "a/five", "b/six")
	w.must(os.Remove(w.file("a.config")))
	w.expect("gone", "b/six")
	w.put("a.config", "")
	w.put("b.config", "seven")
	w.expect("come again", "b/seven")
}

// While the process has no descriptor to spare, everything stays as it is, and what
// was not read then is read soon after, without a change of the files.
func TestNoDescriptors(t *testing.T) {
	w := newWorld(t)
	w.put("a.config", "one")
	w.put("b.toml", "two")
	read := func(want ...string) (all bool) {
		t.Helper()
		specs, _, all := w.dir.files.read()
		if !slices.Equal(specs, want) {
			t.Errorf("read %q, want %q", specs, want)
		}
		return all
	}
	without := func(fn func()) {
		var limit unix.Rlimit
		w.must(unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
		w.must(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}))
		defer func() { w.must(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
		fn()
	}
	without(func() {
		if read() {
			t.Error("all was read without a descriptor")
		}
	})
	if !read("a/one", "B/two") {
		t.Error("not all was read")
	}
	without(func() {
		if read("a/one", "B/two") {
			t.Error("all was read without a descriptor")
		}
	})
}

// What could not be read is tried again by itself.
func TestAgain(t *testing.T) {
	w := newWorld(t)
	w.put("b.config", "two")
	w.must(os.Symlink("/proc/self/mem", w.file("outside")))
	w.link("outside", "a.config")
	w.dir.again = 10 * time.Millisecond
	w.follow()
	w.expect("at once", "b/two")
	w.put("outside", "one") // which is no change of a file that is followed
	w.expect("again", "a/one", "b/two")
}

// An unreadable directory is none without files: that would undo what an earlier run
// of the program provisioned.
func TestUnreadableDirectory(t *testing.T) {
	w := newWorld(t)
	w.must(os.Remove(w.path))
	w.must(os.Symlink("dir", w.path)) // a loop
	w.dir.again = 10 * time.Millisecond
	w.follow()
	for deadline := time.After(30 * time.Second); w.log.count("cannot be read: open") == 0; {
		select {
		case <-w.log.more:
		case <-deadline:
			t.Fatal("nothing is logged")
		}
	}
	w.must(os.Remove(w.path))
	w.expect("there is none")
	w.must(os.Mkdir(w.path, 0o700))
	w.put("a.config", "one")
	w.expect("there is one", "a/one")
}

// What changes files knows what they say then, as does whoever follows them.
func TestChange(t *testing.T) {
	w := newWorld(t)
	w.put("a.config", "one")
	w.follow()
	w.expect("at once", "a/one")
	specs, err := w.dir.Change(t.Context(), func() error { return os.WriteFile(w.file("b.config"), []byte("two"), 0o600) })
	if want := []string{"a/one", "b/two"}; err != nil || !slices.Equal(specs, want) {
		t.Errorf("%q, %v", specs, err)
	}
	w.expect("changed", "a/one", "b/two")
	failed := errors.New("failed")
	if specs, err := w.dir.Change(t.Context(), func() error { return failed }); err != failed || specs != nil {
		t.Errorf("%q, %v", specs, err)
	}
	stopped := make(chan struct{})
	w.loop.Post("stop", func() { w.stop(); close(stopped) })
	<-stopped
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// The goroutine may not have noticed yet, and then does what it is told.
	if _, err := w.dir.Change(ctx, func() error { return context.Canceled }); err != context.Canceled {
		t.Errorf("after the end: %v", err)
	}
}

func TestManyFiles(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 10_000 {
		name := fmt.Sprintf("%05d", i)
		w.must(os.WriteFile(w.file(name+TOMLEnding), []byte(name), 0o600))
		want = append(want, name+"/"+name)
	}
	w.follow()
	w.expect("all", want...)
}

// FuzzSplit gives files any name.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a.config", ".config", "a.toml", "a.config.toml", "ä.config", "a\x00.toml", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		name, ending, ok := split(file)
		if ok && (name+ending != file || name == "" || !fs.ValidPath("x"+strings.ReplaceAll(name, "/", ""))) {
			t.Errorf("%q is %q and %q", file, name, ending)
		}
	})
}
