//go:build vm

package wireguard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/integration/lab"
)

// rounds is how often each daemon connects.
const rounds = 41

// runner is a daemon with one VPN, on a host of its own.
type runner struct {
	lab.Manager
	host *lab.Host
	conn *dbus.Conn
	path dbus.ObjectPath
	news chan *dbus.Signal
}

// BenchmarkConnecting measures our daemon beside the original, by turns: how long
// it takes from Connect to ready. It prints medians and the least. Times of an
// emulated machine say nothing, ratios do.
func BenchmarkConnecting(b *testing.B) {
	l := lab.ForTest(b)
	runners := []*runner{newRunner(b, l, "ours", lab.VPN()), newRunner(b, l, "original", lab.ReferenceVPN())}
	times := make([][]time.Duration, len(runners))
	for range rounds {
		for i, r := range runners {
			times[i] = append(times[i], r.connect(b))
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "\nWireGuard, Connect to ready\t%s\t%s\tratio\n", runners[0].Name, runners[1].Name)
	for _, row := range []struct {
		name string
		at   int
	}{{fmt.Sprintf("median of %d", rounds), rounds / 2}, {"least", 0}} {
		ours, theirs := times[0][row.at].Seconds(), times[1][row.at].Seconds()
		fmt.Fprintf(out, "%s\t%.1f ms\t%.1f ms\t%.2f\n", row.name, 1000*ours, 1000*theirs, ours/theirs)
	}
	out.Flush()
	b.ReportMetric(0, "ns/op") // which leaves it out
}

func newRunner(t testing.TB, l *lab.Lab, name string, m lab.Manager) *runner {
	t.Helper()
	r := &runner{Manager: m, news: make(chan *dbus.Signal, 256)}
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
	_, err = m.Run(r.host, bus)
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

func (r *runner) create(t testing.TB) {
	t.Helper()
	own, err := wgtypes.GeneratePrivateKey()
	must(t, err)
	far, err := wgtypes.GeneratePrivateKey()
	must(t, err)
	settings := map[string]dbus.Variant{}
	for key, value := range map[string]string{
		"Type": "wireguard", "Name": "bench", "Host": "192.0.2.1", "Domain": "corp.test",
		"WireGuard.Address": "10.9.0.2/24", "WireGuard.PrivateKey": own.String(),
		"WireGuard.PublicKey": far.PublicKey().String(), "WireGuard.AllowedIPs": "10.9.0.0/24",
	} {
		settings[key] = dbus.MakeVariant(value)
	}
	must(t, r.conn.Object(vpnName, "/").Call("net.connman.vpn.Manager.Create", 0, settings).Store(&r.path))
}

// connect connects once and disconnects. A daemon that is not done with the last
// tunnel refuses, and is asked again.
func (r *runner) connect(t testing.TB) (took time.Duration) {
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
			return errors.New("the link is still there")
		}
		return nil
	}))
	return took
}

// await waits for the connection to be in a state.
func (r *runner) await(t testing.TB, state string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s := <-r.news:
			if len(s.Body) == 2 && s.Body[0] == "State" && s.Body[1].(dbus.Variant).Value() == state {
				return
			}
		case <-deadline:
			t.Fatalf("the connection of %s does not become %s", r.Name, state)
		}
	}
}
