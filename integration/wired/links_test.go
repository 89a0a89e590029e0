//go:build netns

package wired

import (
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
	"net.connman/integration/router"
)

// named has the router call its clients by a name.
func named(host string) func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	return func(_, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if reply != nil {
			reply.UpdateOption(dhcpv4.OptHostName(host))
		}
		return reply
	}
}

// names are the machine's host and domain name.
func (w *world) names() string {
	w.t.Helper()
	var u unix.Utsname
	must(w.t, w.Machine.Do(func() error { return unix.Uname(&u) }))
	return unix.ByteSliceToString(u.Nodename[:]) + " " + unix.ByteSliceToString(u.Domainname[:])
}

// resolv is what programs on the machine read in resolv.conf, without its
// comments.
func (w *world) resolv() string {
	w.t.Helper()
	// The machine itself reads it, as the file may be a link.
	out, err := w.Machine.Output(exec.Command("cat", "/etc/resolv.conf"))
	must(w.t, err)
	return strings.Join(settingsLines(string(out)), "\n")
}

func TestLinkDeletedByAnotherProgram(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline("-r")
	from := w.recorder.Mark()
	must(t, w.Machine.Netlink.LinkDel(w.Links[0].Link))
	w.waitSignal(from, "TechnologyRemoved", ethernetPath)
	w.waitSignal(from, "ServicesChanged", "@aav []", w.serviceID(0))
	w.waitSignal(from, "InterfacesRemoved", ethernetPath, "net.connman.Technology")
	w.waitState("idle")
	must(t, expect("services", w.order(), ""))
	w.until("resolv.conf", func() error { return expect("resolv.conf", w.resolv(), "") })
}

func TestLinkRenamedByAnotherProgram(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	must(t, w.Machine.Netlink.LinkSetName(w.Links[0].Link, "wire7"))
	w.until("interface", func() error { return expect("interface", field(w.service(0), "Ethernet", "Interface"), "wire7") })
	w.untilState(0, "online")
	w.untilDefaults("wire7 0")
}

func TestLinkTakenDownByAnotherProgram(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	must(t, w.Links[0].Down())
	w.untilState(0, "")
	w.waitState("idle")
	w.until("link", func() error { return w.gone(w.Links[0]) })
	must(t, w.Links[0].Up())
	w.untilState(0, "online")
	w.untilAddress(0, "10.77.1.0/20")
}

// TestGatewaylessLinkNeverTakesTheDefaultRoute: a network that leads nowhere is
// no way to the Internet, whichever link came first.
func TestGatewaylessLinkNeverTakesTheDefaultRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, func(c *router.Config) { c.Answer = noRouterFor("02:77:02:00:00:00") })
	must(t, w.Ports[1].Down())
	w.start()
	w.untilState(0, "online") // the router itself is the Internet here
	w.untilDefaults()
	must(t, w.Ports[1].Up())
	w.untilState(1, "online")
	w.untilDefaults("eth1 0")
	must(t, expect("order", w.order(), "eth1 eth0"))
	must(t, w.Ports[1].Down())
	w.untilState(1, "")
	w.untilDefaults()
}

// noRouterFor leaves the router's option out of answers to one client.
func noRouterFor(client string) func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	return func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if reply != nil && request.ClientHWAddr.String() == client {
			reply.Options.Del(dhcpv4.OptionRouter)
		}
		return reply
	}
}

// TestLinkLocalUntilAServerAppears takes as long as DHCP is given before an
// address of the link's own is claimed.
func TestLinkLocalUntilAServerAppears(t *testing.T) {
	t.Parallel()
	var open atomic.Bool
	w := newWorld(t, 2, func(c *router.Config) {
		c.Answer = func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
			if open.Load() || request.ClientHWAddr.String() != "02:77:02:00:00:00" {
				return reply
			}
			return nil
		}
	})
	must(t, w.Ports[1].Down())
	w.start()
	w.untilState(0, "configuration")
	w.within(90*time.Second, "link-local", func() error { return expect("state", text(w.service(0)["State"]), "ready") })
	p := w.service(0)
	must(t, expect("IPv4.Configuration", field(p, "IPv4.Configuration", "Method"), "auto"))
	must(t, expect("Method", field(p, "IPv4", "Method"), "auto"))
	must(t, expect("Netmask", field(p, "IPv4", "Netmask"), "255.255.0.0"))
	if address := field(p, "IPv4", "Address"); !strings.HasPrefix(address, "169.254.") {
		t.Errorf("the address is %s", address)
	}
	must(t, expect("default routes", w.defaults(), []string{}))

	// A real lease on another link goes before it.
	must(t, w.Ports[1].Up())
	w.untilState(1, "online")
	must(t, expect("order", w.order(), "eth1 eth0"))
	w.untilDefaults("eth1 0")

	open.Store(true)
	w.within(90*time.Second, "lease", func() error { return expect("Method", field(w.service(0), "IPv4", "Method"), "dhcp") })
	w.untilAddress(0, field(w.service(0), "IPv4", "Address")+"/20")
	must(t, expect("IPv4.Configuration", field(w.service(0), "IPv4.Configuration", "Method"), "dhcp"))
}
