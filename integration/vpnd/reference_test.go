//go:build netns

package vpnd

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
)

// route is (a{sv}).
type route struct{ Properties map[string]any }

// scenario is what every VPN daemon must do alike.
func scenario(w *world) {
	const path = "/net/connman/vpn/connection/10_0_0_1_x_test"
	set := func(name string, value any) { _ = w.set(path, name, value) }
	clear := func(name string) { _, _ = w.call(path, connectionIface+"ClearProperty", name) }
	create := func(properties map[string]any) { _, _ = w.call("/", managerIface+"Create", properties) }
	v4 := route{map[string]any{"Network": "10.1.0.0", "Netmask": "255.255.0.0", "Gateway": "10.1.0.9"}}
	v6 := route{map[string]any{"ProtocolFamily": int32(6), "Network": "2001:db8::", "Netmask": "64"}}

	_, _ = w.call("/", managerIface+"GetConnections")
	create(map[string]any{"Type": "openvpn", "Name": "n"})
	create(map[string]any{"Type": "openvpn", "Host": "10.0.0.1"})
	create(map[string]any{"Type": "openvpn", "Name": "n", "Host": "10.0.0.1", "Domain": "x.test", "SplitRouting": true,
		"OpenVPN.CACert": "/etc/ca.pem", "UserRoutes": []route{v4}})
	_, _ = w.call(path, connectionIface+"GetProperties")
	_, _ = w.call("/", managerIface+"GetConnections")

	set("Name", "new")
	set("Name", "new")
	set("Host", "10.0.0.2")
	set("SplitRouting", false)
	set("SplitRouting", "no")
	set("UserRoutes", "no")
	set("UserRoutes", []route{v4})
	set("UserRoutes", []route{v6})
	set("UserRoutes", []route{})
	set("OpenVPN.CACert", "/etc/other.pem")
	set("OpenVPN.Cert", int32(1))
	set("OpenVPN.CACert", "")
	set("Properties", map[string]any{"Nothing": int32(1)})
	set("Properties", map[string]any{"OpenVPN.Key": "/etc/key.pem"})
	clear("OpenVPN.Key")
	clear("OpenVPN.Cert")
	clear("Nothing")
	clear("Domain")
	set("UserRoutes", []route{v4})
	clear("UserRoutes")
	_, _ = w.call(path, connectionIface+"GetProperties")
	_, _ = w.call(path, connectionIface+"Disconnect")

	set("Host", "10.0.0.1")
	set("Domain", "x.test")
	create(map[string]any{"Type": "openvpn", "Name": "again", "Host": "10.0.0.1", "Domain": "x.test"})
	_, _ = w.call("/", managerIface+"RegisterAgent", dbus.ObjectPath("/a"))
	_, _ = w.call("/", managerIface+"RegisterAgent", dbus.ObjectPath("/b"))
	_, _ = w.call("/", managerIface+"UnregisterAgent", dbus.ObjectPath("/a"))
	_, _ = w.call("/", managerIface+"UnregisterAgent", dbus.ObjectPath("/a"))
	_, _ = w.call("/", managerIface+"Remove", dbus.ObjectPath("/net/connman/vpn/connection/none"))
	_, _ = w.call("/", managerIface+"Remove", dbus.ObjectPath(path))
	_, _ = w.call(path, connectionIface+"GetProperties")
}

// TestLikeReference: the same calls have the same answers, errors and signals, in
// the same order.
func TestLikeReference(t *testing.T) {
	lines := func(d daemon) []string {
		w := newWorld(t)
		w.run(d)
		trace := w.record()
		scenario(w)
		trace.WaitFor(t, "error GetProperties")
		w.stop()
		return normal(trace.Lines())
	}
	if diff := cmp.Diff(lines(reference()), lines(ours())); diff != "" {
		t.Errorf("reference -, ours +\n%s", diff)
	}
}

// normal takes out what may differ: calls, whose dictionaries the client
// shuffles; what follows the usual text of an error, where ours says more; and
// when everybody hears of a connection, which the reference may tell after it has
// answered Create.
func normal(lines []string) (main []string) {
	var added []string
	for _, line := range lines {
		switch {
		case strings.Contains(line, "ConnectionAdded"):
			added = append(added, line)
			continue
		case strings.HasPrefix(line, "call "):
			line, _, _ = strings.Cut(line, "(")
		case strings.HasPrefix(line, "error "):
			head, rest, _ := strings.Cut(line, `("`)
			rest, _, _ = strings.Cut(strings.TrimSuffix(rest, `")`), ":")
			line = head + " " + rest
		}
		main = append(main, line)
	}
	return append(main, added...)
}

// TestState: what one daemon has written the other goes on with.
func TestState(t *testing.T) {
	w := newWorld(t)
	w.run(reference())
	path := w.create(map[string]any{"Domain": "x.test", "OpenVPN.CACert": `/etc/a\b c`, "AuthErrorLimit": "3",
		"UserRoutes": []route{{map[string]any{"Network": "10.1.0.0", "Netmask": "16"}}}})
	w.stop()

	w.run(ours())
	p := w.properties(path)
	for key, want := range map[string]any{"Name": "n", "Type": "openvpn", "Host": "10.0.0.1", "Domain": "x.test",
		"OpenVPN.CACert": `/etc/a\b c`, "AuthErrorLimit": "3", "State": "idle", "Immutable": false} {
		if got := p[key].Value(); got != want {
			t.Errorf("we read %s as %v, want %v", key, got, want)
		}
	}
	if routes, _ := p["UserRoutes"].Value().([][]any); len(routes) != 1 {
		t.Errorf("we read the routes as %v", p["UserRoutes"])
	}
	must(t, w.set(path, "Name", "ours"))
	must(t, w.set(path, "OpenVPN.Cert", `/x\y `+"z"))
	other := w.create(map[string]any{"Host": "10.0.0.2", "Domain": "y.test"})
	w.stop()

	file := w.host.Path("/var/lib/connman/provider_10_0_0_1_x_test/settings")
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", info.Mode())
	}

	w.run(reference())
	for key, want := range map[string]any{"Name": "ours", "OpenVPN.Cert": `/x\y z`, "OpenVPN.CACert": `/etc/a\b c`, "AuthErrorLimit": "3"} {
		if got := w.properties(path)[key].Value(); got != want {
			t.Errorf("the reference reads %s as %v, want %v", key, got, want)
		}
	}
	w.must("/", managerIface+"Remove", dbus.ObjectPath(other))
	w.stop()

	w.run(ours())
	if got := w.connections(); !slices.Equal(got, []string{"10_0_0_1_x_test"}) {
		t.Errorf("connections %q", got)
	}
	w.must("/", managerIface+"Remove", dbus.ObjectPath(path))
	w.stop()
	if entries, _ := os.ReadDir(w.host.Path("/var/lib/connman")); len(entries) != 0 {
		t.Errorf("%d entries are left", len(entries))
	}
}
