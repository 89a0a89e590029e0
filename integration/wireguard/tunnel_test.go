//go:build vm

package wireguard

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/integration/lab"
)

// machineAddresses are the machine's in the tunnel.
const machineAddresses = "10.9.0.2/32 2001:db8:9::2/128"

// A split tunnel takes its networks and nothing else, over both families, with a
// preshared key and a second peer; of its end nothing is left.
func TestSplit(t *testing.T) {
	w := newWorld(t)
	preshared, err := wgtypes.GenerateKey()
	must(t, err)
	office := w.peer("office", 51820, &preshared, machineAddresses, "10.9.0.1/24", "2001:db8:9::1/64")
	elsewhereHost, err := w.lab.Host("branch")
	must(t, err)
	branch := w.peerOn(elsewhereHost, "branch", 1000, nil, "10.9.0.2/32", "10.8.0.1/24")
	must(t, route(elsewhereHost, "branch", "10.9.0.2/32"))
	c := w.create(w.settings(office, map[string]string{
		"WireGuard.PresharedKey": preshared.String(), "WireGuard.Peer2.PublicKey": branch.own.PublicKey().String(),
		"WireGuard.Peer2.AllowedIPs": "10.8.0.0/24", "WireGuard.Peer2.Endpoint": elsewhere + ":1000",
	}))
	c.connect()
	for _, address := range []string{"10.9.0.1", "2001:db8:9::1", "10.50.0.1", "10.8.0.1"} {
		w.reach(address)
	}
	if text := w.ip("-4 route show default"); !strings.Contains(text, "eth0") || strings.Contains(text, "wg0") {
		t.Errorf("the default route is\n%s", text)
	}
	c.disconnect()
	w.untilState(ethernet, "online")
	c.connect()
	w.reach("10.9.0.1")
	c.disconnect()
}

// route has a host reach a network through a link.
func route(h *lab.Host, name, network string) error {
	link, err := h.Netlink.LinkByName(name)
	if err != nil {
		return err
	}
	dst, err := netlink.ParseIPNet(network)
	if err != nil {
		return err
	}
	return h.Netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK})
}

// Without the right keys nothing passes, whatever the service's state is, and the
// machine is as connected as before.
func TestWrongKeys(t *testing.T) {
	w := newWorld(t)
	preshared, err := wgtypes.GenerateKey()
	must(t, err)
	office := w.peer("office", 51820, &preshared, machineAddresses, "10.9.0.1/24")
	c := w.create(w.settings(office, nil))
	c.connect()
	for range 3 {
		if w.ping("10.9.0.1") == nil {
			t.Fatal("the tunnel works without the preshared key")
		}
	}
	c.disconnect()
}

// A peer that is away for a while is back without anybody's doing.
func TestPeerAway(t *testing.T) {
	w := newWorld(t)
	office := w.peer("office", 51820, nil, machineAddresses, "10.9.0.1/24")
	c := w.create(w.settings(office, nil))
	c.connect()
	w.reach("10.9.0.1")
	office.leave()
	if w.ping("10.9.0.1") == nil {
		t.Error("somebody else answers")
	}
	office.comeBack()
	w.reach("10.9.0.1")
	if state, err := w.state(c.id); err != nil || state != "ready" {
		t.Errorf("the service is %s, %v", state, err)
	}
	c.disconnect()
}

// A peer whose name has another address now is found there.
func TestPeerMoves(t *testing.T) {
	w := newWorld(t)
	w.name(serverName, server)
	office := w.peer("office", 51820, nil, machineAddresses, "10.9.0.1/24")
	c := w.create(w.settings(office, map[string]string{"Host": serverName}))
	c.connect()
	w.reach("10.9.0.1")
	// Whoever has the address now knows nothing of it: our peer forgets where we
	// are, and listens elsewhere with a key of its own.
	w.name(serverName, elsewhere)
	lo, err := w.Gateway.Netlink.LinkByName("lo")
	must(t, err)
	address, err := netlink.ParseAddr(server + "/32")
	must(t, err)
	must(t, w.Gateway.Netlink.AddrDel(lo, address))
	office.leave()
	office.comeBack()
	w.reach("10.9.0.1")
	if text := w.ip("-4 route get " + elsewhere); !strings.Contains(text, "eth0") {
		t.Errorf("the way to the peer is\n%s", text)
	}
	c.disconnect()
}

// A link that somebody removes is noticed, and made again as nobody wanted the
// connection to end.
func TestLinkRemoved(t *testing.T) {
	w := newWorld(t)
	office := w.peer("office", 51820, nil, machineAddresses, "10.9.0.1/24")
	c := w.create(w.settings(office, nil))
	c.connect()
	w.reach("10.9.0.1")
	link, err := w.Machine.Netlink.LinkByName("wg0")
	must(t, err)
	must(t, w.Machine.Netlink.LinkDel(link))
	must(t, lab.Eventually(patience, func() error {
		made, err := w.Machine.Netlink.LinkByName("wg0")
		if err == nil && made.Attrs().Index == link.Attrs().Index {
			err = errors.New("the link is still there")
		}
		return err
	}))
	c.connected()
	w.reach("10.9.0.1")
	c.disconnect()
	w.untilState(ethernet, "online")
}

// The VPN daemon may be killed: the next one takes away what is left of its
// tunnels before it makes new ones, which it does at once as nobody wanted the
// connection to end. Told to end, it leaves nothing itself.
func TestDaemonKilled(t *testing.T) {
	w := newWorld(t)
	office := w.peer("office", 51820, nil, machineAddresses, "10.9.0.1/24")
	c := w.create(w.settings(office, nil))
	c.connect()
	w.reach("10.9.0.1")
	left, err := w.Machine.Netlink.LinkByName("wg0")
	must(t, err)
	w.vpnd.Kill()
	w.startVPN()
	must(t, lab.Eventually(patience, func() error {
		if _, err := w.Machine.Netlink.LinkByIndex(left.Attrs().Index); err == nil {
			return fmt.Errorf("the link of the daemon that was killed is left")
		}
		return nil
	}))
	w.reach("10.9.0.1")
	must(t, w.vpnd.Stop(patience))
	w.noTunnel()
	w.untilState(ethernet, "online")
}

// A file of wg-quick's, given to connmanctl, makes a tunnel.
func TestImport(t *testing.T) {
	w := newWorld(t)
	office := w.peer("office", 51820, nil, machineAddresses, "10.9.0.1/24", "2001:db8:9::1/64")
	file := filepath.Join(t.TempDir(), "office.conf")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `[Interface]
PrivateKey = %s
Address = 10.9.0.2/24, 2001:db8:9::2/64
PostUp = touch /tmp/ran

[Peer]
PublicKey = %s
AllowedIPs = 10.9.0.0/24, 2001:db8:9::/64
Endpoint = %s:%d
`, w.own, office.own.PublicKey(), server, office.port), 0o600))
	cmd := exec.Command(filepath.Join(os.Getenv("CONNMAN_BIN"), "connmanctl"), "vpn", "import", file)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.Bus.Address)
	out, err := w.Machine.Output(cmd)
	if err != nil || string(out) != "Imported office as 203_0_113_5\n" {
		t.Fatalf("connmanctl says %q, %v", out, err)
	}
	c := &tunnel{w: w, id: "vpn_203_0_113_5"}
	w.untilState(c.id, "idle")
	c.connect()
	w.reach("10.9.0.1")
	w.reach("2001:db8:9::1")
	c.disconnect()
}
