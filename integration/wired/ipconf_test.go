//go:build netns

package wired

import (
	"testing"

	"github.com/godbus/dbus/v5"
)

// manual is an IPv4 configuration; what is empty is left out.
func manual(address, netmask, gateway string) dict {
	d := dictOf("Method", "manual", "Address", address)
	if netmask != "" {
		d["Netmask"] = dbus.MakeVariant(netmask)
	}
	if gateway != "" {
		d["Gateway"] = dbus.MakeVariant(gateway)
	}
	return d
}

func TestStaticIPv4(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline("-r")
	from := w.recorder.Mark()
	w.set(0, "IPv4.Configuration", manual("10.77.3.3", "255.255.240.0", "10.77.0.1"))
	w.untilState(0, "ready") // without a name server there is no going online
	w.untilSignals(from, `"State" <"configuration">`, `Technology.PropertyChanged "Connected" <false>`,
		`Manager.PropertyChanged "State" <"idle">`, `"State" <"ready">`, `Technology.PropertyChanged "Connected" <true>`,
		`Manager.PropertyChanged "State" <"ready">`, `"IPv4" "10.77.3.3" "10.77.0.1" "manual" "255.255.240.0"`)
	w.untilSignals(from, `"IPv4.Configuration" "10.77.3.3" "10.77.0.1" "manual" "255.255.240.0"`)
	w.untilAddress(0, "10.77.3.3/20")
	w.untilDefaults("eth0 0")
	must(t, expect("Nameservers", text(w.service(0)["Nameservers"]), "[]"))

	w.set(0, "Nameservers.Configuration", []string{"10.77.0.1"})
	w.untilState(0, "online")
	w.set(0, "Domains.Configuration", []string{"a.test"})
	w.until("resolv.conf", func() error {
		return expect("resolv.conf", w.resolv(), "search a.test\nnameserver 10.77.0.1")
	})

	// Another address, without a router: there is nowhere to send the rest.
	w.set(0, "IPv4.Configuration", manual("10.77.3.4", "255.255.240.0", ""))
	w.untilAddress(0, "10.77.3.4/20")
	w.untilDefaults()
	// Without a netmask the machine is alone on its link.
	w.set(0, "IPv4.Configuration", manual("10.77.3.5", "", ""))
	w.untilAddress(0, "10.77.3.5/32")
	// A router beside the link's network is reached through the link.
	w.set(0, "IPv4.Configuration", manual("10.77.3.6", "255.255.255.0", "10.77.0.1"))
	w.untilAddress(0, "10.77.3.6/24")
	w.untilDefaults("eth0 0")
	w.untilState(0, "online")

	for _, bad := range []dict{
		manual("10.77.3.7", "255.255.240.0", "bogus"),
		manual("10.77.3.300", "255.255.240.0", ""),
		manual("224.0.0.1", "255.255.240.0", ""),
		manual("10.77.3.7", "24", ""), // the reference takes these two for masks
		manual("10.77.3.7", "255.0.255.0", ""),
	} {
		w.refuse("InvalidArguments", w.servicePath(0), "Service.SetProperty", "IPv4.Configuration", dbus.MakeVariant(bad))
	}
	w.untilAddress(0, "10.77.3.6/24")

	w.end()
	w.start()
	w.untilState(0, "online")
	w.untilAddress(0, "10.77.3.6/24")
}

func TestIPv4OffAndBackToDHCP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	w.set(0, "IPv6.Configuration", dictOf("Method", "off"))
	w.set(0, "IPv4.Configuration", dictOf("Method", "off"))
	w.untilState(0, "idle")
	must(t, expect("IPv4.Configuration", field(w.service(0), "IPv4.Configuration", "Method"), "off"))
	w.until("link", func() error { return w.gone(w.Links[0]) })
	w.refuse("NotConnected", w.servicePath(0), "Service.Disconnect")
	w.refuse("NoCarrier", w.servicePath(0), "Service.Connect")

	w.set(0, "IPv4.Configuration", dictOf("Method", "dhcp"))
	w.untilState(0, "online")
	w.untilAddress(0, "10.77.1.0/20")
	must(t, expect("IPv4.Configuration", field(w.service(0), "IPv4.Configuration", "Method"), "dhcp"))
}

func TestStaticIPv4SetWhileDisconnected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	w.do(w.servicePath(0), "Service.Disconnect")
	w.set(0, "IPv4.Configuration", manual("10.77.3.8", "255.255.240.0", "10.77.0.1"))
	must(t, expect("State", text(w.service(0)["State"]), "idle"))
	must(t, w.gone(w.Links[0]))
	w.do(w.servicePath(0), "Service.Connect")
	w.untilAddress(0, "10.77.3.8/20")
	w.refuse("NotSupported", w.servicePath(0), "Service.Remove")
	w.untilAddress(0, "10.77.3.8/20")
}

func TestListsOfTheUserReplaceTheNetworks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	for _, c := range []struct {
		property   string
		value      any
		configured string
		inUse      string
	}{
		{"Nameservers", []string{"10.77.0.1", "", "bogus", "10.77.0.1"}, "[10.77.0.1]", "[10.77.0.1]"},
		{"Nameservers", []string{}, "[]", "[10.77.0.1]"},
		{"Timeservers", []string{"", "ntp.test", "10.77.0.1"}, "[ntp.test 10.77.0.1]", "[ntp.test 10.77.0.1]"},
		{"Timeservers", []string{}, "[]", "[]"},
		{"Domains", []string{"a.test", "b.test"}, "[a.test b.test]", "[a.test b.test]"},
		{"Domains", []string{}, "[]", "[home.test]"},
	} {
		from := w.recorder.Mark()
		w.set(0, c.property+".Configuration", c.value)
		p := w.service(0)
		must(t, expect(c.property+".Configuration", text(p[c.property+".Configuration"]), c.configured))
		must(t, expect(c.property, text(p[c.property]), c.inUse))
		w.untilSignals(from, `Service.PropertyChanged "`+c.property+`.Configuration"`, `Service.PropertyChanged "`+c.property+`"`)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	must(t, expect("Proxy", field(w.service(0), "Proxy", "Method"), "direct"))
	from := w.recorder.Mark()
	w.set(0, "Proxy.Configuration", dictOf("Method", "manual", "Servers", []string{"p.test:8080"}, "Excludes", []string{"a.test"}))
	w.untilSignals(from, `"Proxy.Configuration" "manual" "p.test:8080"`)
	w.untilSignals(from, `"Proxy" "manual" "p.test:8080"`)
	p := w.service(0)
	must(t, expect("Servers", field(p, "Proxy", "Servers"), "[p.test:8080]"))
	must(t, expect("Excludes", field(p, "Proxy.Configuration", "Excludes"), "[a.test]"))
	w.set(0, "Proxy.Configuration", dictOf("Method", "auto", "URL", "http://x.test/y.pac"))
	must(t, expect("URL", field(w.service(0), "Proxy", "URL"), "http://x.test/y.pac"))
	w.refuse("InvalidArguments", w.servicePath(0), "Service.SetProperty", "Proxy.Configuration", dbus.MakeVariant(dictOf("Method", "manual")))
}

// TestResolvConfGoesWhereItIsRead: a link to our own file is followed, another
// program's is left alone, and ResolvConf names any other.
func TestResolvConfGoesWhereItIsRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ prepare, config, file string }{
		"link to our file": {"rm /etc/resolv.conf; mkdir /run/connman; ln -s /run/connman/resolv.conf /etc/resolv.conf", "", "/run/connman/resolv.conf"},
		"plain file":       {"true", "", "/etc/resolv.conf"},
		"ResolvConf":       {"true", "ResolvConf=/run/names\n", "/run/names"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, nil)
			w.shell(c.prepare)
			w.configure("[General]\n" + c.config)
			w.startOnline("-r")
			w.until(c.file, func() error {
				return expect(c.file, settingsLines(w.read(c.file)), []string{"search home.test", "nameserver 10.77.0.1"})
			})
		})
	}
	t.Run("foreign link", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1, nil)
		w.shell("rm /etc/resolv.conf; echo foreign >/run/stub; ln -s /run/stub /etc/resolv.conf")
		w.startOnline("-r")
		w.untilLogged("/etc/resolv.conf", "/run/stub")
		must(t, expect("foreign file", w.read("/run/stub"), "foreign\n"))
	})
}
