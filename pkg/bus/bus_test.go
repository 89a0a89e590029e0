package bus_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"go.uber.org/goleak"

	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testName  = "test.Server"
	testIface = "test.Interface"
)

// serve exports an interface with methods at / and owns testName.
func serve(t testing.TB, b *bustest.Bus, methods ...bus.Method) (*loop.Loop, *bus.Conn) {
	t.Helper()
	l, conn := b.Join(t)
	bustest.Do(l, func() {
		err := errors.Join(conn.ManageObjects(), conn.Export("/", bus.Interface{
			Name:    testIface,
			Methods: methods,
			Signals: []bus.Signal{{Name: "Changed", Args: []bus.Arg{{Name: "n", Type: "u"}}}},
		}))
		if err != nil {
			t.Error(err)
		}
	})
	bustest.Own(t, l, conn, testName)
	return l, conn
}

func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not happen", what)
		panic("unreachable")
	}
}

var numberArg = []bus.Arg{{Name: "n", Type: "u"}}

func TestCallsArriveInOrder(t *testing.T) {
	const n = 5000
	b := bustest.Start(t)
	var got []uint32
	l, _ := serve(t, b, bus.Method{Name: "Note", In: numberArg, Handle: func(c *bus.Call, args []any) {
		got = append(got, args[0].(uint32))
		c.Reply()
	}})
	client := b.Dial(t).Object(testName, "/")
	answers := make(chan *dbus.Call, n)
	for i := range uint32(n) {
		client.Go(testIface+".Note", 0, answers, i)
	}
	for range n {
		if call := within(t, "answer", answers); call.Err != nil {
			t.Fatal(call.Err)
		}
	}
	bustest.Do(l, func() {
		if len(got) != n || !slices.IsSorted(got) {
			t.Errorf("%d calls arrived, sorted: %v", len(got), slices.IsSorted(got))
		}
	})
}

// Signals come before the replies of their turn, those that the turn's end adds
// included, even when the reply was given first.
func TestSignalsPrecedeTheReply(t *testing.T) {
	b := bustest.Start(t)
	var conn *bus.Conn
	changed := false
	var l *loop.Loop
	l, conn = serve(t, b, bus.Method{Name: "Change", Handle: func(c *bus.Call, _ []any) {
		c.Reply()
		conn.Emit("/", testIface, "Changed", uint32(1))
		changed = true
	}})
	bustest.Do(l, func() {
		conn.BeforeFlush(func() {
			if changed {
				conn.Emit("/", testIface, "Changed", uint32(2))
			}
			changed = false
		})
	})
	trace := b.Record(t)
	b.Dial(t).Object(testName, "/").Call(testIface+".Change", 0)
	lines := trace.WaitFor(t, "reply Change")
	tail := lines[len(lines)-3:]
	want := []string{
		"signal / test.Interface.Changed(1)",
		"signal / test.Interface.Changed(2)",
		"reply Change()",
	}
	if !slices.Equal(tail, want) {
		t.Fatalf("trace ends\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnsweredOnce(t *testing.T) {
	b := bustest.Start(t)
	var open *bus.Call
	arrived := make(chan struct{}, 1)
	l, conn := serve(t, b, bus.Method{Name: "Wait", Out: numberArg, Handle: func(c *bus.Call, _ []any) {
		open = c
		arrived <- struct{}{}
	}})
	trace := b.Record(t)
	call := b.Dial(t).Object(testName, "/").Go(testIface+".Wait", 0, make(chan *dbus.Call, 1))
	within(t, "call", arrived)
	bustest.Do(l, func() {
		conn.Unexport("/") // the object may go while its call is open
		open.Reply(uint32(7))
		open.Reply(uint32(8))
		open.Error(bus.ErrInProgress)
	})
	var n uint32
	if err := within(t, "answer", call.Done).Store(&n); err != nil || n != 7 {
		t.Fatalf("answer %d, %v", n, err)
	}
	bustest.Do(l, func() {}) // whatever a second answer sent is out
	b.Dial(t)
	for _, line := range trace.Lines() {
		if strings.Contains(line, "reply Wait(8)") || strings.HasPrefix(line, "error") {
			t.Errorf("answered again: %s", line)
		}
	}
}

func TestWrongReplyTypeBecomesAnError(t *testing.T) {
	b := bustest.Start(t)
	serve(t, b, bus.Method{Name: "Bad", Out: numberArg, Handle: func(c *bus.Call, _ []any) { c.Reply("text") }})
	err := b.Dial(t).Object(testName, "/").Call(testIface+".Bad", 0).Err
	if name := errorName(err); name != "net.connman.Error.Failed" {
		t.Fatalf("error %v", err)
	}
}

func errorName(err error) string {
	var e dbus.Error
	if errors.As(err, &e) {
		return e.Name
	}
	return ""
}

func TestAnswerToACallerThatLeft(t *testing.T) {
	b := bustest.Start(t)
	arrived, left := make(chan *bus.Call, 1), make(chan struct{})
	l, conn := serve(t, b,
		bus.Method{Name: "Wait", Handle: func(c *bus.Call, _ []any) { arrived <- c }},
		bus.Method{Name: "Ping", Handle: func(c *bus.Call, _ []any) { c.Reply() }})
	caller, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	caller.Object(testName, "/").Go(testIface+".Wait", 0, nil)
	call := within(t, "call", arrived)
	bustest.Do(l, func() {
		conn.WatchName(call.Sender, func(owner string) {
			if owner == "" {
				close(left)
			}
		})
	})
	caller.Close()
	within(t, "caller's leaving", left)
	bustest.Do(l, func() { call.Reply() })
	if err := b.Dial(t).Object(testName, "/").Call(testIface+".Ping", 0).Err; err != nil {
		t.Fatalf("afterwards: %v", err)
	}
}

func TestNoReplyExpected(t *testing.T) {
	b := bustest.Start(t)
	serve(t, b, bus.Method{Name: "M", Handle: func(c *bus.Call, _ []any) { c.Reply() }})
	trace := b.Record(t)
	client := b.Dial(t).Object(testName, "/")
	client.Call(testIface+".M", dbus.FlagNoReplyExpected)
	client.Call(testIface+".M", 0)
	lines := trace.WaitFor(t, "reply M()")
	if n := len(lines); n != 3 || !strings.HasPrefix(lines[1], "call") {
		t.Fatalf("want call, call, reply; got\n%s", strings.Join(lines, "\n"))
	}
}

// The errors of the reference, as it gave them on a private bus.
func TestUnknownThings(t *testing.T) {
	b := bustest.Start(t)
	l, conn := serve(t, b, bus.Method{Name: "M", In: numberArg, Handle: func(c *bus.Call, _ []any) { c.Reply() }})
	bustest.Do(l, func() { conn.Export("/a/b", bus.Interface{Name: "test.Other"}) })
	client := b.Dial(t)
	for _, c := range []struct {
		path   dbus.ObjectPath
		method string
		args   []any
		name   string
		text   string
	}{
		{"/", testIface + ".Nope", nil, "UnknownMethod", `Method "Nope" with signature "" on interface "test.Interface" doesn't exist` + "\n"},
		{"/", testIface + ".M", nil, "UnknownMethod", `Method "M" with signature "" on interface "test.Interface" doesn't exist` + "\n"},
		{"/", testIface + ".M", []any{"x"}, "UnknownMethod", `Method "M" with signature "s" on interface "test.Interface" doesn't exist` + "\n"},
		{"/", testIface + ".M", []any{int32(1)}, "UnknownMethod", `Method "M" with signature "i" on interface "test.Interface" doesn't exist` + "\n"},
		{"/", "test.Nope.M", nil, "UnknownMethod", `Method "M" with signature "" on interface "test.Nope" doesn't exist` + "\n"},
		{"/", "M", nil, "UnknownMethod", `Method "M" with signature "" on interface "(null)" doesn't exist` + "\n"},
		{"/a", testIface + ".M", nil, "UnknownMethod", `Method "M" with signature "" on interface "test.Interface" doesn't exist` + "\n"},
		{"/a/b", testIface + ".M", nil, "UnknownMethod", `Method "M" with signature "" on interface "test.Interface" doesn't exist` + "\n"},
		{"/a/b/c", testIface + ".M", nil, "UnknownObject", `Method "M" with signature "" on interface "test.Interface" doesn't exist` + "\n"},
		{"/ab", testIface + ".M", nil, "UnknownObject", `Method "M" with signature "" on interface "test.Interface" doesn't exist` + "\n"},
		{"/x", "org.freedesktop.DBus.Peer.Nope", nil, "UnknownMethod", "Unknown method invoked on org.freedesktop.DBus.Peer interface"},
	} {
		err := client.Object(testName, c.path).Call(c.method, 0, c.args...).Err
		if name := errorName(err); name != "org.freedesktop.DBus.Error."+c.name || err.Error() != c.text {
			t.Errorf("%s %s%v: %s %q", c.path, c.method, c.args, name, err)
		}
	}
	for _, call := range []struct {
		path   dbus.ObjectPath
		method string
		args   []any
	}{
		{"/nope", "org.freedesktop.DBus.Peer.Ping", []any{"any", "thing"}},
		{"/nope", "org.freedesktop.DBus.Introspectable.Introspect", nil},
	} {
		if err := client.Object(testName, call.path).Call(call.method, 0, call.args...).Err; err != nil {
			t.Errorf("%s %s: %v", call.path, call.method, err)
		}
	}
}

func TestMachineID(t *testing.T) {
	b := bustest.Start(t)
	serve(t, b)
	want, err := os.ReadFile("/etc/machine-id")
	if dbusID, dbusErr := os.ReadFile("/var/lib/dbus/machine-id"); dbusErr == nil {
		want, err = dbusID, nil
	}
	var id string
	answer := b.Dial(t).Object(testName, "/x").Call("org.freedesktop.DBus.Peer.GetMachineId", 0).Store(&id)
	if (answer == nil) != (err == nil) || id != strings.TrimSpace(string(want)) {
		t.Fatalf("%q, %v; the file says %q, %v", id, answer, want, err)
	}
}

func TestNameTaken(t *testing.T) {
	b := bustest.Start(t)
	holder := b.Dial(t)
	if _, err := holder.RequestName(testName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	l, conn := b.Join(t)
	result := make(chan error, 1)
	bustest.Do(l, func() { conn.RequestName(testName, func(err error) { result <- err }) })
	var taken *bus.NameTakenError
	err := within(t, "answer", result)
	if !errors.As(err, &taken) {
		t.Fatalf("error %v", err)
	}
	if taken.Owner != holder.Names()[0] || int(taken.PID) != os.Getpid() {
		t.Errorf("%+v blames the wrong one", taken)
	}
}

func TestBusGoesAway(t *testing.T) {
	b := bustest.Start(t)
	l, conn := b.Join(t)
	other := b.Dial(t)
	gone, failed := make(chan error, 1), make(chan error, 2)
	bustest.Do(l, func() {
		conn.OnDisconnect(func(err error) { gone <- err })
		conn.Call(bus.MethodCall{
			Destination: other.Names()[0], Path: "/", Interface: "a.B", Member: "Silent", Timeout: -1,
		}, func(_ []any, err error) { failed <- err })
	})
	b.Stop()
	if err := within(t, "disconnect", gone); !errors.Is(err, bus.ErrDisconnected) {
		t.Errorf("disconnected with %v", err)
	}
	// The peer may have answered before the bus went; either way the call ended.
	within(t, "end of the call", failed)
	bustest.Do(l, func() {
		conn.Call(bus.MethodCall{Destination: "a.B", Path: "/", Interface: "a.B", Member: "M"},
			func(_ []any, err error) { failed <- err })
	})
	if err := within(t, "failure", failed); !errors.Is(err, bus.ErrDisconnected) {
		t.Errorf("a later call failed with %v", err)
	}
}

func TestDialFails(t *testing.T) {
	for _, address := range []string{"unix:path=/nonexistent/socket", "tcp:host=localhost", "", "unix:"} {
		t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/other")
		conn, err := bus.Dial(context.Background(), loop.New(nil), nil, address)
		if err == nil {
			conn.Close()
			t.Errorf("%q: connected", address)
		}
	}
}
