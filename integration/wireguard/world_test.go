//go:build vm

package wireguard

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/integration/home"
	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// patience is how long anything may take before it counts as failed. The machine
// is emulated.
const patience = 2 * time.Minute

const (
	vpnName  = "net.connman.vpn"
	ethernet = "ethernet_027702000000_cable"
	// server and elsewhere are the router's addresses in the Internet.
	server, elsewhere = "203.0.113.5", "203.0.113.6"
	serverName        = "vpn.example.test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a machine at home, with both daemons.
type world struct {
	*home.Home
	t       testing.TB
	lab     *lab.Lab
	conn    *dbus.Conn
	connman *lab.Process
	vpnd    *lab.Process
	own     wgtypes.Key // the machine's private key

	mu    sync.Mutex // guards names
	names map[string][]netip.Addr
}

// newWorld builds it; the machine is connected when it returns.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, names: map[string][]netip.Addr{}}
	var err error
	w.own, err = wgtypes.GeneratePrivateKey()
	must(t, err)
	w.lab = lab.ForTest(t)
	w.Home, err = home.New(w.lab, 1, func(c *router.Config) { c.Names = w.lookUp })
	must(t, err)
	t.Cleanup(func() {
		if err := w.Home.Close(); err != nil {
			t.Error(err)
		}
	})
	w.conn, err = w.Bus.Connect()
	must(t, err)
	t.Cleanup(func() { w.conn.Close() })
	lo, err := w.Gateway.Netlink.LinkByName("lo")
	must(t, err)
	for _, address := range []string{server + "/32", elsewhere + "/32", "10.50.0.1/32", "2001:db8:50::1/128"} {
		must(t, lab.End{Host: w.Gateway, Link: lo}.AddAddr(address))
	}
	w.startVPN()
	w.connman, err = lab.Ours().Run(w.Machine, w.Bus, "-d")
	must(t, err)
	must(t, w.Plug())
	w.untilState(ethernet, "online")
	return w
}

// startVPN runs connman-vpnd.
func (w *world) startVPN() {
	w.t.Helper()
	cmd := exec.Command(filepath.Join(os.Getenv("CONNMAN_BIN"), "connman-vpnd"), "-n", "-d")
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.Bus.Address)
	var err error
	w.vpnd, err = w.Machine.Start(cmd)
	must(w.t, err)
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	must(w.t, w.Bus.WaitName(ctx, vpnName, true))
}

// lookUp is the home's name service.
func (w *world) lookUp(name string) []netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.names[name]
}

// name gives a name addresses.
func (w *world) name(name string, addresses ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = nil
	for _, address := range addresses {
		w.names[name] = append(w.names[name], netip.MustParseAddr(address))
	}
}

// peer is a far end of tunnels.
type peer struct {
	w    *world
	host *lab.Host // where packets leave the tunnel
	link string
	own  wgtypes.Key
	port int
	// machine is the machine as the far end knows it.
	machine wgtypes.PeerConfig
}

// peer makes a far end at the router's, that takes the machine at its addresses;
// addresses are the far end's own in the tunnel.
func (w *world) peer(link string, port int, preshared *wgtypes.Key, machine string, addresses ...string) *peer {
	return w.peerOn(w.Gateway, link, port, preshared, machine, addresses...)
}

// peerOn makes a far end whose packets leave the tunnel on a host of their own:
// WireGuard's own packets come and go where the link was made, at the router.
func (w *world) peerOn(host *lab.Host, link string, port int, preshared *wgtypes.Key, machine string, addresses ...string) *peer {
	w.t.Helper()
	p := &peer{w: w, host: host, link: link, port: port}
	var err error
	p.own, err = wgtypes.GeneratePrivateKey()
	must(w.t, err)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = link
	must(w.t, w.Gateway.Netlink.LinkAdd(&netlink.Wireguard{LinkAttrs: attrs}))
	if host != w.Gateway {
		l, err := w.Gateway.Netlink.LinkByName(link)
		must(w.t, err)
		var thread int // a network namespace goes by the number of a thread in it
		must(w.t, host.Do(func() error { thread = unix.Gettid(); return nil }))
		must(w.t, w.Gateway.Netlink.LinkSetNsPid(l, thread))
	}
	p.machine = wgtypes.PeerConfig{PublicKey: w.own.PublicKey(), PresharedKey: preshared, AllowedIPs: networks(w.t, machine)}
	p.configure(wgtypes.Config{PrivateKey: &p.own, ListenPort: &port, Peers: []wgtypes.PeerConfig{p.machine}})
	l, err := host.Netlink.LinkByName(link)
	must(w.t, err)
	end := lab.End{Host: host, Link: l}
	for _, address := range addresses {
		must(w.t, end.AddAddr(address))
	}
	must(w.t, end.Up())
	return p
}

func networks(t testing.TB, list string) (all []net.IPNet) {
	t.Helper()
	for _, prefix := range strings.Fields(list) {
		_, network, err := net.ParseCIDR(prefix)
		must(t, err)
		all = append(all, *network)
	}
	return all
}

func (p *peer) configure(c wgtypes.Config) {
	p.w.t.Helper()
	must(p.w.t, p.host.Do(func() error {
		client, err := wgctrl.New()
		if err != nil {
			return err
		}
		defer client.Close()
		return client.ConfigureDevice(p.link, c)
	}))
}

// leave makes the far end forget the machine: it answers no more.
func (p *peer) leave() {
	p.w.t.Helper()
	p.configure(wgtypes.Config{Peers: []wgtypes.PeerConfig{{PublicKey: p.machine.PublicKey, Remove: true}}})
}

// comeBack makes it know the machine again, but not where that is.
func (p *peer) comeBack() {
	p.w.t.Helper()
	p.configure(wgtypes.Config{Peers: []wgtypes.PeerConfig{p.machine}})
}

// settings are those of a tunnel to a peer.
func (w *world) settings(p *peer, changes map[string]string) map[string]string {
	all := map[string]string{
		"Type": "WireGuard", "Name": "tunnel", "Host": server, "Domain": "corp.test",
		"WireGuard.Address": "10.9.0.2/24, 2001:db8:9::2/64", "WireGuard.PrivateKey": w.own.String(),
		"WireGuard.PublicKey": p.own.PublicKey().String(), "WireGuard.AllowedIPs": "10.9.0.0/24, 2001:db8:9::/64, 10.50.0.0/16",
		"WireGuard.EndpointPort": fmt.Sprint(p.port),
	}
	for key, value := range changes {
		all[key] = value
	}
	return all
}

// tunnel is a VPN of the machine's.
type tunnel struct {
	w    *world
	path dbus.ObjectPath
	id   string // of its service
}

// create has a VPN made and waits for its service.
func (w *world) create(settings map[string]string) *tunnel {
	w.t.Helper()
	properties := map[string]dbus.Variant{}
	for key, value := range settings {
		properties[key] = dbus.MakeVariant(value)
	}
	c := &tunnel{w: w}
	must(w.t, w.call(vpnName, "/", "net.connman.vpn.Manager.Create", properties).Store(&c.path))
	c.id = "vpn_" + filepath.Base(string(c.path))
	w.untilState(c.id, "idle")
	return c
}

// connect has the service connect and waits until it has.
func (c *tunnel) connect() {
	c.w.t.Helper()
	must(c.w.t, c.w.call("net.connman", servicePath(c.id), "net.connman.Service.Connect").Err)
	c.connected()
}

// connected waits until the service is connected.
func (c *tunnel) connected() {
	c.w.t.Helper()
	must(c.w.t, lab.Eventually(patience, func() error {
		state, err := c.w.state(c.id)
		if err == nil && state != "ready" && state != "online" {
			err = fmt.Errorf("%s is %s", c.id, state)
		}
		return err
	}))
}

func (c *tunnel) disconnect() {
	c.w.t.Helper()
	must(c.w.t, c.w.call("net.connman", servicePath(c.id), "net.connman.Service.Disconnect").Err)
	c.w.noTunnel()
}

func servicePath(id string) dbus.ObjectPath { return dbus.ObjectPath("/net/connman/service/" + id) }

func (w *world) call(daemon string, path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.conn.Object(daemon, path).CallWithContext(ctx, method, 0, args...)
}

func (w *world) state(id string) (string, error) {
	var p map[string]dbus.Variant
	err := w.call("net.connman", servicePath(id), "net.connman.Service.GetProperties").Store(&p)
	state, _ := p["State"].Value().(string)
	return state, err
}

// untilState waits until a service is in a state.
func (w *world) untilState(id, want string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		state, err := w.state(id)
		if err == nil && state != want {
			err = fmt.Errorf("%s is %s, want %s", id, state, want)
		}
		return err
	}))
}

// ip is what ip(8) says on the machine.
func (w *world) ip(args string) string {
	out, err := w.Machine.Output(exec.Command("ip", strings.Fields(args)...))
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// noTunnel waits until nothing of a tunnel is left on the machine.
func (w *world) noTunnel() {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		if text := w.ip("-o link"); strings.Contains(text, "wg0") {
			return fmt.Errorf("a link is left:\n%s", text)
		}
		for _, family := range []string{"-4", "-6"} {
			text := w.ip(family + " route show table all")
			for _, trace := range []string{"10.9.0.", "10.50.", server, "2001:db8:9:"} {
				if strings.Contains(text, trace) {
					return fmt.Errorf("a route is left:\n%s", text)
				}
			}
		}
		return nil
	}))
}

// reach waits until an address answers; it may take a handshake.
func (w *world) reach(address string) {
	w.t.Helper()
	if err := lab.Eventually(patience, func() error { return w.ping(address) }); err != nil {
		w.t.Fatalf("%s is out of reach: %v\n%s%s%s", address, err, w.ip("-4 route"), w.ip("-6 route"), w.ip("addr"))
	}
}

// ping sends one packet and waits some seconds for its answer.
func (w *world) ping(address string) error {
	_, err := w.Machine.Output(exec.Command("ping", "-n", "-c", "1", "-W", "3", address))
	return err
}
