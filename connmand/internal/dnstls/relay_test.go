package dnstls

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain is also the program, when it is started as one: it writes what it is
// asked for into each stream, reports a complaint, and ends when its name has
// "dies" in it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "fake-"+Program && filepath.Base(os.Args[0]) != "dies-"+Program {
		goleak.VerifyTestMain(m)
		return
	}
	message, rights := make([]byte, maxMessage), make([]byte, 256)
	for {
		if _, err := unix.Poll([]unix.PollFd{{Fd: Control, Events: unix.POLLIN}}, -1); err == unix.EINTR {
			continue
		}
		n, oobn, _, _, err := unix.Recvmsg(Control, message, rights, 0)
		if err != nil || n == 0 || strings.HasPrefix(filepath.Base(os.Args[0]), "dies") {
			os.Exit(3)
		}
		control, _ := unix.ParseSocketControlMessage(rights[:oobn])
		fds, _ := unix.ParseUnixRights(&control[0])
		p, err := ParseMessage(message[:n])
		if err != nil || len(fds) != 2 {
			os.Exit(4)
		}
		fmt.Fprintf(os.NewFile(uintptr(fds[1]), ""), "%d %+v", os.Getpid(), p)
		unix.Close(fds[0])
		unix.Close(fds[1])
		unix.Send(Control, p.Report("it is \x00 ill"), 0)
	}
}

const within = 20 * time.Second

// logged is a log that tests may read at any time.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// until waits until so many lines have been logged that hold text.
func (l *logged) until(t *testing.T, lines int, text string) {
	t.Helper()
	for end := time.Now().Add(within); strings.Count(l.String(), text) != lines; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %d lines with %q: %s", lines, text, l)
		}
	}
}

// program returns the path of one that does what this test's TestMain says.
func program(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func newRelay(t *testing.T, paths ...string) (*Relay, *logged) {
	var log logged
	r := New(slog.New(slog.NewTextHandler(&log, nil)), paths...)
	t.Cleanup(r.Close)
	return r, &log
}

// carry has a stream carried and returns what comes out of it.
func carry(t *testing.T, r *Relay, p Peer) (string, error) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := os.NewFile(uintptr(pair[0]), "ours")
	defer ours.Close()
	err = r.Carry(pair[1], pair[1], p)
	unix.Close(pair[1])
	if err != nil {
		return "", err
	}
	if err := ours.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(ours)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), nil
}

var peer = Peer{Addr: netip.MustParseAddr("192.0.2.1"), Link: "eth0", Name: "dns.example", Strict: true}

func TestRelay(t *testing.T) {
	r, log := newRelay(t, "/nonexistent", program(t, "fake-"+Program))
	first, err := carry(t, r, peer)
	if err != nil {
		t.Fatal(err)
	}
	pid, said, _ := strings.Cut(first, " ")
	if want := fmt.Sprintf("%+v", peer); said != want {
		t.Errorf("the program got %s, want %s", said, want)
	}
	other := peer
	other.Strict = false
	if second, err := carry(t, r, other); err != nil || !strings.HasPrefix(second, pid+" ") {
		t.Errorf("another program, or none: %q, %v", second, err)
	}
	carry(t, r, peer)
	last := peer
	last.Name = "last.example"
	carry(t, r, last)
	log.until(t, 1, "last.example")
	log.until(t, 2, "level=WARN") // each complaint once, and none where clear text will do
	log.until(t, 2, `it is \x00 ill`)

	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	r.Rest()
	r.ended.Wait()
	if err := unix.Kill(n, 0); err != unix.ESRCH {
		t.Errorf("the program rests, but is there: %v", err)
	}
	if strings.Contains(log.String(), "ended") {
		t.Errorf("its rest is taken for a failure: %s", log)
	}
	if again, err := carry(t, r, peer); err != nil || again == "" {
		t.Errorf("after a rest: %q, %v", again, err)
	}
}

// TestMissingProgram: streams end, and the log says why, once.
func TestMissingProgram(t *testing.T) {
	r, log := newRelay(t, "/nonexistent/"+Program)
	for range 3 {
		if text, _ := carry(t, r, peer); text != "" { // the error depends on which is faster
			t.Errorf("%q", text)
		}
		r.ended.Wait()
		r.mu.Lock()
		r.started = time.Time{}
		r.mu.Unlock()
	}
	log.until(t, 1, "no DNS over TLS")
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("logged %s", log)
	}
}

// TestProgramThatDies is started again, but not at once.
func TestProgramThatDies(t *testing.T) {
	r, log := newRelay(t, program(t, "dies-"+Program))
	if text, err := carry(t, r, peer); text != "" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	log.until(t, 1, "exit status 3")
	if _, err := carry(t, r, peer); err != errPause {
		t.Errorf("started again at once: %v", err)
	}
	r.mu.Lock()
	r.started = time.Now().Add(-pause)
	r.mu.Unlock()
	carry(t, r, peer)
	log.until(t, 2, "exit status 3")
}

func TestClosed(t *testing.T) {
	r, _ := newRelay(t, program(t, "fake-"+Program))
	carry(t, r, peer)
	r.Close()
	if _, err := carry(t, r, peer); err != errClosed {
		t.Errorf("%v", err)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add(peer.Message())
	f.Add(peer.Report("it is ill"))
	f.Add([]byte("lenient\x00fe80::1%eth0\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseMessage(b); err == nil {
			if again, err := ParseMessage(p.Message()); err != nil || again != p {
				t.Errorf("%+v becomes %+v, %v", p, again, err)
			}
		}
		if p, reason, err := parseReport(b); err == nil {
			if again, text, err := parseReport(p.Report(reason)); err != nil || again != p || len(text) > maxMessage/2 {
				t.Errorf("%+v becomes %+v, %v", p, again, err)
			}
		}
	})
}
