//go:build netns

package ipv6

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

// advertise is a radvd configuration with one prefix.
func advertise(preference, prefix, more string) string {
	return fmt.Sprintf(`interface home {
	AdvSendAdvert on;
	MinRtrAdvInterval 3;
	MaxRtrAdvInterval 4;
	AdvDefaultPreference %s;
	%s
	prefix %s { AdvOnLink on; AdvAutonomous on; };
};
`, preference, more, prefix)
}

func forward(t *testing.T, host *lab.Host) {
	t.Helper()
	_, err := host.Output(exec.Command("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"))
	must(t, err)
}

// Two routers: the preferred one is used; when it says that it goes, or just
// dies, traffic takes the other. (RFC 4861, 6.3.6; RFC 4191, 3.2)
func TestPreferredRouterDies(t *testing.T) {
	w := newWorld(t)
	second := w.join("second", net.HardwareAddr{2, 0, 0, 0, 0, 2})
	for _, h := range []*lab.Host{w.gateway, second.Host} {
		forward(t, h)
	}
	w.addAddr(second, "2001:db8:1::2/64")
	first := w.linkLocal(w.bridge)
	other := w.linkLocal(second)
	w.radvd(second.Host, advertise("low", network, ""))
	w.start()
	w.waitGateways(other)
	high := w.radvd(w.gateway, advertise("high", network, ""))
	w.waitGateways(first, other)

	high.Signal(syscall.SIGTERM) // it says good-bye: lifetime 0
	w.waitGateways(other)
	w.waitState("ready")

	high = w.radvd(w.gateway, advertise("high", network, ""))
	w.waitGateways(first, other)
	// It dies without a word. Something beyond both answers through the other.
	for _, end := range []lab.End{w.bridge, second} {
		_, err := end.Host.Output(exec.Command("ip", "-6", "addr", "add", "2001:db8:ff::1/128", "dev", "lo", "nodad"))
		must(t, err)
	}
	high.Kill()
	_, err := w.gateway.Output(exec.Command("ip", "-6", "addr", "flush", "dev", "home"))
	must(t, err)
	must(t, lab.Eventually(patience, func() error {
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
}

// Renumbering: the old prefix is deprecated, the new one used. (RFC 4862,
// 5.5.4; RFC 4861, 6.3.4)
func TestRenumbering(t *testing.T) {
	w := newWorld(t)
	forward(t, w.gateway)
	old := w.radvd(w.gateway, advertise("medium", network, ""))
	w.start()
	w.waitAddress(slaac)
	w.waitState("ready")
	must(t, old.Stop(patience))
	w.radvd(w.gateway, advertise("medium", "2001:db8:2::/64",
		"prefix "+network+" { AdvOnLink on; AdvAutonomous on; AdvPreferredLifetime 0; AdvValidLifetime 60; };"))
	const renumbered = "2001:db8:2:0:77:6ff:fe00:0"
	w.waitAddress(renumbered)
	must(t, lab.Eventually(patience, func() error {
		for _, a := range w.addresses() {
			if a.IP.Equal(net.ParseIP(slaac)) && a.Flags&unix.IFA_F_DEPRECATED == 0 {
				return fmt.Errorf("%v is not deprecated", a)
			}
		}
		if got := w.ipv6()["Address"].Value(); got != renumbered {
			return fmt.Errorf("the bus shows %v", got)
		}
		return nil
	}))
	w.waitState("ready")
}

// The machine's own MTU, hop limit and a more specific route follow the router.
func TestRouterParameters(t *testing.T) {
	w := newWorld(t)
	forward(t, w.gateway)
	w.radvd(w.gateway, advertise("medium", network,
		"AdvLinkMTU 1400; AdvCurHopLimit 33; route 2001:db8:aa::/48 { AdvRoutePreference high; };"))
	w.start()
	w.waitState("ready")
	must(t, lab.Eventually(patience, func() error {
		if mtu, hops := w.sysctl("mtu"), w.sysctl("hop_limit"); mtu != "1400" || hops != "33" {
			return fmt.Errorf("MTU %s, hop limit %s", mtu, hops)
		}
		if out := w.ip("-6", "route", "show", "2001:db8:aa::/48"); !strings.Contains(out, "via "+w.linkLocal(w.bridge).String()) {
			return fmt.Errorf("no specific route: %q", out)
		}
		return nil
	}))
}

// A machine that has the same address keeps it; the service goes without. (RFC
// 4862, 5.4)
func TestDuplicateAddress(t *testing.T) {
	w := newWorld(t)
	w.addAddr(w.bridge, slaac+"/64")
	w.dnsmasq(slaacOnly)
	w.start()
	w.waitConflict(slaac)
	if d := w.ipv6(); len(d) != 0 {
		t.Errorf("shown: %v", d)
	}
	p, err := w.properties()
	must(t, err)
	conflict, _ := p["LastAddressConflict"].Value().(map[string]dbus.Variant)
	for key, want := range map[string]string{
		"IPv6": `{"Address": <"` + slaac + `">}`, "IPv4": `{"Address": <"0.0.0.0">}`, "Resolved": "false",
	} {
		if got := conflict[key].String(); got != want {
			t.Errorf("LastAddressConflict: %s is %s, want %s", key, got, want)
		}
	}
}

// A new daemon finds the address and connections of the one before in place.
func TestRestartKeepsAddress(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"SLAAC":  slaacOnly,
		"DHCPv6": "enable-ra\ndhcp-range=2001:db8:1::100,2001:db8:1::1ff,64,1h\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dnsmasq(config)
			w.start()
			w.waitState("ready")
			address, _ := w.ipv6()["Address"].Value().(string)
			monitor, err := w.machine.Start(exec.Command("ip", "-6", "monitor", "address", "route"))
			must(t, err)
			w.daemon.Signal(syscall.SIGUSR1)
			must(t, w.daemon.Wait(patience))
			w.start()
			w.waitState("ready")
			if got := w.ipv6()["Address"].Value(); got != address {
				t.Errorf("address %v, was %s", got, address)
			}
			monitor.Kill()
			if out := w.read(monitor.Log); strings.Contains(out, "Deleted") {
				t.Errorf("lost on the way: %s", out)
			}
			if len(w.gateways()) == 0 {
				t.Error("no default route")
			}
		})
	}
}

// Stateful and stateless, as the flags of the advertisement say.
func TestDHCPv6(t *testing.T) {
	t.Parallel()
	t.Run("stateful", func(t *testing.T) {
		w := newWorld(t)
		w.web()
		w.dnsmasq("enable-ra\ndhcp-range=2001:db8:1::100,2001:db8:1::1ff,64,1h\naddress=/ipv6.connman.net/2001:db8:1::1\n")
		w.start()
		w.waitState("online")
		address, _ := netip.ParseAddr(w.ipv6()["Address"].Value().(string))
		if !netip.MustParsePrefix("2001:db8:1::100/119").Contains(address) {
			t.Errorf("address %v is not of the server's range", address)
		}
	})
	t.Run("stateless", func(t *testing.T) {
		w := newWorld(t)
		w.dnsmasq("enable-ra\ndhcp-range=2001:db8:1::,ra-stateless,64,1h\ndhcp-option=option6:ntp-server,[2001:db8:1::1]\n")
		w.start()
		w.waitAddress(slaac)
		must(t, lab.Eventually(patience, func() error {
			p, err := w.properties()
			if err != nil {
				return err
			}
			if got, _ := p["Timeservers"].Value().([]string); len(got) == 0 || got[0] != router1 {
				return fmt.Errorf("time servers %v", got)
			}
			return nil
		}))
	})
}
