//go:build vm

package wireguard

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/integration/lab"
)

// paceRuns is how often each daemon connects.
const paceRuns = 21

// runner is a daemon with one VPN, on a host of its own.
type runner struct {
	host *lab.Host
	conn *dbus.Conn
	path dbus.ObjectPath
	news chan *dbus.Signal
}

// slowest is how many times as long as the original our daemon may take, where
// every instruction is emulated.
const slowest = 3

// From Connect to ready our daemon is not much slower than the original, turn by
// turn on the same machine. The log says how they compare.
func TestPace(t *testing.T) {
	l := lab.ForTest(t)
	peers := os.Getenv("CONNMAN_REFERENCE")
	showPlugins(t, filepath.Join(peers, "connman-vpn"))
	runners := []*runner{
		newRunner(t, l, "ours", filepath.Join(os.Getenv("CONNMAN_BIN"), "connman-vpnd")),
		newRunner(t, l, "original", filepath.Join(peers, "connman-vpn/usr/sbin/connman-vpnd")),
	}
	times := make([][]time.Duration, len(runners))
	for range paceRuns {
		for i, r := range runners {
			times[i] = append(times[i], r.pace(t))
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	ours, original := times[0][paceRuns/2], times[1][paceRuns/2]
	ratio := float64(ours) / float64(original)
	t.Logf("WireGuard, Connect to ready: ours %v, the original %v, ratio %.2f", ours, original, ratio)
	if ratio > slowest {
		t.Errorf("much slower than the original: %v against %v", times[0], times[1])
	}
}

// showPlugins puts the original's plugins where it looks for them. The guest's
// file system forgets it.
func showPlugins(t *testing.T, peer string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(peer, "usr/lib/*/connman"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the original's VPN daemon is not below %s: %v, %v", peer, found, err)
	}
	place := strings.TrimPrefix(found[0], peer)
	if _, err := os.Lstat(place); err != nil {
		must(t, os.Symlink(found[0], place))
	}
}

func newRunner(t *testing.T, l *lab.Lab, name, program string) *runner {
	t.Helper()
	r := &runner{news: make(chan *dbus.Signal, 256)}
	var err error
	r.host, err = l.Host(name)
	must(t, err)
	must(t, r.host.Netlink.LinkAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}}))
	uplink, err := r.host.Netlink.LinkByName("uplink")
	must(t, err)
	end := lab.End{Host: r.host, Link: uplink}
	must(t, end.AddAddr("192.0.2.2/24"))
	must(t, end.Up())
	bus, err := r.host.StartBus()
	must(t, err)
	r.conn, err = bus.Connect()
	must(t, err)
	t.Cleanup(func() { r.conn.Close() })
	must(t, r.conn.AddMatchSignal(dbus.WithMatchInterface("net.connman.vpn.Connection")))
	r.conn.Signal(r.news)
	// The original connects only while there is a connmand that is online.
	must(t, r.conn.Export(manager{}, "/", "net.connman.Manager"))
	_, err = r.conn.RequestName("net.connman", dbus.NameFlagDoNotQueue)
	must(t, err)
	cmd := exec.Command(program, "-n")
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+bus.Address)
	_, err = r.host.Start(cmd)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, bus.WaitName(ctx, vpnName, true))
	r.create(t)
	return r
}

// manager is as much of connmand as there must be.
type manager struct{}

func (manager) GetProperties() (map[string]dbus.Variant, *dbus.Error) {
	return map[string]dbus.Variant{"State": dbus.MakeVariant("online")}, nil
}

func (r *runner) create(t *testing.T) {
	t.Helper()
	own, err := wgtypes.GeneratePrivateKey()
	must(t, err)
	far, err := wgtypes.GeneratePrivateKey()
	must(t, err)
	settings := map[string]dbus.Variant{}
	for key, value := range map[string]string{
		"Type": "wireguard", "Name": "pace", "Host": "192.0.2.1", "Domain": "corp.test",
		"WireGuard.Address": "10.9.0.2/24", "WireGuard.PrivateKey": own.String(),
		"WireGuard.PublicKey": far.PublicKey().String(), "WireGuard.AllowedIPs": "10.9.0.0/24",
	} {
		settings[key] = dbus.MakeVariant(value)
	}
	must(t, r.conn.Object(vpnName, "/").Call("net.connman.vpn.Manager.Create", 0, settings).Store(&r.path))
}

// pace connects once and disconnects. A daemon that is not done with the last
// tunnel refuses, and is asked again.
func (r *runner) pace(t *testing.T) (took time.Duration) {
	t.Helper()
	object := r.conn.Object(vpnName, r.path)
	must(t, lab.Eventually(patience, func() error {
		begun := time.Now()
		err := object.Call("net.connman.vpn.Connection.Connect", 0).Err
		if err == nil {
			r.await(t, "ready")
		}
		took = time.Since(begun)
		return err
	}))
	object.Go("net.connman.vpn.Connection.Disconnect", dbus.FlagNoReplyExpected, nil)
	must(t, lab.Eventually(patience, func() error {
		if _, err := r.host.Netlink.LinkByName("wg0"); err == nil {
			return fmt.Errorf("the link is still there")
		}
		return nil
	}))
	return took
}

// await waits for the connection to be in a state.
func (r *runner) await(t *testing.T, state string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s := <-r.news:
			if len(s.Body) == 2 && s.Body[0] == "State" && s.Body[1].(dbus.Variant).Value() == state {
				return
			}
		case <-deadline:
			t.Fatalf("%s: the connection does not become %s", r.host.Name, state)
		}
	}
}
