package bus_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
)

func echo(path bus.ObjectPath, member string, args ...any) bus.MethodCall {
	return bus.MethodCall{Destination: testName, Path: path, Interface: testIface, Member: member, Args: args}
}

func TestCallAnswers(t *testing.T) {
	b := bustest.Start(t)
	var silent []*bus.Call
	serve(t, b,
		bus.Method{Name: "Echo", In: numberArg, Out: numberArg, Handle: func(c *bus.Call, args []any) { c.Reply(args...) }},
		bus.Method{Name: "Refuse", Handle: func(c *bus.Call, _ []any) { c.Error(bus.ErrNoCarrier) }},
		bus.Method{Name: "Silent", Handle: func(c *bus.Call, _ []any) { silent = append(silent, c) }})
	_, conn := b.Join(t)
	ctx := t.Context()

	n, err := bus.Result[uint32](conn.Wait(ctx, echo("/", "Echo", uint32(9))))
	if n != 9 || err != nil {
		t.Errorf("echo: %d, %v", n, err)
	}
	if _, err := bus.Result[string](conn.Wait(ctx, echo("/", "Echo", uint32(9)))); err == nil {
		t.Error("a number was taken for a string")
	}
	_, err = conn.Wait(ctx, echo("/", "Refuse"))
	if !errors.Is(err, bus.ErrNoCarrier) || err.Error() != "No carrier" {
		t.Errorf("refusal: %v", err)
	}
	if _, err := conn.Wait(ctx, bus.MethodCall{Destination: "no.body", Path: "/", Interface: "a.B", Member: "M"}); !errors.Is(err, bus.ErrServiceUnknown) {
		t.Errorf("nobody: %v", err)
	}
	late := echo("/", "Silent")
	late.Timeout = time.Millisecond
	if _, err := conn.Wait(ctx, late); !errors.Is(err, bus.ErrNoReply) {
		t.Errorf("silence: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := conn.Wait(short, echo("/", "Silent")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled wait: %v", err)
	}
}

func TestCancelledCallNeverReports(t *testing.T) {
	b := bustest.Start(t)
	serve(t, b, bus.Method{Name: "M", Handle: func(c *bus.Call, _ []any) { c.Reply() }})
	l, conn := b.Join(t)
	second := make(chan error, 1)
	bustest.Do(l, func() {
		cancel := conn.Call(echo("/", "M"), func([]any, error) { t.Error("done ran after cancel") })
		cancel()
		// Its answer follows the cancelled one's.
		conn.Call(echo("/", "M"), func(_ []any, err error) { second <- err })
	})
	if err := within(t, "second answer", second); err != nil {
		t.Fatal(err)
	}
}

func TestSubscribeKeepsOrderAndSender(t *testing.T) {
	b := bustest.Start(t)
	sl, server := serve(t, b)
	l, conn := b.Join(t)
	got := make(chan uint32, 10)
	owner := make(chan string, 1)
	var stop func()
	bustest.Do(l, func() {
		stop = conn.Subscribe(bus.Match{Sender: testName, Path: "/", Interface: testIface, Member: "Changed"},
			func(s bus.ReceivedSignal) { got <- s.Args[0].(uint32) })
		conn.WatchName(testName, func(o string) { owner <- o })
	})
	if o := within(t, "owner", owner); o != server.UniqueName() {
		t.Fatalf("owner %q", o)
	}
	impostor := b.Dial(t)
	impostor.Emit("/", testIface+".Changed", uint32(666))
	if err := impostor.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err; err != nil {
		t.Fatal(err) // the bus has routed the forged signal
	}
	bustest.Do(sl, func() {
		for n := range uint32(3) {
			server.Emit("/", testIface, "Changed", n)
		}
	})
	for n := range uint32(3) {
		if v := within(t, "signal", got); v != n {
			t.Fatalf("signal %d, want %d", v, n)
		}
	}
	bustest.Do(l, func() { stop(); stop() })
	bustest.Do(sl, func() { server.Emit("/", testIface, "Changed", uint32(4)) })
	if _, err := conn.Wait(t.Context(), bus.MethodCall{
		Destination: testName, Path: "/", Interface: "org.freedesktop.DBus.Peer", Member: "Ping",
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 0 {
		t.Error("a signal arrived after stop")
	}
}

func TestUndeclaredSignalIsNotSent(t *testing.T) {
	b := bustest.Start(t)
	l, conn := serve(t, b)
	trace := b.Record(t)
	bustest.Do(l, func() {
		conn.Emit("/", testIface, "Nope")
		conn.Emit("/", testIface, "Changed", "text")
		conn.Emit("/nowhere", testIface, "Changed", uint32(1))
		conn.Emit("/", testIface, "Changed", uint32(2))
	})
	if lines := trace.WaitFor(t, "signal"); !slices.Equal(lines, []string{"signal / test.Interface.Changed(2)"}) {
		t.Fatalf("sent %v", lines)
	}
}

func TestWatchNameFollowsOwners(t *testing.T) {
	b := bustest.Start(t)
	l, conn := b.Join(t)
	owners := make(chan string, 10)
	bustest.Do(l, func() { conn.WatchName(testName, func(o string) { owners <- o }) })
	if o := within(t, "first report", owners); o != "" {
		t.Fatalf("owner %q of a free name", o)
	}
	holder, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if _, err := holder.RequestName(testName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	if o := within(t, "second report", owners); o != holder.Names()[0] {
		t.Fatalf("owner %q", o)
	}
	second := make(chan string, 1)
	bustest.Do(l, func() { conn.WatchName(testName, func(o string) { second <- o }) })
	if o := within(t, "report to a late watcher", second); o == "" {
		t.Fatal("the late watcher hears of no owner")
	}
	holder.Close()
	if o := within(t, "third report", owners); o != "" {
		t.Fatalf("owner %q after it left", o)
	}
}

func TestCredentials(t *testing.T) {
	b := bustest.Start(t)
	l, conn := b.Join(t)
	other := b.Dial(t)
	type answer struct {
		creds bus.Credentials
		err   error
	}
	answers := make(chan answer, 3)
	ask := func(name string) {
		conn.Credentials(name, func(c bus.Credentials, err error) { answers <- answer{c, err} })
	}
	bustest.Do(l, func() { ask(other.Names()[0]); ask(other.Names()[0]) })
	for range 2 {
		a := within(t, "answer", answers)
		if a.err != nil || int(a.creds.UID) != os.Getuid() || int(a.creds.PID) != os.Getpid() {
			t.Fatalf("%+v", a)
		}
	}
	bustest.Do(l, func() {
		ask(other.Names()[0])
		if len(answers) != 1 {
			t.Error("known credentials were not given at once")
		}
	})
	within(t, "answer", answers)
	bustest.Do(l, func() { ask(":9.99") })
	if a := within(t, "answer", answers); a.err == nil {
		t.Fatalf("%+v for nobody", a)
	}
}

// An answer that is too large ends its call at once, unless large ones are
// accepted.
func TestLargeAnswer(t *testing.T) {
	b := bustest.Start(t)
	serve(t, b, bus.Method{Name: "Big", Out: []bus.Arg{{Name: "data", Type: "ay"}},
		Handle: func(c *bus.Call, _ []any) { c.Reply(make([]byte, 5<<20)) }})
	_, conn := b.Join(t)
	if data, err := bus.Result[[]byte](conn.Wait(t.Context(), echo("/", "Big"))); err == nil || errors.Is(err, bus.ErrNoReply) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	conn.AcceptLarge()
	if data, err := bus.Result[[]byte](conn.Wait(t.Context(), echo("/", "Big"))); err != nil || len(data) != 5<<20 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
