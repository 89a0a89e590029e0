//go:build netns

package wired

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

const static = `[global]
Name=Home
Description=The wire in the wall

[service_lan]
Type=ethernet
MAC=02:77:02:00:00:00
IPv4=10.77.4.4/255.255.240.0/10.77.0.1
Nameservers=10.77.0.1
SearchDomains=corp.test
`

// TestProvisioningFollowsItsFiles holds for both daemons.
func TestProvisioningFollowsItsFiles(t *testing.T) {
	t.Parallel()
	for _, m := range []lab.Manager{lab.Ours(), lab.Reference()} {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, nil)
			w.run(m)
			w.untilState(0, "online")
			must(t, expect("Immutable", text(w.service(0)["Immutable"]), "false"))

			w.provision("lan.config", static)
			w.untilAddressed(0, "10.77.4.4")
			p := w.service(0)
			must(t, expect("Immutable", text(p["Immutable"]), "true"))
			must(t, expect("Method", field(p, "IPv4.Configuration", "Method"), "fixed"))
			must(t, expect("Method in use", field(p, "IPv4", "Method"), "fixed"))
			must(t, expect("Nameservers", text(p["Nameservers"]), "[10.77.0.1]"))
			must(t, expect("Nameservers of the user", text(p["Nameservers.Configuration"]), "[]"))
			must(t, expect("Domains", text(p["Domains.Configuration"]), "[corp.test]"))
			for name, value := range map[string]any{
				"IPv4.Configuration":        dictOf("Method", "dhcp"),
				"IPv6.Configuration":        dictOf("Method", "off"),
				"Nameservers.Configuration": []string{"10.77.0.1"},
				"Domains.Configuration":     []string{"a.test"},
				"Timeservers.Configuration": []string{"a.test"},
				"Proxy.Configuration":       dictOf("Method", "direct"),
				"mDNS.Configuration":        true,
			} {
				w.refuse("NotSupported", w.servicePath(0), "Service.SetProperty", name, dbus.MakeVariant(value))
			}
			w.refuse("NotSupported", w.servicePath(0), "Service.Remove")

			w.provision("lan.config", strings.ReplaceAll(static, "10.77.4.4", "10.77.4.5"))
			w.untilAddressed(0, "10.77.4.5")
			must(t, expect("Immutable", text(w.service(0)["Immutable"]), "true"))

			must(t, os.Remove(w.Machine.Path(stateDir+"lan.config")))
			w.until("Immutable", func() error { return expect("Immutable", text(w.service(0)["Immutable"]), "false") })
		})
	}
}

// provision writes a provisioning file as editors do: beside and renamed.
func (w *world) provision(name, content string) {
	w.t.Helper()
	must(w.t, w.Machine.WriteFile(stateDir+".new", content))
	must(w.t, os.Rename(w.Machine.Path(stateDir+".new"), w.Machine.Path(stateDir+name)))
}

func TestProvisioningTakenBackReturnsToDHCP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.provision("lan.config", static)
	w.startOnline()
	w.untilAddress(0, "10.77.4.4/20")
	w.provision("lan.config", strings.ReplaceAll(static, "10.77.4.4", "10.77.4.5"))
	w.untilAddress(0, "10.77.4.5/20")
	must(t, os.Remove(w.Machine.Path(stateDir+"lan.config")))
	w.untilAddress(0, "10.77.1.0/20")
	w.untilState(0, "online")
	w.set(0, "Domains.Configuration", []string{"a.test"}) // the user's again

	// What nobody reads any more leaves nothing behind.
	w.end()
	w.start()
	w.untilState(0, "online")
	must(t, expect("Immutable", text(w.service(0)["Immutable"]), "false"))
	w.untilAddress(0, "10.77.1.0/20")
}

// TestProvisioningHoldsFromTheStart: a service that a file set up is not for a moment
// without it when the daemon starts again, whatever is read first.
func TestProvisioningHoldsFromTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.provision("lan.config", static)
	w.startOnline()
	w.untilAddress(0, "10.77.4.4/20")
	w.set(0, "AutoConnect", false) // which the user may
	w.end()
	asked := w.asked()
	for range 3 {
		w.start()
		w.until("Immutable", func() error { return expect("Immutable", text(w.service(0)["Immutable"]), "true") })
		must(t, expect("AutoConnect", text(w.service(0)["AutoConnect"]), "false"))
		w.do(w.servicePath(0), "Service.Connect")
		w.untilAddress(0, "10.77.4.4/20")
		w.end()
	}
	if heard := w.Router.DHCP.Heard(); len(heard) != asked {
		t.Errorf("asked a DHCP server: %v", heard[asked:])
	}
}

// TestProvisioningWithoutAMACTakesOneService: with the reference such a file
// applies to every wire and gives two machines one address.
func TestProvisioningWithoutAMACTakesOneService(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, nil)
	w.provision("any.config", strings.ReplaceAll(static, "MAC=02:77:02:00:00:00\n", ""))
	w.start()
	w.until("both connected", func() error {
		var methods []string
		for _, s := range w.services() {
			methods = append(methods, field(s.Props, "IPv4", "Method")+" "+text(s.Props["Immutable"]))
		}
		slices.Sort(methods)
		return expect("services", methods, []string{"dhcp false", "fixed true"})
	})
}

func TestProvisioningInTOML(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.provision("lan.toml", `[service_lan]
Type = "ethernet"
DeviceName = "eth0"
IPv4 = "10.77.4.6/20/10.77.0.1"
Nameservers = ["10.77.0.1"]
`)
	w.startOnline()
	w.untilAddress(0, "10.77.4.6/20")
	must(t, expect("Immutable", text(w.service(0)["Immutable"]), "true"))
}

func TestMistakesInProvisioningAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.provision("lan.config", static+`Nameserver=10.77.0.1

[service_broken]
Type=ethernet
IPv4=10.77.4.400/20
`)
	w.startOnline()
	w.untilLogged("lan.config", "line 11", "[service_lan]", "Nameserver")
	w.untilLogged("lan.config", "line 15", "[service_broken]", "IPv4")
	w.untilAddress(0, "10.77.4.4/20") // the rest is used
}

// state is all that iproute2 says of links and their addresses.
func (w *world) state(devices ...string) string {
	w.t.Helper()
	all := ""
	for _, d := range devices {
		out, err := w.Machine.Output(ipCommand("-o", "addr", "show", "dev", d))
		must(w.t, err)
		link, err := w.Machine.Output(ipCommand("-o", "link", "show", "dev", d))
		must(w.t, err)
		all += string(out) + string(link)
	}
	// The kernel goes on with what it does by itself.
	return strings.ReplaceAll(all, " tentative", "")
}

// foreign makes links that belong to other programs, with addresses on them.
const foreign = `
ip link add br0 type bridge
ip addr add 192.0.2.1/24 dev br0
ip link add ve-box type veth peer name port0
ip link set port0 master br0
ip link set br0 up
ip link set port0 up
ip link set ve-box up
ip addr add 192.0.2.2/24 dev ve-box
ip tuntap add tun0 mode tun
ip addr add 198.51.100.1/24 dev tun0
ip link set tun0 up
ip link add virbr7 type bridge
ip addr add 203.0.113.1/24 dev virbr7
ip link set virbr7 up
`

func TestForeignLinksAreLeftAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		args   []string
	}{
		"blacklist":   {"NetworkInterfaceBlacklist=eth1,ve-,virbr\n", nil},
		"--device":    {"", []string{"-i", "eth0*"}},
		"--nodevice":  {"", []string{"-I", "et?1,zz*"}},
		"two options": {"", []string{"-i", "eth*", "-I", "eth1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2, nil)
			w.shell(foreign + "ip addr add 10.9.9.9/24 dev eth1; ip link set eth1 up")
			w.configure("[General]\n" + c.config)
			devices := []string{"br0", "ve-box", "port0", "tun0", "virbr7", "eth1"}
			w.until("carriers", func() error {
				if s := w.state("br0", "port0", "ve-box", "eth1"); strings.Count(s, "state UP") != 4 {
					return fmt.Errorf("not all are up: %s", s)
				}
				return nil
			})
			before := w.state(devices...)
			w.start(c.args...)
			w.untilState(0, "online")
			must(t, expect("services", w.order(), "eth0"))
			must(t, expect("links", w.state(devices...), before))
			w.end()
			must(t, expect("links at the end", w.state(devices...), before))
		})
	}
}

// TestPartsAreLeftOut: without the part for cables there is no such technology,
// and the link is left as it is. The loopback link shows when links were seen.
func TestPartsAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--noplugin", "eth*"}, {"--plugin", "wifi,vpn"}} {
		w := newWorld(t, 1, nil)
		w.shell("ip addr flush dev lo; ip link set lo down")
		before := w.state("eth0")
		w.start(args...)
		w.until("loopback", func() error {
			if s := w.state("lo"); !strings.Contains(s, "127.0.0.1/8") {
				return fmt.Errorf("lo is %s", s)
			}
			return nil
		})
		var technologies []entry
		must(t, w.call(managerPath, "net.connman.Manager.GetTechnologies").Store(&technologies))
		must(t, expect("technologies", len(technologies), 0))
		must(t, expect("services", w.order(), ""))
		must(t, expect("link", w.state("eth0"), before))
	}
}

func TestLoopbackIsSetUpOnlyWhenTheSystemDidNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.shell("ip addr flush dev lo; ip link set lo down")
	w.startOnline()
	w.until("loopback", func() error {
		s := w.state("lo")
		if !strings.Contains(s, "127.0.0.1/8") || !strings.Contains(s, "UP") {
			return fmt.Errorf("lo is %s", s)
		}
		return nil
	})
	w.end()

	w.shell("ip addr flush dev lo; ip addr add 127.0.0.5/8 dev lo; ip link set lo up")
	before := w.state("lo")
	w.start()
	w.untilState(0, "online")
	must(t, expect("loopback", w.state("lo"), before))
}
