package vpncscript

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"net.connman/pkg/netcfg"
	"net.connman/vpnd/internal/core"
)

// full is what openconnect tells of a server that says all it can.
func full() map[string]string {
	return map[string]string{
		"VPNGATEWAY":                     "10.98.0.1",
		"INTERNAL_IP4_ADDRESS":           "192.168.99.50",
		"INTERNAL_IP4_NETMASK":           "255.255.255.0",
		"INTERNAL_IP4_MTU":               "1434",
		"INTERNAL_IP4_DNS":               "192.168.99.1 192.168.99.2",
		"INTERNAL_IP6_DNS":               "fd99::1",
		"INTERNAL_IP6_ADDRESS":           "fd99::9a7c",
		"INTERNAL_IP6_NETMASK":           "fd99::9a7c/64",
		"CISCO_DEF_DOMAIN":               "corp.test,lab.test",
		"CISCO_PROXY_PAC":                "http://proxy.corp.test/pac",
		"CISCO_SPLIT_INC":                "2",
		"CISCO_SPLIT_INC_0_ADDR":         "10.10.0.0",
		"CISCO_SPLIT_INC_0_MASK":         "255.255.0.0",
		"CISCO_SPLIT_INC_0_MASKLEN":      "16",
		"CISCO_SPLIT_INC_1_ADDR":         "10.20.0.0",
		"CISCO_SPLIT_INC_1_MASK":         "255.255.255.0",
		"CISCO_IPV6_SPLIT_INC":           "1",
		"CISCO_IPV6_SPLIT_INC_0_ADDR":    "fd98::",
		"CISCO_IPV6_SPLIT_INC_0_MASKLEN": "64",
	}
}

func TestTunnel(t *testing.T) {
	got, skipped, err := Tunnel(full())
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	route := func(s string) core.Route { return core.Route{Dst: netip.MustParsePrefix(s)} }
	want := core.Tunnel{
		IPv4: core.Address{Prefix: netip.MustParsePrefix("192.168.99.50/24"), Gateway: netip.MustParseAddr("10.98.0.1")},
		IPv6: core.Address{Prefix: netip.MustParsePrefix("fd99::9a7c/64")},
		DNS: netcfg.DNSConfig{
			Servers: []netip.Addr{netip.MustParseAddr("192.168.99.1"), netip.MustParseAddr("192.168.99.2"), netip.MustParseAddr("fd99::1")},
			Domains: []string{"corp.test", "lab.test"},
		},
		PAC:    "http://proxy.corp.test/pac",
		Routes: []core.Route{route("10.10.0.0/16"), route("10.20.0.0/24"), route("fd98::/64")},
		Split:  true, MTU: 1434,
	}
	equal := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	equalPrefix := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if diff := cmp.Diff(want, got, equal, equalPrefix); diff != "" {
		t.Error(diff)
	}
}

func TestTunnelWithoutNetworksIsFull(t *testing.T) {
	got, _, err := Tunnel(map[string]string{"INTERNAL_IP4_ADDRESS": "10.0.0.2", "VPNGATEWAY": "2001:db8::1"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Split || got.IPv4.Prefix != netip.MustParsePrefix("10.0.0.2/32") {
		t.Error(got)
	}
	if got.IPv4.Gateway.IsValid() || got.IPv6.Gateway != netip.MustParseAddr("2001:db8::1") {
		t.Error("the gateway is of the wrong family", got)
	}
}

func TestNoTunnel(t *testing.T) {
	for name, change := range map[string][2]string{
		"no IPv4 address":  {"INTERNAL_IP4_ADDRESS", "$(reboot)"},
		"multicast":        {"INTERNAL_IP4_ADDRESS", "224.0.0.1"},
		"netmask of holes": {"INTERNAL_IP4_NETMASK", "255.0.255.0"},
		"no IPv6 prefix":   {"INTERNAL_IP6_NETMASK", "fd99::1/129"},
		"IPv6 zone":        {"INTERNAL_IP6_NETMASK", "fe80::1%eth0/64"},
	} {
		env := full()
		env[change[0]] = change[1]
		if got, _, err := Tunnel(env); err == nil {
			t.Errorf("%s: made %v", name, got)
		}
	}
	if _, _, err := Tunnel(nil); err == nil {
		t.Error("made a tunnel of nothing")
	}
}

// TestHostileServer has single values wrong: they are left out, and said.
func TestHostileServer(t *testing.T) {
	env := full()
	env["INTERNAL_IP4_DNS"] = "192.168.99.1 ;reboot 0.0.0.0"
	env["CISCO_DEF_DOMAIN"] = "corp.test $(reboot)"
	env["INTERNAL_IP4_MTU"] = "68"
	env["CISCO_PROXY_PAC"] = "file:///etc/shadow"
	env["CISCO_SPLIT_INC"] = "10000"
	for i := range 10000 {
		env[fmt.Sprintf("CISCO_SPLIT_INC_%d_ADDR", i)] = "127.0.0.1"
		env[fmt.Sprintf("CISCO_SPLIT_INC_%d_MASKLEN", i)] = "8"
	}
	got, skipped, err := Tunnel(env)
	if err != nil {
		t.Fatal(err)
	}
	if got.MTU != 0 || got.PAC != "" || len(got.DNS.Servers) != 2 || !slices.Equal(got.DNS.Domains, []string{"corp.test"}) {
		t.Error(got)
	}
	if len(got.Routes) != 1 {
		t.Error(len(got.Routes), "routes")
	}
	if len(skipped) > core.MaxRoutes+8 {
		t.Error(len(skipped), "complaints")
	}
}

// A script's report may be of megabytes, each word of them wrong.
func TestLongLists(t *testing.T) {
	env := full()
	env["INTERNAL_IP4_DNS"] = strings.Repeat("x ", 100_000)
	env["CISCO_DEF_DOMAIN"] = strings.Repeat("$,", 100_000) + strings.Repeat("corp.test ", 100_000)
	_, skipped, err := Tunnel(env)
	if err != nil || len(skipped) > 3*maxServers {
		t.Errorf("%d complaints, error %v", len(skipped), err)
	}
}

// FuzzHeard has a script report any reason with any environment, a variable a line.
func FuzzHeard(f *testing.F) {
	var lines []string
	for name, value := range full() {
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	for _, reason := range []string{Connect, Reconnect, AttemptReconnect, "disconnect", ""} {
		f.Add(reason, strings.Join(lines, "\n"))
	}
	f.Add(Connect, "INTERNAL_IP4_ADDRESS=10.0.0.1\nCISCO_SPLIT_INC=-1\nCISCO_IPV6_SPLIT_INC=99999999999999999999")
	f.Add(Connect, "INTERNAL_IP6_NETMASK=::ffff:10.0.0.1/8\nVPNGATEWAY=fe80::1%lo\nINTERNAL_IP4_MTU=-1")
	f.Fuzz(func(t *testing.T, reason, environ string) {
		env := make(map[string]string)
		for line := range strings.Lines(environ) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			env[name] = value
		}
		news, err := Heard(reason, env)
		up, isUp := news.Event.(core.Up)
		if err != nil || !isUp {
			return
		}
		got := up.Tunnel
		for _, a := range []core.Address{got.IPv4, got.IPv6} {
			if a.Prefix.IsValid() && !usable(a.Prefix.Addr()) || a.Gateway.IsValid() && !usable(a.Gateway) {
				t.Errorf("address %v", a)
			}
		}
		if got.IPv4.Prefix.Addr().Is6() || got.IPv6.Prefix.Addr().Is4() || got.IPv4.Gateway.Is6() || got.IPv6.Gateway.Is4() {
			t.Errorf("families are mixed: %+v", got)
		}
		for _, r := range got.Routes {
			if r.Dst != r.Dst.Masked() || r.Dst.Addr().IsLoopback() {
				t.Error(r)
			}
		}
		for _, s := range got.DNS.Servers {
			if !usable(s) {
				t.Errorf("server %v", s)
			}
		}
		for _, d := range got.DNS.Domains {
			if !netcfg.ValidName(d) {
				t.Errorf("domain %q", d)
			}
		}
		if got.MTU != 0 && (got.MTU < minMTU || got.MTU > maxMTU) || len(got.Routes) > 2*core.MaxRoutes {
			t.Errorf("MTU %d, %d routes", got.MTU, len(got.Routes))
		}
	})
}
