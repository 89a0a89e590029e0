//go:build netns

package ipv6

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"net.connman/integration/lab"
)

// slaacOnly is a router that has no DHCPv6, with a name server.
const slaacOnly = `enable-ra
dhcp-range=2001:db8:1::,ra-only,64,2h
ra-param=home,high,60,1800
dhcp-option=option6:dns-server,[2001:db8:1::1]
dhcp-option=option6:domain-search,home.test
address=/ipv6.connman.net/2001:db8:1::1
`

// The whole way: advertisement, address, route, name server, online check, with
// no IPv4 on the network.
func TestRouterToOnline(t *testing.T) {
	w := newWorld(t)
	w.web()
	w.dnsmasq(slaacOnly)
	w.start()
	w.waitState("online")

	d := w.ipv6()
	for key, want := range map[string]any{
		"Method": "auto", "Address": slaac, "PrefixLength": byte(64),
		"Gateway": w.linkLocal(w.bridge).String(), "Privacy": "disabled",
	} {
		if d[key].Value() != want {
			t.Errorf("IPv6 %s is %v, want %v", key, d[key], want)
		}
	}
	p, err := w.properties()
	must(t, err)
	if got, _ := p["Nameservers"].Value().([]string); !slices.Equal(got, []string{router1}) {
		t.Errorf("name servers %v", got)
	}
	if got, _ := p["Domains"].Value().([]string); !slices.Equal(got, []string{"home.test"}) {
		t.Errorf("domains %v", got)
	}
	w.waitGateways(w.linkLocal(w.bridge))
	for _, key := range []string{"accept_ra", "autoconf"} {
		if got := w.sysctl(key); got != "0" {
			t.Errorf("%s is %s while we look after the link", key, got)
		}
	}

	must(t, w.daemon.Stop(patience))
	w.waitNoAddress()
	for _, key := range []string{"accept_ra", "autoconf"} {
		if got := w.sysctl(key); got != "1" {
			t.Errorf("%s is %s after we left", key, got)
		}
	}
}

func TestPulledCableTakesAddressAndRoute(t *testing.T) {
	w := newWorld(t)
	w.dnsmasq(slaacOnly)
	w.start()
	w.waitAddress(slaac)
	w.waitState("ready")
	must(t, w.port.Down())
	w.waitNoAddress()
	must(t, w.port.Up())
	w.waitAddress(slaac)
	w.waitState("ready")
}

func TestIPv6OffAndManual(t *testing.T) {
	w := newWorld(t)
	w.dnsmasq(slaacOnly)
	w.start()
	w.waitState("ready")
	w.set(map[string]any{
		"Method": "manual", "Address": "2001:db8:1::99", "PrefixLength": byte(64), "Gateway": router1, "Privacy": "disabled",
	})
	w.waitAddress("2001:db8:1::99")
	w.waitState("ready")
	must(t, lab.Eventually(patience, func() error {
		list := w.addresses()
		if len(list) != 1 {
			return fmt.Errorf("addresses %v", list)
		}
		return nil
	}))
	if got := w.ipv6()["Gateway"].Value(); got != router1 {
		t.Errorf("gateway %v", got)
	}
	w.set(map[string]any{"Method": "off"})
	w.waitNoAddress()
	must(t, lab.Eventually(patience, func() error {
		if got := w.sysctl("disable_ipv6"); got != "1" {
			return fmt.Errorf("disable_ipv6 is %s", got)
		}
		return nil
	}))
	w.set(map[string]any{"Method": "auto", "Privacy": "prefered"})
	w.waitAddress(slaac)
	must(t, lab.Eventually(patience, func() error {
		out := w.ip("-6", "addr", "show", "dev", "eth0", "scope", "global", "temporary")
		if !strings.Contains(out, "2001:db8:1:") {
			return fmt.Errorf("no temporary address: %s", out)
		}
		return nil
	}))
	if got := w.sysctl("use_tempaddr"); got != "2" {
		t.Errorf("use_tempaddr is %s", got)
	}
}
