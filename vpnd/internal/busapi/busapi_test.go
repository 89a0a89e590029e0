package busapi

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
	"net.connman/vpnd/internal/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testName = "net.connman.vpn"
	patience = 20 * time.Second
	path     = "/net/connman/vpn/connection/10_0_0_1_x_test"
)

// world is the API on a bus of its own, with a provider that does what the test
// says.
type world struct {
	t        *testing.T
	bus      *bustest.Bus
	loop     *loop.Loop
	provider *scripted
	core     *core.Manager
	client   *dbus.Conn
	imported []string // names of files; of the loop
}

// Import implements [Importer].
func (w *world) Import(name, _ string, _ map[string]string, done func(*core.Connection, error)) {
	w.imported = append(w.imported, name)
	done(nil, core.ErrAlreadyExists)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	b := bustest.Start(t)
	l, conn := b.Join(t)
	w := &world{t: t, bus: b, loop: l, provider: &scripted{attempts: make(chan *attempt, 1)}, client: b.Dial(t)}
	bustest.Do(l, func() {
		w.core = core.New(l, slog.New(slog.DiscardHandler), core.Config{InputRequestTimeout: time.Second},
			core.Ports{Storage: forgetful{}, Agents: NewAgents(conn)}, []core.Provider{w.provider}, nil)
		w.core.Begin()
		if _, err := New(conn, slog.New(slog.DiscardHandler), w.core, w, func() {}); err != nil {
			t.Error(err)
		}
	})
	bustest.Own(t, l, conn, testName)
	return w
}

// call calls a method of an object, and returns the error's name.
func (w *world) call(object, method string, args ...any) string {
	w.t.Helper()
	err := w.client.Object(testName, dbus.ObjectPath(object)).Call(method, 0, args...).Err
	if e, ok := errors.AsType[dbus.Error](err); ok {
		return strings.TrimPrefix(e.Name, "net.connman.Error.")
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return ""
}

const (
	managerIface    = "net.connman.vpn.Manager."
	connectionIface = "net.connman.vpn.Connection."
)

func (w *world) create() {
	w.t.Helper()
	if err := w.call("/", managerIface+"Create", map[string]any{"Type": "scripted", "Name": "n", "Host": "10.0.0.1", "Domain": "x.test"}); err != "" {
		w.t.Fatal(err)
	}
}

func (w *world) set(name string, value any) string {
	w.t.Helper()
	return w.call(path, connectionIface+"SetProperty", name, dbus.MakeVariant(value))
}

// attempt is the next one that is made.
func (w *world) attempt() *attempt {
	w.t.Helper()
	select {
	case a := <-w.provider.attempts:
		return a
	case <-time.After(patience):
		w.t.Fatal("nothing connects")
	}
	return nil
}

type forgetful struct{}

func (forgetful) Save(core.Saved)  {}
func (forgetful) Remove(string)    {}
func (forgetful) Sync(done func()) { done() }

type scripted struct{ attempts chan *attempt }

type attempt struct {
	core.Request
	report func(core.Event)
}

func (*scripted) Type() string              { return "scripted" }
func (*scripted) Missing() error            { return nil }
func (*scripted) Check(core.Settings) error { return nil }
func (a *attempt) Stop()                    { a.report(core.Ended{}) }

func (*scripted) Keys() []core.Key {
	return []core.Key{{Name: "Scripted.User"}, {Name: "Scripted.Password", Secret: true}}
}

func (p *scripted) Connect(req core.Request, report func(core.Event)) core.Attempt {
	a := &attempt{req, report}
	p.attempts <- a
	return a
}

var up = core.Up{Tunnel: core.Tunnel{
	Index: 7,
	IPv4: core.Address{Prefix: netip.MustParsePrefix("10.8.0.2/24"), Peer: netip.MustParseAddr("10.8.0.1"),
		Gateway: netip.MustParseAddr("192.0.2.1")},
	IPv6:   core.Address{Prefix: netip.MustParsePrefix("2001:db8::2/64")},
	DNS:    netcfg.DNSConfig{Servers: []netip.Addr{netip.MustParseAddr("10.8.0.1")}, Domains: []string{"inside.test"}},
	Routes: []core.Route{{Dst: netip.MustParsePrefix("10.9.0.0/16"), Gateway: netip.MustParseAddr("10.8.0.1")}},
	MTU:    1400,
}}

// What clients see of a connection's life: signals, replies, errors.
func TestTrace(t *testing.T) {
	w := newWorld(t)
	trace := w.bus.Record(t)
	w.create()
	w.set("UserRoutes", []route{{map[string]any{"Network": "10.1.0.0", "Netmask": "16"}}})
	w.set("Scripted.Password", "secret")
	go func() {
		a := w.attempt()
		w.loop.Post("test", func() { a.report(up) })
	}()
	w.call(path, connectionIface+"Connect")
	w.call(path, connectionIface+"GetProperties")
	w.call(path, connectionIface+"Connect")
	w.call(path, connectionIface+"Disconnect")
	w.call("/", managerIface+"Remove", dbus.ObjectPath(path))
	trace.WaitFor(t, "reply Remove")
	const properties = `"Type": <"scripted">, "Name": <"n">, "Host": <"10.0.0.1">, `
	const signal = "signal " + path + " net.connman.vpn.Connection.PropertyChanged"
	want := []string{
		`call / net.connman.vpn.Manager.Create`,
		`signal / org.freedesktop.DBus.ObjectManager.InterfacesAdded`,
		`signal / net.connman.vpn.Manager.ConnectionAdded(` + path + `, {"State": <"idle">, ` + properties + `"Index": <0>, "Domain": <"x.test">, ` +
			`"Immutable": <false>, "SplitRouting": <false>, "Nameservers": <[]>, "UserRoutes": <[]>, "ServerRoutes": <[]>})`,
		`reply Create(` + path + `)`,
		`call ` + path + ` net.connman.vpn.Connection.SetProperty`,
		signal + `("UserRoutes", <[({"ProtocolFamily": <4>, "Network": <"10.1.0.0">, "Netmask": <"255.255.0.0">})]>)`,
		`reply SetProperty()`,
		`call ` + path + ` net.connman.vpn.Connection.SetProperty`,
		`reply SetProperty()`,
		`call ` + path + ` net.connman.vpn.Connection.Connect`,
		signal + `("State", <"configuration">)`,
		signal + `("Index", <7>)`,
		signal + `("IPv4", <{"Address": <"10.8.0.2">, "Netmask": <"255.255.255.0">, "Gateway": <"192.0.2.1">, "Peer": <"10.8.0.1">}>)`,
		signal + `("IPv6", <{"Address": <"2001:db8::2">, "PrefixLength": <64>}>)`,
		signal + `("Nameservers", <["10.8.0.1"]>)`,
		signal + `("Domain", <"inside.test">)`,
		signal + `("ServerRoutes", <[({"ProtocolFamily": <4>, "Network": <"10.9.0.0">, "Netmask": <"255.255.0.0">, "Gateway": <"10.8.0.1">})]>)`,
		signal + `("MTU", <1400>)`,
		signal + `("State", <"ready">)`,
		`reply Connect()`,
		`call ` + path + ` net.connman.vpn.Connection.GetProperties`,
		`reply GetProperties({"State": <"ready">, ` + properties + `"Index": <7>, "Domain": <"inside.test">, "Immutable": <false>, "SplitRouting": <false>, ` +
			`"IPv4": <{"Address": <"10.8.0.2">, "Netmask": <"255.255.255.0">, "Gateway": <"192.0.2.1">, "Peer": <"10.8.0.1">}>, ` +
			`"IPv6": <{"Address": <"2001:db8::2">, "PrefixLength": <64>}>, "Nameservers": <["10.8.0.1"]>, ` +
			`"UserRoutes": <[({"ProtocolFamily": <4>, "Network": <"10.1.0.0">, "Netmask": <"255.255.0.0">})]>, ` +
			`"ServerRoutes": <[({"ProtocolFamily": <4>, "Network": <"10.9.0.0">, "Netmask": <"255.255.0.0">, "Gateway": <"10.8.0.1">})]>, "MTU": <1400>})`,
		`call ` + path + ` net.connman.vpn.Connection.Connect`,
		`error Connect net.connman.Error.AlreadyConnected("Already connected")`,
		`call ` + path + ` net.connman.vpn.Connection.Disconnect`,
		signal + `("State", <"disconnect">)`,
		signal + `("State", <"idle">)`,
		`reply Disconnect()`,
		`call / net.connman.vpn.Manager.Remove`,
		`signal / net.connman.vpn.Manager.ConnectionRemoved(` + path + `)`,
		`signal / org.freedesktop.DBus.ObjectManager.InterfacesRemoved`,
		`reply Remove()`,
	}
	got := trace.Lines()
	for i, line := range got {
		// The list of interfaces is another test's, and godbus shuffles dictionaries.
		if strings.Contains(line, "ObjectManager") || strings.HasPrefix(line, "call") {
			got[i], _, _ = strings.Cut(line, "(")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// route is (a{sv}).
type route struct{ Properties map[string]any }

// Wrong types and values end with an error and change nothing.
func TestHostileArguments(t *testing.T) {
	w := newWorld(t)
	w.create()
	long := strings.Repeat("x", 1<<20)
	good := route{map[string]any{"Network": "10.1.0.0", "Netmask": "16"}}
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"Name", int32(1), "InvalidProperty"},
		{"Name", long, "InvalidProperty"},
		{"Name", "a\nb", "InvalidProperty"},
		{"Host", []string{"a"}, "InvalidProperty"},
		{"Host", "-oProxyCommand", "InvalidProperty"},
		{"Type", "openvpn", "PermissionDenied"},
		{"SplitRouting", "true", "InvalidProperty"},
		{"UserRoutes", "10.0.0.0/8", "InvalidProperty"},
		{"UserRoutes", []string{"10.0.0.0/8"}, "InvalidProperty"},
		{"UserRoutes", []int32{1}, "InvalidProperty"},
		{"UserRoutes", []route{{map[string]any{"Network": "10.1.0.0"}}}, "InvalidProperty"},
		{"UserRoutes", []route{{map[string]any{"Network": int32(1), "Netmask": "16"}}}, "InvalidProperty"},
		{"UserRoutes", []route{{map[string]any{"Network": "10.1.0.0", "Netmask": "16", "ProtocolFamily": int32(5)}}}, "InvalidProperty"},
		{"UserRoutes", slices.Repeat([]route{good}, 10000), "InvalidProperty"},
		{"State", "ready", "PermissionDenied"},
		{"Index", int32(1), "PermissionDenied"},
		{"Nothing", "x", "InvalidProperty"},
		{"Properties", "x", "InvalidProperty"},
		{"Properties", map[string]any{"State": "ready"}, "PermissionDenied"},
		{"Properties", map[string]any{"State": "ready", "Name": "m", "Nothing": "x"}, "InvalidProperty"},
		{"Properties", map[string]any{"Scripted.User": "", "UserRoutes": []string{}, "Name": "n"}, ""},
		{"UserRoutes", []route{good}, ""},
		{"UserRoutes", []route{}, ""},
		{"UserRoutes", []string{}, ""},
	} {
		if got := w.set(tt.name, tt.value); got != tt.want {
			t.Errorf("%s %.60v: %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
	for name, properties := range map[string]map[string]any{
		"types":  {"Type": "scripted", "Name": int32(1), "Host": "h"},
		"split":  {"Type": "scripted", "Name": "n", "Host": "h", "SplitRouting": "x"},
		"routes": {"Type": "scripted", "Name": "n", "Host": "h", "UserRoutes": slices.Repeat([]route{good}, 10000)},
		"long":   {"Type": "scripted", "Name": "n", "Host": long},
		"value":  {"Type": "scripted", "Name": "n", "Host": "h", "Scripted.User": int32(1)},
	} {
		if got := w.call("/", managerIface+"Create", properties); got != "InvalidArguments" {
			t.Errorf("Create, %s: %q", name, got)
		}
	}
	for method, want := range map[string]string{"ClearProperty": "org.freedesktop.DBus.Error.UnknownMethod"} {
		if got := w.call(path, connectionIface+method, int32(1)); got != want {
			t.Errorf("%s: %q", method, got)
		}
	}
	if got := w.call("/", managerIface+"Remove", dbus.ObjectPath("/")); got != "NotFound" {
		t.Errorf("Remove of nothing: %q", got)
	}
}

// A dictionary's properties that can be set are set, whatever the others are;
// the error lists those.
func TestSetAll(t *testing.T) {
	w := newWorld(t)
	w.create()
	call := w.client.Object(testName, path).Call(connectionIface+"SetProperty", 0, "Properties", dbus.MakeVariant(map[string]any{
		"A": "x", "Name": "new", "State": "ready",
	}))
	e, ok := errors.AsType[dbus.Error](call.Err)
	if !ok || e.Name != "net.connman.Error.InvalidProperty" || e.Body[0] != "Invalid properties A,State" {
		t.Errorf("%v", call.Err)
	}
	var properties map[string]dbus.Variant
	if err := w.client.Object(testName, path).Call(connectionIface+"GetProperties", 0).Store(&properties); err != nil {
		t.Fatal(err)
	}
	if name := properties["Name"].Value(); name != "new" {
		t.Errorf("the name is %v", name)
	}
}

// FuzzProperties gives SetProperty and Create any keys and values.
func FuzzProperties(f *testing.F) {
	f.Add("UserRoutes", "Network", byte(4), "10.0.0.0", int32(4))
	f.Add("Name", "", byte(0), "x", int32(0))
	f.Add("Properties", "UserRoutes", byte(3), "255.0.0.0", int32('6'))
	f.Fuzz(func(t *testing.T, key, inner string, kind byte, text string, number int32) {
		d := bus.Dict{{Key: inner, Value: text}, {Key: "Network", Value: text}, {Key: "Netmask", Value: "8"}, {Key: "ProtocolFamily", Value: number}}
		values := []any{
			text, number, number > 0, d, bus.Array{Elem: routesElem, Items: []any{bus.Struct{d}, bus.Struct{bus.Dict{}}}},
			[]string{text}, bus.Array{Elem: "i", Items: []any{number}}, bus.Variant{Value: text}, bus.ObjectPath("/"), []byte(text),
		}
		value := values[int(kind)%len(values)]
		if routes, err := parseRoutes(value); err == nil {
			for _, r := range routes {
				if !r.Dst.IsValid() || r.Dst != r.Dst.Masked() {
					t.Fatalf("%v", r)
				}
			}
		}
		_, _ = parseDescription(bus.Dict{{Key: key, Value: value}})
		_, _ = parseAnswer(bus.Dict{{Key: key, Value: value}})
	})
}
