package busapi

import (
	"errors"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"net.connman/pkg/bus/bustest"
	"net.connman/vpnd/internal/core"
)

// agent is a program's agent, by godbus.
type agent struct {
	answer map[string]any
	err    *dbus.Error
	asked  chan map[string]map[string]dbus.Variant
	hang   chan struct{} // closed to let RequestInput return; nil to return at once
	told   chan string   // "Cancel", "Release"
	wrong  chan string   // what ReportError said
}

func (a *agent) RequestInput(_ dbus.ObjectPath, fields map[string]dbus.Variant) (map[string]dbus.Variant, *dbus.Error) {
	in := map[string]map[string]dbus.Variant{}
	for name, about := range fields {
		in[name], _ = about.Value().(map[string]dbus.Variant)
	}
	a.asked <- in
	if a.hang != nil {
		<-a.hang
	}
	out := map[string]dbus.Variant{}
	for name, value := range a.answer {
		out[name] = dbus.MakeVariant(value)
	}
	return out, a.err
}

func (a *agent) ReportError(_ dbus.ObjectPath, reason string) *dbus.Error {
	a.wrong <- reason
	return a.err
}

func (a *agent) Cancel() *dbus.Error  { a.told <- "Cancel"; return nil }
func (a *agent) Release() *dbus.Error { a.told <- "Release"; return nil }

// register makes a an agent of a program of its own.
func (w *world) register(a *agent) *dbus.Conn {
	w.t.Helper()
	a.asked, a.told, a.wrong = make(chan map[string]map[string]dbus.Variant, 9), make(chan string, 9), make(chan string, 9)
	conn, err := dbus.Connect(w.bus.Address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if err := conn.Export(a, "/agent", "net.connman.vpn.Agent"); err != nil {
		w.t.Fatal(err)
	}
	if err := conn.Object(testName, "/").Call(managerIface+"RegisterAgent", 0, dbus.ObjectPath("/agent")).Err; err != nil {
		w.t.Fatal(err)
	}
	return conn
}

var question = core.Question{Save: true, Failure: "wrong", Fields: []core.Field{
	{Name: "Username", Type: "string", Requirement: "mandatory", Value: "me", Key: "Scripted.User"},
	{Name: "Password", Type: "password", Requirement: "mandatory", Key: "Scripted.Password"},
	{Name: "OneTime", Type: "password", Requirement: "alternate", Alternates: []string{"Password"}},
}}

type result struct {
	answer core.Answer
	err    error
}

// ask has the attempt ask.
func (w *world) ask(a *attempt, q core.Question) chan result {
	done := make(chan result, 1)
	bustest.Do(w.loop, func() { a.Ask.Ask(q, func(answer core.Answer, err error) { done <- result{answer, err} }) })
	return done
}

// wait waits for something.
func wait[T any](t *testing.T, from chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing happens")
	}
	return v
}

// connecting has a new connection connect in the name of sender.
func (w *world) connecting(sender string) *attempt {
	w.t.Helper()
	w.create()
	w.client.Object(testName, path).Go(connectionIface+"Connect2", 0, make(chan *dbus.Call, 1), sender)
	return w.attempt()
}

func TestRequestInput(t *testing.T) {
	w := newWorld(t)
	other, mine := &agent{}, &agent{answer: map[string]any{"Username": "u", "Password": "p", "SaveCredentials": true}}
	w.register(other)
	done := w.ask(w.connecting(w.register(mine).Names()[0]), question)
	r := wait(t, done)
	if r.err != nil || r.answer["Username"] != "u" || r.answer["Password"].Reveal() != "p" || len(r.answer) != 2 {
		t.Errorf("%d answers, %v", len(r.answer), r.err)
	}
	in := wait(t, mine.asked)
	for name, want := range map[string]map[string]any{
		"Username":             {"Type": "string", "Requirement": "mandatory", "Value": "me"},
		"Password":             {"Type": "password", "Requirement": "mandatory"},
		"SaveCredentials":      {"Type": "boolean", "Requirement": "optional"},
		"Host":                 {"Type": "string", "Requirement": "informational", "Value": "10.0.0.1"},
		"Name":                 {"Type": "string", "Requirement": "informational", "Value": "n"},
		"VpnAgent.AuthFailure": {"Type": "string", "Requirement": "informational", "Value": "wrong"},
	} {
		if len(in[name]) != len(want) {
			t.Errorf("%s: %v, want %v", name, in[name], want)
		}
		for key, value := range want {
			if got := in[name][key].Value(); got != value {
				t.Errorf("%s.%s is %v, want %v", name, key, got, value)
			}
		}
	}
	if alternates, _ := in["OneTime"]["Alternates"].Value().([]string); len(alternates) != 1 {
		t.Errorf("alternates %v", in["OneTime"])
	}
}

func TestControlFieldsAreBooleans(t *testing.T) {
	w := newWorld(t)
	a := &agent{answer: map[string]any{"P": "p"}}
	w.register(a)
	wait(t, w.ask(w.connecting(""), core.Question{Keep: true, Fields: []core.Field{{Name: "P", Type: "password", Requirement: "mandatory"}}}))
	in := wait(t, a.asked)
	for name, want := range map[string]bool{"AllowStoreCredentials": false, "AllowRetrieveCredentials": false, "KeepCredentials": true} {
		if got := in[name]["Value"].Value(); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestAgentsThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		agent agent
		want  error
	}{
		"user cancels":  {agent{err: dbus.NewError("net.connman.vpn.Agent.Error.Canceled", nil)}, core.ErrCanceled},
		"broken":        {agent{err: dbus.NewError("some.Error", nil)}, core.ErrNoAgent},
		"half":          {agent{answer: map[string]any{"Username": "u"}}, core.ErrAnswer},
		"numbers":       {agent{answer: map[string]any{"Username": int32(1), "Password": "p"}}, core.ErrAnswer},
		"strange":       {agent{answer: map[string]any{"Username": "u", "Password": []string{"p"}}}, core.ErrAnswer},
		"control chars": {agent{answer: map[string]any{"Username": "u\x1b[2J", "Password": "p"}}, core.ErrAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.register(&tt.agent)
			if r := wait(t, w.ask(w.connecting(""), question)); !errors.Is(r.err, tt.want) || r.answer != nil {
				t.Errorf("%v, want %v", r.err, tt.want)
			}
		})
	}
}

// An agent that never answers is told that it need not any more; one that dies is
// none.
func TestAgentsThatHang(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(w *world, agent *dbus.Conn)
		want error
		told bool
	}{
		"silent":       {func(*world, *dbus.Conn) {}, core.ErrTimeout, true},
		"dies":         {func(_ *world, agent *dbus.Conn) { agent.Close() }, core.ErrNoAgent, false},
		"unregistered": {func(w *world, agent *dbus.Conn) { unregister(w, agent) }, core.ErrNoAgent, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := &agent{hang: make(chan struct{})}
			conn := w.register(a)
			done := w.ask(w.connecting(""), question)
			wait(t, a.asked)
			tt.end(w, conn)
			if r := wait(t, done); !errors.Is(r.err, tt.want) {
				t.Errorf("%v, want %v", r.err, tt.want)
			}
			if tt.told && wait(t, a.told) != "Cancel" {
				t.Error("the agent is not told")
			}
			close(a.hang)
		})
	}
}

func unregister(w *world, agent *dbus.Conn) {
	if err := agent.Object(testName, "/").Call(managerIface+"UnregisterAgent", 0, dbus.ObjectPath("/agent")).Err; err != nil {
		w.t.Error(err)
	}
}

// Who connects is told of a failure by its agent, and has another try if it wants.
func TestReportError(t *testing.T) {
	for name, again := range map[string]bool{"net.connman.vpn.Agent.Error.Retry": true, "some.Error": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			other, mine := &agent{}, &agent{err: dbus.NewError(name, nil)}
			w.register(other)
			sender := w.register(mine).Names()[0]
			w.create()
			connected := w.client.Object(testName, path).Go(connectionIface+"Connect2", 0, make(chan *dbus.Call, 1), sender).Done
			first := w.attempt()
			bustest.Do(w.loop, func() { first.report(core.Ended{Cause: core.ConnectFailed, Err: errors.New("no route")}) })
			if got := wait(t, mine.wrong); got != "connect-failed" || len(other.wrong) > 0 {
				t.Errorf("the agent hears %q, the other %d times", got, len(other.wrong))
			}
			if again {
				second := w.attempt()
				bustest.Do(w.loop, func() { second.report(up) })
			}
			if err := wait(t, connected).Err; (err == nil) != again {
				t.Errorf("Connect2: %v", err)
			}
		})
	}
}

func TestRegisterAgent(t *testing.T) {
	w := newWorld(t)
	a := &agent{}
	conn := w.register(a)
	object := conn.Object(testName, "/")
	e, _ := errors.AsType[dbus.Error](object.Call(managerIface+"RegisterAgent", 0, dbus.ObjectPath("/other")).Err)
	if e.Name != "net.connman.Error.AlreadyExists" {
		t.Errorf("a second agent: %v", e)
	}
	if got := w.call("/", managerIface+"UnregisterAgent", dbus.ObjectPath("/agent")); got != "NotRegistered" {
		t.Errorf("another's agent: %q", got)
	}
	bustest.Do(w.loop, func() { w.core.Stop(func() {}) })
	if wait(t, a.told) != "Release" {
		t.Error("the agent is not released")
	}
}

// What a user tells connmand of the service, the connection takes over. Nobody
// else is believed.
func TestFollowsSplitRouting(t *testing.T) {
	w := newWorld(t)
	trace := w.bus.Record(t)
	w.create()
	const service, changed = "/net/connman/service/vpn_10_0_0_1_x_test", "net.connman.Service.PropertyChanged"
	if err := w.client.Emit(service, changed, "SplitRouting", dbus.MakeVariant(true)); err != nil { // a stranger
		t.Fatal(err)
	}
	if _, err := w.client.RequestName("net.connman", 0); err != nil {
		t.Fatal(err)
	}
	w.call(path, connectionIface+"GetProperties") // the stranger's word has come by now
	if got := w.split(); got {
		t.Error("a stranger decides")
	}
	for _, value := range []any{"x", true} {
		if err := w.client.Emit(service, changed, "SplitRouting", dbus.MakeVariant(value)); err != nil {
			t.Fatal(err)
		}
	}
	trace.WaitFor(t, `signal `+path+` net.connman.vpn.Connection.PropertyChanged("SplitRouting", <true>)`)
}

func (w *world) split() (on bool) {
	bustest.Do(w.loop, func() { on = w.core.Connections()[0].SplitRouting() })
	return on
}
