//go:build netns

package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// patience is how long anything may take before it counts as failed.
const patience = 20 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a machine with our daemon, connected to networks.
type world struct {
	t       *testing.T
	machine *lab.Host
	bus     *lab.Bus
	conn    *dbus.Conn
	nets    []*network
	daemon  *lab.Process
}

// network is one that the machine has a cable to, with its DHCP server.
type network struct {
	t    *testing.T
	host *lab.Host
	// link is the machine's end of the cable.
	link, port lab.End
	number     int
}

// place says what a network's DHCP server tells.
type place struct {
	domain  string
	servers []int // hosts of the network, by the last part of their address
}

// newWorld builds a machine with a cable plugged into each network. The daemon
// does not run yet.
func newWorld(t *testing.T, places ...place) *world {
	t.Helper()
	l := lab.ForTest(t)
	w := &world{t: t}
	var err error
	w.machine, err = l.Host("machine")
	must(t, err)
	w.bus, err = w.machine.StartBus()
	must(t, err)
	w.conn, err = w.bus.Connect()
	must(t, err)
	t.Cleanup(func() { w.conn.Close() })
	for i, p := range places {
		w.nets = append(w.nets, newNetwork(t, l, w.machine, i, p))
	}
	return w
}

func newNetwork(t *testing.T, l *lab.Lab, machine *lab.Host, number int, p place) *network {
	t.Helper()
	n := &network{t: t, number: number}
	var err error
	n.host, err = l.Host(fmt.Sprintf("network%d", number))
	must(t, err)
	mac := net.HardwareAddr{0x02, 0x77, 0x02, 0, 0, byte(number)}
	n.link, n.port, err = l.Cable(machine, fmt.Sprintf("eth%d", number), mac, n.host, "port")
	must(t, err)
	must(t, n.port.FullChecksums())
	must(t, n.port.Up())
	must(t, n.port.AddAddr(n.addr(1).String()+"/24"))
	for _, last := range p.servers {
		must(t, n.port.AddAddr(n.addr(last).String()+"/32"))
	}
	var r *router.Router
	must(t, n.host.Do(func() error {
		r, err = router.Start(router.Config{
			Interface: "port", Address: netip.PrefixFrom(n.addr(1), 24), First: n.addr(100), Count: 10, Lease: time.Hour,
			Domain: p.domain, DHCPOnly: true,
			Answer: func(_, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
				if reply != nil {
					var servers []net.IP
					for _, last := range p.servers {
						servers = append(servers, n.addr(last).AsSlice())
					}
					reply.UpdateOption(dhcpv4.OptDNS(servers...))
				}
				return reply
			},
		})
		return err
	}))
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// addr is an address of the network.
func (n *network) addr(last int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(80 + n.number), 0, byte(last)})
}

// start runs the daemon and waits until every network is connected.
func (w *world) start(args ...string) {
	w.t.Helper()
	w.launch(args...)
	w.untilConnected(len(w.nets))
}

// launch runs the daemon, which does not look for the Internet: there is none.
func (w *world) launch(args ...string) {
	w.t.Helper()
	if _, err := os.Stat(w.machine.Path("/etc/connman/main.conf")); err != nil {
		w.configure("")
	}
	var err error
	w.daemon, err = lab.Ours().Run(w.machine, w.bus, args...)
	must(w.t, err)
}

// configure writes main.conf with more keys than the tests need.
func (w *world) configure(more string) {
	w.t.Helper()
	must(w.t, w.machine.WriteFile("/etc/connman/main.conf", "[General]\nOnlineCheckMode=none\n"+more))
}

// end ends the daemon as a user does.
func (w *world) end() {
	w.t.Helper()
	must(w.t, w.daemon.Stop(patience))
}

// untilConnected waits until so many services are connected.
func (w *world) untilConnected(want int) {
	w.t.Helper()
	w.until(func() error {
		n := 0
		for i := range w.nets {
			if p, err := w.service(i); err == nil && slices.Contains([]any{"ready", "online"}, p["State"].Value()) {
				n++
			}
		}
		if n != want {
			return fmt.Errorf("%d services are connected, want %d", n, want)
		}
		return nil
	})
}

func (w *world) until(check func() error) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, check))
}

// call calls the daemon.
func (w *world) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.conn.Object("net.connman", path).CallWithContext(ctx, "net.connman."+method, 0, args...)
}

// path is that of the service of network i.
func (w *world) path(i int) dbus.ObjectPath {
	mac := strings.ReplaceAll(w.nets[i].link.Link.Attrs().HardwareAddr.String(), ":", "")
	return dbus.ObjectPath("/net/connman/service/ethernet_" + mac + "_cable")
}

// service are the properties of the service of network i.
func (w *world) service(i int) (map[string]dbus.Variant, error) {
	var p map[string]dbus.Variant
	err := w.call(w.path(i), "Service.GetProperties").Store(&p)
	return p, err
}

// set sets a property of the service of network i.
func (w *world) set(i int, name string, value any) {
	w.t.Helper()
	must(w.t, w.call(w.path(i), "Service.SetProperty", name, dbus.MakeVariant(value)).Err)
}

// resolv is what programs of the machine read in resolv.conf, without comments.
func (w *world) resolv() string {
	w.t.Helper()
	out, err := w.machine.Output(exec.Command("cat", "/etc/resolv.conf"))
	must(w.t, err)
	var lines []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}

func (w *world) untilResolv(lines ...string) {
	w.t.Helper()
	w.until(func() error {
		if got, want := w.resolv(), strings.Join(lines, "\n"); got != want {
			return fmt.Errorf("resolv.conf is %q, want %q", got, want)
		}
		return nil
	})
}

// The proxy, as resolv.conf names it.
const (
	proxy4 = "nameserver 127.0.0.1"
	proxy6 = "nameserver ::1"
)

// run runs a program on the machine and returns what it prints.
func (w *world) run(name string, args ...string) (string, error) {
	out, err := w.machine.Output(exec.Command(name, args...))
	return strings.TrimSpace(string(out)), err
}

// dig asks what programs of the machine would ask, and returns the answers in
// short.
func (w *world) dig(args ...string) (string, error) {
	out, err := w.run("dig", append([]string{"+short", "+time=5", "+tries=1"}, args...)...)
	if strings.HasPrefix(out, ";;") {
		return "", errors.New(out)
	}
	return out, err
}

// untilDig asks until the answer is right.
func (w *world) untilDig(want string, args ...string) {
	w.t.Helper()
	w.until(func() error {
		got, err := w.dig(args...)
		if err == nil && got != want {
			err = fmt.Errorf("dig %v says %q, want %q", args, got, want)
		}
		return err
	})
}

// logged counts the lines of the daemon's log that have all the parts.
func (w *world) logged(parts ...string) (n int) {
	w.t.Helper()
	data, err := os.ReadFile(w.daemon.Log)
	must(w.t, err)
	for line := range strings.Lines(string(data)) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			n++
		}
	}
	return n
}
