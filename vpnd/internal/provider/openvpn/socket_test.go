package openvpn

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deadline = 20 * time.Second

// listening is a socket on a running loop, and the lines that it got.
func listening(t *testing.T) (*loop.Loop, *socket, chan string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ov") // not t.TempDir: a socket's path holds 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	l := loop.New(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	lines := make(chan string, 1000)
	s := newSocket(l, filepath.Join(dir, "management"), func(line string) { lines <- line })
	t.Cleanup(func() {
		s.close()
		cancel()
		<-ended
		os.RemoveAll(dir)
	})
	if err := s.listen(); err != nil {
		t.Fatal(err)
	}
	return l, s, lines
}

func dial(t *testing.T, s *socket) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestSocket(t *testing.T) {
	_, s, lines := listening(t)
	if err := s.send("first"); err != nil { // before anybody listens
		t.Fatal(err)
	}
	conn := dial(t, s)
	heard := bufio.NewScanner(conn)
	for _, command := range []string{"first", "second"} {
		if command != "first" {
			if err := s.send(command); err != nil {
				t.Fatal(err)
			}
		}
		if !heard.Scan() || heard.Text() != command {
			t.Errorf("heard %q, want %s", heard.Text(), command)
		}
	}
	if _, err := conn.Write([]byte(">HOLD:x\r\n>STATE:y\n")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">HOLD:x", ">STATE:y"} {
		select {
		case got := <-lines:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(deadline):
			t.Fatal("nothing comes")
		}
	}
	if _, err := net.Dial("unix", s.path); err == nil {
		t.Error("a second one got through")
	}
	s.close()
	if heard.Scan() {
		t.Errorf("after close there is %q", heard.Text())
	}
}

// Nobody waits for who does not read, or never comes.
func TestSocketDeaf(t *testing.T) {
	_, s, _ := listening(t)
	var err error
	for range maxWaiting + 1 {
		err = s.send("command")
	}
	if !errors.Is(err, errDeaf) {
		t.Errorf("%v, want %v", err, errDeaf)
	}
}

// A line without an end is the end.
func TestSocketEndlessLine(t *testing.T) {
	_, s, lines := listening(t)
	conn := dial(t, s)
	_ = conn.SetDeadline(time.Now().Add(deadline))
	_, _ = conn.Write([]byte(strings.Repeat("x", maxLine+1)))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still there: %v", err)
	}
	if len(lines) != 0 {
		t.Errorf("a line of %d bytes came", len(<-lines))
	}
}

func TestSocketCannotBeMade(t *testing.T) {
	s := newSocket(nil, "/nonexistent/management", nil)
	defer s.close()
	if err := s.listen(); err == nil {
		t.Error("there is a socket in a directory that is not there")
	}
}
