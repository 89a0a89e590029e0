package bustest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"

	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

const config = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
  <limit name="max_replies_per_connection">50000</limit>
</busconfig>
`

// Bus is a running dbus-daemon.
type Bus struct {
	Address string
	daemon  *exec.Cmd
	ended   chan struct{}
}

// Start starts a dbus-daemon that allows everything to everybody and ends with
// the test.
func Start(t testing.TB) *Bus {
	t.Helper()
	// Not t.TempDir: a socket's path holds 107 bytes at most.
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file, socket := filepath.Join(dir, "conf"), filepath.Join(dir, "socket")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &Bus{Address: "unix:path=" + socket, ended: make(chan struct{})}
	b.daemon = exec.Command("dbus-daemon", "--config-file="+file, "--nofork", "--nopidfile", "--print-address")
	var complaints bytes.Buffer
	b.daemon.Stderr = &complaints
	b.daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := b.daemon.StdoutPipe()
	if err == nil {
		err = b.daemon.Start()
	}
	if err != nil {
		t.Fatalf("cannot start dbus-daemon: %v", err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("dbus-daemon does not tell its address: %v", err)
	}
	go func() { b.daemon.Wait(); close(b.ended) }()
	t.Cleanup(func() {
		b.Stop()
		if t.Failed() {
			t.Logf("dbus-daemon said:\n%s", complaints.String())
		}
	})
	return b
}

// Stop ends the daemon before the test's end, to see what its clients do.
func (b *Bus) Stop() {
	b.daemon.Process.Kill()
	<-b.ended
}

// Dial connects godbus to the bus until the test ends.
func (b *Bus) Dial(t testing.TB) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Join starts a loop with a connection to the bus. Both end with the test.
func (b *Bus) Join(t testing.TB) (*loop.Loop, *bus.Conn) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	l := loop.New(log)
	conn, err := bus.Dial(t.Context(), l, log, b.Address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		conn.Close()
		l.Wait()
	})
	return l, conn
}

// Do runs fn on the loop and waits until it has returned and the turn has
// ended, so that what fn emitted is sent.
func Do(l *loop.Loop, fn func()) {
	done := make(chan struct{})
	l.Post("test", func() {
		fn()
		l.Post("test", func() { close(done) })
	})
	<-done
}

// Own lets conn own a name, or fails the test.
func Own(t testing.TB, l *loop.Loop, conn *bus.Conn, name string) {
	t.Helper()
	owned := make(chan error, 1)
	l.Post("own", func() { conn.RequestName(name, func(err error) { owned <- err }) })
	if err := <-owned; err != nil {
		t.Fatal(err)
	}
}

// testWriter sends log lines to the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}
