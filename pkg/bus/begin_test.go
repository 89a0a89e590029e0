package bus_test

import (
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
	"net.connman/pkg/loop"
)

// What is asked for before the bus has answered Hello is answered behind it.
func TestBegin(t *testing.T) {
	b := bustest.Start(t)
	serve(t, b, bus.Method{Name: "Echo", In: numberArg, Out: numberArg, Handle: func(c *bus.Call, args []any) { c.Reply(args...) }})
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	conn, err := bus.Begin(t.Context(), l, log, b.Address)
	if err != nil {
		t.Fatal(err)
	}
	conn.Call(echo("/", "Echo", uint32(7)), func(values []any, err error) {
		if n, err := bus.Result[uint32](values, err); n != 7 || err != nil || conn.UniqueName() == "" {
			t.Errorf("%d, %v, name %q", n, err, conn.UniqueName())
		}
		l.Quit()
	})
	l.Run(t.Context())
	conn.Close()
}

// A bus that does not want us is told of as one that goes away.
func TestBeginRefused(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, "REJECTED ANONYMOUS\r\n")
			conn.Close()
		}
	}()
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	conn, err := bus.Begin(t.Context(), l, log, "unix:path="+socket)
	if err != nil {
		t.Fatal(err)
	}
	var gone error
	conn.OnDisconnect(func(err error) { gone = err; l.Quit() })
	l.Run(t.Context())
	conn.Close()
	if gone == nil || !strings.Contains(gone.Error(), "cannot join the bus") {
		t.Errorf("disconnected with %v", gone)
	}
}
