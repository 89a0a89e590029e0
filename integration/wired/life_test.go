//go:build netns

package wired

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/router"
)

// inOrder objects unless the lines have the wanted ones among them, in their
// order; each is given by its parts, split by spaces.
func inOrder(lines []string, wanted ...string) error {
	rest := lines
	for _, want := range wanted {
		found := false
		for i, line := range rest {
			if containsAll(line, strings.Fields(want)) {
				rest, found = rest[i+1:], true
				break
			}
		}
		if !found {
			return fmt.Errorf("no %q after what came before it, in\n%s", want, strings.Join(lines, "\n"))
		}
	}
	return nil
}

func containsAll(line string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}

// count is how many of the lines have all the parts.
func count(lines []string, parts ...string) (n int) {
	for _, line := range lines {
		if containsAll(line, parts) {
			n++
		}
	}
	return n
}

// The expectations of the next tests are what the reference sends; where it
// repeats itself within a step, once is enough.

func TestCableInBringsTheMachineOnline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	must(t, w.Unplug())
	w.start()
	w.untilSignals(0, `Manager.TechnologyAdded "Name": <"Wired"> "Powered": <false> "Type": <"ethernet">`,
		`ObjectManager.InterfacesAdded ethernet "net.connman.Technology" Introspectable`,
		`Technology.PropertyChanged "Powered" <true>`)
	from := w.recorder.Mark()
	must(t, w.Ports[0].Up())
	w.waitSignal(from, "Manager.PropertyChanged", "online")

	lines := w.signals(from)
	must(t, inOrder(lines,
		`ObjectManager.InterfacesAdded ethernet_027702000000_cable "net.connman.Service" Introspectable`,
		`Manager.ServicesChanged ethernet_027702000000_cable "Type": "State": "Ethernet": "IPv4.Configuration": "Provider":`,
		`Service.PropertyChanged "State" <"ready">`,
		`Technology.PropertyChanged "Connected" <true>`,
		`Manager.PropertyChanged "State" <"ready">`,
		`Service.PropertyChanged "IPv4" "10.77.1.0" "10.77.0.1" "dhcp" "255.255.240.0"`,
		`Service.PropertyChanged "Nameservers" ["10.77.0.1"]`,
		`Service.PropertyChanged "State" <"online">`,
		`Manager.PropertyChanged "State" <"online">`))
	must(t, inOrder(lines, `Service.PropertyChanged "State" <"ready">`, `Service.PropertyChanged "Timeservers"`,
		`Service.PropertyChanged "Domains" "home.test"`, `Service.PropertyChanged "Proxy"`))
	for _, once := range []string{"InterfacesAdded", "ServicesChanged", `Service.PropertyChanged "IPv4" `,
		`Service.PropertyChanged "Nameservers"`, `Manager.PropertyChanged "State" <"ready">`} {
		if n := count(lines, once); n != 1 {
			t.Errorf("%s was signalled %d times:\n%s", once, n, strings.Join(lines, "\n"))
		}
	}

	w.untilAddress(0, "10.77.1.0/20")
	w.untilDefaults("eth0 0")
	w.until("resolv.conf", func() error {
		return expect("resolv.conf", w.resolv(), "search home.test\nnameserver 127.0.0.1\nnameserver ::1")
	})
	p := w.service(0)
	for name, want := range map[string]string{
		"Type": "ethernet", "State": "online", "Name": "Wired", "Favorite": "true", "Immutable": "false",
		"AutoConnect": "true", "Security": "[]", "Nameservers": "[10.77.0.1]", "Domains": "[home.test]",
		"Timeservers": "[]", "mDNS": "false", "mDNS.Configuration": "false", "Error": "",
	} {
		must(t, expect(name, text(p[name]), want))
	}
	must(t, expect("Ethernet", len(p["Ethernet"].Value().(dict)), 4))
	must(t, expect("MTU", field(p, "Ethernet", "MTU"), 1500))
	must(t, expect("Address", field(p, "Ethernet", "Address"), "02:77:02:00:00:00"))
}

func TestCableOutTakesEverythingBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline("-r")
	from := w.recorder.Mark()
	must(t, w.Unplug())
	w.waitSignal(from, "ServicesChanged", "@aav []", "@ao", w.serviceID(0))
	w.untilSignals(from,
		`Service.PropertyChanged "State" <"disconnect">`,
		`Service.PropertyChanged "Timeservers" []`,
		`Service.PropertyChanged "Domains" []`,
		`Service.PropertyChanged "Proxy" {}`,
		`Technology.PropertyChanged "Connected" <false>`,
		`Manager.PropertyChanged "State" <"idle">`,
		`Service.PropertyChanged "Nameservers" []`,
		`Service.PropertyChanged "State" <"idle">`,
		`ObjectManager.InterfacesRemoved ethernet_027702000000_cable "net.connman.Service" Introspectable`,
		`Manager.ServicesChanged []`)
	w.until("link", func() error { return w.gone(w.Links[0]) })
	w.until("resolv.conf", func() error { return expect("resolv.conf", w.resolv(), "") })

	must(t, w.Plug())
	w.untilState(0, "online")
	w.untilAddress(0, "10.77.1.0/20")
}

func TestDisconnectStaysUntilTheUserConnects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	path := w.servicePath(0)
	w.refuse("AlreadyConnected", path, "Service.Connect")

	from := w.recorder.Mark()
	w.do(path, "Service.Disconnect")
	w.untilSignals(from, `"State" <"disconnect">`, `"State" <"idle">`)
	must(t, expect("state after the reply", text(w.service(0)["State"]), "idle"))
	must(t, expect("IPv4", len(w.service(0)["IPv4"].Value().(dict)), 0))
	must(t, w.gone(w.Links[0]))
	w.refuse("NotConnected", path, "Service.Disconnect")

	from = w.recorder.Mark()
	w.do(path, "Service.Connect")
	if state := text(w.service(0)["State"]); state != "ready" && state != "online" {
		t.Errorf("Connect was answered in state %s", state)
	}
	w.untilState(0, "online")
	w.untilSignals(from, `"State" <"configuration">`, `"State" <"ready">`, `"State" <"online">`)

	// The cable that comes anew is a new beginning.
	w.do(path, "Service.Disconnect")
	must(t, w.Unplug())
	w.untilState(0, "")
	must(t, w.Plug())
	w.untilState(0, "online")
}

// secondLow is the metric of the second link's default route while the first
// has the one that everything takes.
const secondLow = "eth1 4294964223"

func TestTwoLinksShareTheDefaultRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, nil)
	must(t, w.Ports[1].Down())
	w.startOnline()
	must(t, w.Ports[1].Up())
	w.untilState(1, "ready")
	must(t, expect("order", w.order(), "eth0 eth1"))
	w.untilDefaults("eth0 0", secondLow)

	must(t, w.Ports[0].Down())
	w.untilState(1, "online")
	w.untilDefaults("eth1 0")

	// Who comes back does not take it away again.
	must(t, w.Ports[0].Up())
	w.untilState(0, "ready")
	must(t, expect("order", w.order(), "eth1 eth0"))
	w.untilDefaults("eth1 0", "eth0 4294965247")
}

func TestMovingAServiceMovesTheDefaultRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, nil)
	must(t, w.Ports[1].Down())
	w.startOnline()
	must(t, w.Ports[1].Up())
	w.untilState(1, "ready")
	first, second := w.servicePath(0), w.servicePath(1)
	w.waitSignal(0, "ServicesChanged", string(second)+`", {"`)

	from := w.recorder.Mark()
	w.do(second, "Service.MoveBefore", first)
	w.untilState(1, "online")
	w.waitSignal(from, "ServicesChanged", `[["`+string(second)+`", {}], ["`+string(first)+`", {}]] @ao []`)
	w.untilSignals(from, string(first)+` "State" <"ready">`, string(second)+` "State" <"online">`)
	w.untilSignals(from, `Manager.PropertyChanged "State" <"ready">`, `Manager.PropertyChanged "State" <"online">`)
	w.untilDefaults("eth1 0", "eth0 4294965247")

	w.do(second, "Service.MoveAfter", first)
	w.untilState(0, "online")
	must(t, expect("order", w.order(), "eth0 eth1"))
	w.untilDefaults("eth0 0", secondLow)

	w.refuse("InvalidService", second, "Service.MoveAfter", second)
	w.refuse("InvalidService", second, "Service.MoveBefore", second)
	w.refuse("InvalidService", second, "Service.MoveAfter", dbus.ObjectPath("/net/connman/service/nope"))
	w.refuse("InvalidService", second, "Service.MoveBefore", dbus.ObjectPath(managerPath))
	must(t, expect("order", w.order(), "eth0 eth1"))
}

func TestTechnologyPower(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	power := func(on bool) error {
		return w.call(ethernetPath, "net.connman.Technology.SetProperty", "Powered", dbus.MakeVariant(on)).Err
	}
	must(t, expect("error", answerOf(power(true)), "net.connman.Error.AlreadyEnabled"))

	from := w.recorder.Mark()
	must(t, power(false))
	must(t, expect("services", w.order(), ""))
	must(t, w.gone(w.Links[0]))
	w.untilSignals(from, `"State" <"disconnect">`, `Technology.PropertyChanged "Connected" <false>`,
		`Manager.PropertyChanged "State" <"idle">`, `Technology.PropertyChanged "Powered" <false>`)
	must(t, expect("error", answerOf(power(false)), "net.connman.Error.AlreadyDisabled"))

	// The wish outlasts the daemon.
	w.end()
	w.start()
	w.until("the technology", func() error {
		var technologies []entry
		must(t, w.call(managerPath, "net.connman.Manager.GetTechnologies").Store(&technologies))
		return expect("technologies", len(technologies), 1)
	})
	p, err := w.properties(ethernetPath, "Technology")
	must(t, err)
	must(t, expect("Powered", text(p["Powered"]), "false"))
	must(t, power(true))
	w.untilState(0, "online")
}

func TestOfflineMode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	offline := func(on bool) { w.do(managerPath, "Manager.SetProperty", "OfflineMode", dbus.MakeVariant(on)) }
	from := w.recorder.Mark()
	offline(true)
	w.waitSignal(from, "Technology.PropertyChanged", "Powered", "false")
	w.waitSignal(from, "Manager.PropertyChanged", "OfflineMode", "true")
	w.waitState("offline")
	must(t, expect("services", w.order(), ""))
	w.until("link", func() error { return w.gone(w.Links[0]) })
	w.waitSignal(from, "ServicesChanged", "@aav []", w.serviceID(0))
	from = w.recorder.Mark()
	offline(true) // again, without effect
	w.recorded(managerPath, "Manager.GetProperties")
	must(t, expect("signals", w.signals(from), []string(nil)))

	w.end()
	w.start()
	w.waitState("offline")
	offline(false)
	w.untilState(0, "online")
}

func TestHostNamesFromTheNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *router.Config) { c.Answer = named("guest") })
	must(t, expect("host name", w.names(), "machine (none)"))
	w.startOnline()
	w.until("names", func() error { return expect("names", w.names(), "guest home.test") })
	w.do(w.servicePath(0), "Service.Disconnect")
	w.until("names", func() error { return expect("names", w.names(), "machine (none)") })
	w.do(w.servicePath(0), "Service.Connect")
	w.until("names", func() error { return expect("names", w.names(), "guest home.test") })
	w.end()
	must(t, expect("names", w.names(), "machine (none)"))

	w.configure("[General]\nAllowHostnameUpdates=false\nAllowDomainnameUpdates=false\n")
	w.startOnline()
	must(t, expect("names", w.names(), "machine (none)"))
}

// TestHostileHostNameIsNotSet: what a server calls the machine reaches neither
// the kernel nor any file.
func TestHostileHostNameIsNotSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *router.Config) { c.Answer = named("a;touch /tmp/x"); c.Domain = "-$(reboot)" })
	w.startOnline()
	must(t, expect("names", w.names(), "machine (none)"))
	must(t, expect("Domains", text(w.service(0)["Domains"]), "[]"))
	if err := inOrder(strings.Split(w.resolv(), "\n"), "reboot"); err == nil {
		t.Error(errors.New("resolv.conf has the server's domain: " + w.resolv()))
	}
}

// TestSingleConnectedTechnology: one way to the world is enough for some.
func TestSingleConnectedTechnology(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, nil)
	w.configure("[General]\nSingleConnectedTechnology=true\n")
	must(t, w.Ports[1].Down())
	w.startOnline()
	must(t, w.Ports[1].Up())
	w.untilState(1, "idle")
	w.do(w.servicePath(1), "Service.Connect")
	w.untilState(0, "idle")
	w.untilState(1, "online")
	w.untilDefaults("eth1 0")
	w.until("first link", func() error { return w.gone(w.Links[0]) })
}
