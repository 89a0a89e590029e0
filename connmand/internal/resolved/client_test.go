package resolved

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/resolve1"
	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// daemon stands in for systemd-resolved: it agrees to everything but changes of
// link 9.
type daemon struct{}

func (daemon) answer(call *bus.Call, index int32) {
	if index == 9 {
		call.Error(&bus.Error{Name: "org.freedesktop.resolve1.NoSuchLink", Text: "Link 9 not known"})
		return
	}
	call.Reply()
}

func (d daemon) SetLinkDNS(call *bus.Call, index int32, _ bus.Array)     { d.answer(call, index) }
func (d daemon) SetLinkDNSEx(call *bus.Call, index int32, _ bus.Array)   { d.answer(call, index) }
func (d daemon) SetLinkDNSOverTLS(call *bus.Call, index int32, _ string) { d.answer(call, index) }
func (d daemon) SetLinkDomains(call *bus.Call, index int32, _ bus.Array) { d.answer(call, index) }
func (d daemon) SetLinkDefaultRoute(call *bus.Call, index int32, _ bool) { d.answer(call, index) }
func (d daemon) SetLinkMulticastDNS(call *bus.Call, index int32, _ string) {
	d.answer(call, index)
}
func (d daemon) RevertLink(call *bus.Call, index int32) { d.answer(call, index) }

// appear starts a systemd-resolved.
func appear(t *testing.T, b *bustest.Bus) (*loop.Loop, *bus.Conn) {
	l, conn := b.Join(t)
	bustest.Do(l, func() {
		if err := conn.Export(path, resolve1.ServeManager(daemon{})); err != nil {
			t.Error(err)
		}
	})
	bustest.Own(t, l, conn, busName)
	return l, conn
}

func link(index int, servers string, domains ...string) core.LinkDNS {
	l := core.LinkDNS{Link: core.Link{Index: index}, DNS: netcfg.DNSConfig{Domains: domains}}
	for s := range strings.FieldsSeq(servers) {
		l.DNS.Servers = append(l.DNS.Servers, netip.MustParseAddr(s))
	}
	return l
}

// calls waits for the call that begins so and returns all calls up to it, in
// short.
func calls(t *testing.T, trace *bustest.Trace, last string) []string {
	t.Helper()
	const prefix = "call " + string(path) + " " + resolve1.InterfaceManager + "."
	var short []string
	for _, line := range trace.WaitFor(t, prefix+last) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			short = append(short, rest)
		}
	}
	return short
}

func TestClient(t *testing.T) {
	b := bustest.Start(t)
	l, conn := b.Join(t)
	trace := b.Record(t)
	var logged strings.Builder
	c := New(conn, slog.New(slog.NewTextHandler(&logged, nil)))
	running := make(chan bool, 8)
	bustest.Do(l, func() { c.Watch(func(is bool) { running <- is }) })
	expect := func(want bool) {
		t.Helper()
		if got := <-running; got != want {
			t.Fatalf("running is %v", got)
		}
	}
	expect(false)

	mdns := link(3, "fe80::1%w")
	mdns.MDNS = true
	split := link(4, "10.9.0.1", "corp.test")
	split.Split, split.Hosts = true, []string{"vpn.test"}
	bustest.Do(l, func() { c.Set([]core.LinkDNS{split, link(2, "10.0.0.1", "home.test"), mdns}) })
	fakeLoop, first := appear(t, b)
	expect(true)
	got := calls(t, trace, "SetLinkMulticastDNS(3")
	want := []string{
		`SetLinkDNS(4, [(2, [10 9 0 1])])`, `SetLinkDomains(4, [("corp.test", false), ("vpn.test", true)])`, `SetLinkDefaultRoute(4, false)`, `SetLinkMulticastDNS(4, "no")`,
		`SetLinkDNS(2, [(2, [10 0 0 1])])`, `SetLinkDomains(2, [("home.test", false)])`, `SetLinkDefaultRoute(2, true)`, `SetLinkMulticastDNS(2, "no")`,
		`SetLinkDNS(3, [(10, [254 128 0 0 0 0 0 0 0 0 0 0 0 0 0 1])])`, `SetLinkDomains(3, [])`, `SetLinkDefaultRoute(3, false)`, `SetLinkMulticastDNS(3, "yes")`,
	}
	if !slices.Equal(got, want) {
		t.Fatalf("first:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// Only the difference is sent.
	bustest.Do(l, func() { c.Set([]core.LinkDNS{mdns, link(2, "10.0.0.1", "home.test", "b.test")}) })
	got = calls(t, trace, "SetLinkDefaultRoute(2, false")[len(want):]
	if diff := []string{`RevertLink(4)`, `SetLinkDefaultRoute(3, true)`, `SetLinkDomains(2, [("home.test", false), ("b.test", false)])`, `SetLinkDefaultRoute(2, false)`}; !slices.Equal(got, diff) {
		t.Fatalf("second:\n%s", strings.Join(got, "\n"))
	}

	// A new instance is told everything, and to forget what the old one knew.
	bustest.Do(fakeLoop, first.Close)
	expect(false)
	bustest.Do(l, func() { c.Set([]core.LinkDNS{link(2, "10.0.0.1"), link(9, "10.0.0.9")}) })
	appear(t, b)
	expect(true)
	got = calls(t, trace, `SetLinkMulticastDNS(9`)[len(want)+4:]
	again := []string{
		`RevertLink(3)`,
		`SetLinkDNS(2, [(2, [10 0 0 1])])`, `SetLinkDomains(2, [])`, `SetLinkDefaultRoute(2, true)`, `SetLinkMulticastDNS(2, "no")`,
		`SetLinkDNS(9, [(2, [10 0 0 9])])`, `SetLinkDomains(9, [])`, `SetLinkDefaultRoute(9, false)`, `SetLinkMulticastDNS(9, "no")`,
	}
	if !slices.Equal(got, again) {
		t.Fatalf("again:\n%s", strings.Join(got, "\n"))
	}
	trace.WaitFor(t, "error SetLinkMulticastDNS")
	// What the bus answers now comes behind what it delivered before.
	if _, err := conn.Wait(t.Context(), bus.MethodCall{
		Destination: "org.freedesktop.DBus", Path: "/org/freedesktop/DBus", Interface: "org.freedesktop.DBus", Member: "GetId",
	}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(logged.String(), "not known"); n != 1 {
		t.Errorf("a refusal was logged %d times: %s", n, logged.String())
	}
}

func TestOverTLS(t *testing.T) {
	b := bustest.Start(t)
	l, conn := b.Join(t)
	trace := b.Record(t)
	c := New(conn, slog.New(slog.DiscardHandler))
	running := make(chan bool, 2)
	appear(t, b)
	bustest.Do(l, func() { c.Watch(func(is bool) { running <- is }) })
	if !<-running {
		t.Fatal("it runs")
	}
	secure := func(mode netcfg.DNSOverTLS, name string) core.LinkDNS {
		l := link(2, "10.0.0.1 2001:db8::1")
		l.DNS.TLS = mode
		if name != "" {
			l.DNS.Names = map[netip.Addr]string{netip.MustParseAddr("10.0.0.1"): name}
		}
		return l
	}
	const v6 = "[32 1 13 184 0 0 0 0 0 0 0 0 0 0 0 1]"
	told := 0
	for _, step := range []struct {
		link core.LinkDNS
		want []string
	}{
		{secure(netcfg.Strict, "dns.example"), []string{
			`SetLinkDNSEx(2, [(2, [10 0 0 1], 0, "dns.example"), (10, ` + v6 + `, 0, "")])`, `SetLinkDNSOverTLS(2, "yes")`,
			`SetLinkDomains(2, [])`, `SetLinkDefaultRoute(2, true)`, `SetLinkMulticastDNS(2, "no")`,
		}},
		{secure(netcfg.Opportunistic, "dns.example"), []string{`SetLinkDNSOverTLS(2, "opportunistic")`}},
		{secure("", ""), []string{`SetLinkDNS(2, [(2, [10 0 0 1]), (10, ` + v6 + `)])`, `SetLinkDNSOverTLS(2, "")`}},
	} {
		bustest.Do(l, func() { c.Set([]core.LinkDNS{step.link}) })
		got := calls(t, trace, step.want[len(step.want)-1])[told:]
		if !slices.Equal(got, step.want) {
			t.Fatalf("%s:\n%s\nwant:\n%s", step.link.DNS.TLS, strings.Join(got, "\n"), strings.Join(step.want, "\n"))
		}
		told += len(got)
	}
}
