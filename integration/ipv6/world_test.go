//go:build netns

package ipv6

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

// patience is how long anything may take before it counts as failed: more than a
// client of DHCPv6 lets pass between two questions after half a minute without
// an answer.
const patience = 40 * time.Second

// The network that routers announce, and the first router's address in it.
const (
	network = "2001:db8:1::/64"
	router1 = "2001:db8:1::1"
	// slaac is what eth0's hardware address makes of the network.
	slaac = "2001:db8:1:0:77:6ff:fe00:0"
)

var hardware = net.HardwareAddr{0x02, 0x77, 0x06, 0x00, 0x00, 0x00}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a machine with our daemon, and a switch that routers are joined to.
type world struct {
	t       *testing.T
	lab     *lab.Lab
	machine *lab.Host
	bus     *lab.Bus
	conn    *dbus.Conn
	eth     lab.End // the machine's interface
	port    lab.End // its far end
	gateway *lab.Host
	bridge  lab.End
	daemon  *lab.Process
}

// newWorld builds a machine whose cable is plugged in and whose daemon does not
// run yet. The switch is the first router's host. Worlds have nothing in common
// and their tests wait most of the time, so they run side by side.
func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, lab: lab.ForTest(t)}
	var err error
	w.machine, err = w.lab.Host("machine")
	must(t, err)
	w.gateway, err = w.lab.Host("gateway")
	must(t, err)
	w.bus, err = w.machine.StartBus()
	must(t, err)
	w.bridge, err = w.gateway.Bridge("home", "10.77.0.1/20")
	must(t, err)
	w.eth, w.port, err = w.lab.Cable(w.machine, "eth0", hardware, w.gateway, "port0")
	must(t, err)
	must(t, w.gateway.Netlink.LinkSetMasterByIndex(w.port.Link, w.bridge.Index()))
	w.addAddr(w.bridge, router1+"/64")
	w.conn, err = w.bus.Connect()
	must(t, err)
	t.Cleanup(func() { w.conn.Close() })
	must(t, w.port.Up())
	return w
}

// addAddr gives an end an address that is not checked for duplicates.
func (w *world) addAddr(end lab.End, prefix string) {
	w.t.Helper()
	addr, err := netlink.ParseAddr(prefix)
	must(w.t, err)
	addr.Flags = unix.IFA_F_NODAD
	must(w.t, end.Host.Netlink.AddrAdd(end.Link, addr))
}

// join adds another router to the switch, with the hardware address given.
func (w *world) join(name string, mac net.HardwareAddr) lab.End {
	w.t.Helper()
	host, err := w.lab.Host(name)
	must(w.t, err)
	end, port, err := w.lab.Cable(host, "home", mac, w.gateway, name)
	must(w.t, err)
	must(w.t, w.gateway.Netlink.LinkSetMasterByIndex(port.Link, w.bridge.Index()))
	must(w.t, port.Up())
	must(w.t, end.Up())
	return end
}

// dnsmasq runs the program on the first router with a configuration.
func (w *world) dnsmasq(config string) *lab.Process {
	w.t.Helper()
	config = "interface=home\nbind-dynamic\nno-resolv\nno-hosts\nleasefile-ro\nuser=root\nlog-dhcp\nlog-facility=-\n" + config
	must(w.t, w.gateway.WriteFile("/etc/dnsmasq.conf", config))
	p, err := w.gateway.Start(exec.Command("dnsmasq", "-k", "-C", "/etc/dnsmasq.conf", "-x", "/run/dnsmasq.pid"))
	must(w.t, err)
	return p
}

// radvd runs the program on a router with a configuration.
func (w *world) radvd(host *lab.Host, config string) *lab.Process {
	w.t.Helper()
	program := filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "radvd/usr/sbin/radvd")
	must(w.t, host.WriteFile("/etc/radvd.conf", config))
	pid := fmt.Sprintf("/run/radvd.%d.pid", time.Now().UnixNano()) // one that was killed keeps its own for a moment
	p, err := host.Start(exec.Command(program, "-n", "-C", "/etc/radvd.conf", "-p", pid, "-m", "stderr"))
	must(w.t, err)
	return p
}

// web serves the online check on the first router, over IPv6 only.
func (w *world) web() {
	w.t.Helper()
	var listener net.Listener
	must(w.t, w.gateway.Do(func() (err error) {
		listener, err = net.Listen("tcp6", "["+router1+"]:80")
		return err
	}))
	server := &http.Server{Handler: http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("X-ConnMan-Status", "online")
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	w.t.Cleanup(func() { server.Close(); <-served })
}

// start runs our daemon and waits for its first answer.
func (w *world) start(args ...string) {
	w.t.Helper()
	w.run(lab.Ours(), args...)
}

// run runs a daemon and waits for its first answer.
func (w *world) run(m lab.Manager, args ...string) {
	w.t.Helper()
	var err error
	w.daemon, err = m.Run(w.machine, w.bus, args...)
	must(w.t, err)
	must(w.t, lab.Eventually(patience, func() error {
		return w.call("/", "net.connman.Manager.GetProperties").Err
	}))
}

func (w *world) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.conn.Object("net.connman", path).CallWithContext(ctx, method, 0, args...)
}

const service = dbus.ObjectPath("/net/connman/service/ethernet_027706000000_cable")

// properties are the service's.
func (w *world) properties() (map[string]dbus.Variant, error) {
	var p map[string]dbus.Variant
	err := w.call(service, "net.connman.Service.GetProperties").Store(&p)
	return p, err
}

// ipv6 is the service's IPv6 property.
func (w *world) ipv6() map[string]dbus.Variant {
	w.t.Helper()
	p, err := w.properties()
	must(w.t, err)
	d, _ := p["IPv6"].Value().(map[string]dbus.Variant)
	return d
}

// waitState waits until the service is in a state.
func (w *world) waitState(state string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		p, err := w.properties()
		if err == nil && p["State"].Value() != state {
			err = fmt.Errorf("service is %v, want %s", p["State"].Value(), state)
		}
		return err
	}))
}

// set sets the service's IPv6 configuration.
func (w *world) set(configuration map[string]any) {
	w.t.Helper()
	value := make(map[string]dbus.Variant)
	for key, v := range configuration {
		value[key] = dbus.MakeVariant(v)
	}
	must(w.t, w.call(service, "net.connman.Service.SetProperty", "IPv6.Configuration", dbus.MakeVariant(value)).Err)
}

// addresses are the machine's global IPv6 addresses that can be used.
func (w *world) addresses() []netlink.Addr {
	w.t.Helper()
	list, err := w.machine.Netlink.AddrList(w.eth.Link, netlink.FAMILY_V6)
	must(w.t, err)
	return slices.DeleteFunc(list, func(a netlink.Addr) bool {
		return a.IP.IsLinkLocalUnicast() || a.Flags&unix.IFA_F_TENTATIVE != 0
	})
}

// waitAddress waits until the machine has an address and returns it.
func (w *world) waitAddress(address string) (found netlink.Addr) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		list := w.addresses()
		for _, a := range list {
			if a.IP.Equal(net.ParseIP(address)) {
				found = a
				return nil
			}
		}
		return fmt.Errorf("no %s among %v", address, list)
	}))
	return found
}

// waitConflict waits until the daemon found that another machine has an
// address, and has it out of use.
func (w *world) waitConflict(address string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		for line := range strings.Lines(w.ip("-6", "addr", "show", "dev", "eth0")) {
			if strings.Contains(line, address+"/") && !strings.Contains(line, "dadfailed") {
				return fmt.Errorf("in use: %s", line)
			}
		}
		if !strings.Contains(w.log(), "in use by another machine") || !strings.Contains(w.log(), address) {
			return errors.New("not noticed: " + w.log())
		}
		return nil
	}))
}

// waitNoAddress waits until the machine has no global IPv6 address.
func (w *world) waitNoAddress() {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		if list := w.addresses(); len(list) > 0 {
			return fmt.Errorf("still there: %v", list)
		}
		return nil
	}))
}

// gateways are the machine's IPv6 default gateways, the best first.
func (w *world) gateways() (list []netip.Addr) {
	w.t.Helper()
	routes, err := w.machine.Netlink.RouteList(w.eth.Link, netlink.FAMILY_V6)
	must(w.t, err)
	slices.SortFunc(routes, func(a, b netlink.Route) int { return a.Priority - b.Priority })
	for _, r := range routes {
		if r.Dst == nil || r.Dst.String() == "::/0" {
			gw, _ := netip.AddrFromSlice(r.Gw)
			list = append(list, gw)
		}
	}
	return list
}

// waitGateways waits until the machine has these default gateways, in order.
func (w *world) waitGateways(want ...netip.Addr) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		if got := w.gateways(); !slices.Equal(got, want) {
			return fmt.Errorf("gateways %v, want %v", got, want)
		}
		return nil
	}))
}

// linkLocal waits for an end's link-local address.
func (w *world) linkLocal(end lab.End) (found netip.Addr) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		list, err := end.Host.Netlink.AddrList(end.Link, netlink.FAMILY_V6)
		if err != nil {
			return err
		}
		for _, a := range list {
			if a.IP.IsLinkLocalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0 {
				found, _ = netip.AddrFromSlice(a.IP)
				return nil
			}
		}
		return errors.New("no link-local address on " + end.Name())
	}))
	return found
}

// sysctl reads an IPv6 setting of eth0.
func (w *world) sysctl(key string) string {
	w.t.Helper()
	out, err := w.machine.Output(exec.Command("cat", "/proc/sys/net/ipv6/conf/eth0/"+key))
	must(w.t, err)
	return strings.TrimSpace(string(out))
}

// ip runs ip(8) on the machine and returns what it printed.
func (w *world) ip(args ...string) string {
	w.t.Helper()
	out, err := w.machine.Output(exec.Command("ip", args...))
	must(w.t, err)
	return string(out)
}
