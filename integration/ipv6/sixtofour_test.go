//go:build netns

package ipv6

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"

	"net.connman/integration/lab"
	"net.connman/integration/vm"
)

// inGuest is set where a test runs in a virtual machine.
const inGuest = "CONNMAN_TEST_GUEST"

// guestPatience is how long anything may take in one, which is emulated.
const guestPatience = 2 * time.Minute

// runInGuest runs the test in a virtual machine with modules that the machine's
// own kernel may lack.
func runInGuest(t *testing.T, modules ...string) {
	t.Helper()
	program, err := os.Executable()
	must(t, err)
	g := vm.Guest{
		Peers: os.Getenv("CONNMAN_REFERENCE"), Modules: modules,
		Command: []string{program, "-test.run=^" + t.Name() + "$", "-test.v"}, Dir: filepath.Dir(program),
		Env: []string{inGuest + "=1"},
	}
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "CONNMAN_") {
			g.Env = append(g.Env, variable)
		}
	}
	var output bytes.Buffer
	g.Output = &output
	ctx, cancel := context.WithTimeout(t.Context(), 4*guestPatience)
	defer cancel()
	err = vm.Run(ctx, g)
	if err != nil || !strings.Contains(output.String(), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, &output)
	}
}

// shows objects unless the service's IPv6 has a method and an address.
func (w *world) shows(method, address string) error {
	p, err := w.properties()
	d, _ := p["IPv6"].Value().(map[string]dbus.Variant)
	if err == nil && (d["Method"].Value() != method || d["Address"].Value() != address) {
		err = fmt.Errorf("IPv6 is %v", d)
	}
	return err
}

// relay makes the first router the relay of all 6to4 traffic, and gives
// it an address in the IPv6 Internet.
func (w *world) relay() {
	w.t.Helper()
	for _, args := range []string{
		"addr add 198.51.100.1/24 dev home",
		"addr add 192.88.99.1/32 dev lo",
		"tunnel add relay mode sit local 192.88.99.1 remote any ttl 64",
		"link set relay up",
		"addr add 2002:c058:6301::1/16 dev relay",
		"addr add 2001:db8:ff::1/128 dev lo",
	} {
		_, err := w.gateway.Output(exec.Command("ip", strings.Fields(args)...))
		must(w.t, err)
	}
	forward(w.t, w.gateway)
}

// A service with a public IPv4 address and without IPv6 routers reaches the IPv6
// Internet through a tunnel, until a router speaks up. (RFC 3056, 5)
func TestSixToFour(t *testing.T) {
	if os.Getenv(inGuest) == "" {
		t.Parallel()
		runInGuest(t, "sit", "veth", "bridge")
		return
	}
	const address = "2002:c633:644d::1"
	w := newWorld(t)
	w.relay()
	w.dnsmasq("dhcp-range=198.51.100.77,198.51.100.77,255.255.255.0,1h\n")
	must(t, w.machine.WriteFile("/etc/connman/main.conf", "[General]\nEnable6to4 = true\n"))
	w.start()
	must(t, lab.Eventually(guestPatience, func() error { return w.shows("6to4", address) }))
	must(t, lab.Eventually(guestPatience, func() error {
		return w.machine.Do(func() error {
			conn, err := net.DialTimeout("tcp6", "[2001:db8:ff::1]:9", time.Second)
			if errors.Is(err, syscall.ECONNREFUSED) {
				return nil // it is there: nobody serves that port
			}
			if err == nil {
				conn.Close()
			}
			return err
		})
	}))
	w.send(advertisement(w.linkLocal(w.bridge), alive, strange(1)))
	made := strange(1).Addr().As16()
	copy(made[8:], net.ParseIP(slaac)[8:])
	must(t, lab.Eventually(guestPatience, func() error { return w.shows("auto", net.IP(made[:]).String()) }))
	w.waitNoTunnel()

	must(t, w.daemon.Stop(guestPatience))
	w.start()
	must(t, lab.Eventually(guestPatience, func() error { return w.shows("6to4", address) }))
	must(t, w.daemon.Stop(guestPatience))
	w.waitNoTunnel()
}

// waitNoTunnel waits until the machine's tunnel has gone.
func (w *world) waitNoTunnel() {
	w.t.Helper()
	must(w.t, lab.Eventually(guestPatience, func() error {
		_, err := w.machine.Netlink.LinkByName("tun6to4")
		if _, gone := errors.AsType[netlink.LinkNotFoundError](err); gone {
			return nil
		}
		return fmt.Errorf("still there (%v)", err)
	}))
}

// A kernel without tunnels says so in the log, and nothing else changes.
func TestSixToFourWithoutModule(t *testing.T) {
	w := newWorld(t)
	if err := w.machine.Netlink.LinkAdd(&netlink.Sittun{LinkAttrs: netlink.LinkAttrs{Name: "try"}, Local: net.IPv4(198, 51, 100, 1)}); err == nil {
		t.Skip("this kernel has tunnels: see TestSixToFour")
	}
	_, err := w.gateway.Output(exec.Command("ip", "addr", "add", "198.51.100.1/24", "dev", "home"))
	must(t, err)
	w.dnsmasq("dhcp-range=198.51.100.77,198.51.100.77,255.255.255.0,1h\n")
	must(t, w.machine.WriteFile("/etc/connman/main.conf", "[General]\nEnable6to4 = true\n"))
	w.start()
	must(t, lab.Eventually(2*patience, func() error {
		if !strings.Contains(w.log(), "no 6to4 tunnel") {
			return errors.New("not tried yet")
		}
		return nil
	}))
	w.waitState("ready")
	if d := w.ipv6(); len(d) != 0 {
		t.Errorf("shown: %v", d)
	}
}
