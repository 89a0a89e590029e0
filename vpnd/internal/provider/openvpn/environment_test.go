package openvpn

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"net.connman/pkg/netcfg"
	"net.connman/vpnd/internal/core"
)

// full is what openvpn tells of a server that says all it can.
func full() map[string]string {
	return map[string]string{
		"script_type": "up", "dev": "vpn0", "tun_mtu": "1400",
		"ifconfig_local": "10.8.0.2", "ifconfig_netmask": "255.255.255.0",
		"ifconfig_ipv6_local": "2001:db8::2", "ifconfig_ipv6_netbits": "64", "ifconfig_ipv6_remote": "2001:db8::1",
		"trusted_ip": "192.0.2.1", "trusted_port": "1194",
		"route_network_1": "10.50.0.0", "route_netmask_1": "255.255.0.0", "route_gateway_1": "10.8.0.1",
		"route_network_2": "0.0.0.0", "route_netmask_2": "128.0.0.0",
		"route_ipv6_network_1": "2001:db8:1::/48", "route_ipv6_gateway_1": "2001:db8::1",
		"foreign_option_1": "dhcp-option DNS 10.8.0.53", "foreign_option_2": "dhcp-option DNS6 2001:db8::53",
		"foreign_option_3": "dhcp-option DOMAIN corp.test", "foreign_option_4": "dhcp-option DOMAIN-SEARCH lab.test.",
		"foreign_option_5": "dhcp-option PROXY_AUTO_CONFIG_URL http://proxy.test/pac",
		"foreign_option_6": "dhcp-option WINS 10.8.0.54", "foreign_option_7": "register-dns",
	}
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestReadTunnel(t *testing.T) {
	got, skipped, err := readTunnel(full())
	if err != nil || len(skipped) != 0 {
		t.Fatal(err, skipped)
	}
	want := core.Tunnel{
		IPv4: core.Address{Prefix: prefix("10.8.0.2/24"), Gateway: addr("192.0.2.1")},
		IPv6: core.Address{Prefix: prefix("2001:db8::2/64"), Peer: addr("2001:db8::1")},
		DNS: netcfg.DNSConfig{
			Servers: []netip.Addr{addr("10.8.0.53"), addr("2001:db8::53")},
			Domains: []string{"corp.test", "lab.test"},
		},
		PAC: "http://proxy.test/pac",
		Routes: []core.Route{
			{Dst: prefix("10.50.0.0/16"), Gateway: addr("10.8.0.1")},
			{Dst: prefix("0.0.0.0/1")},
			{Dst: prefix("2001:db8:1::/48"), Gateway: addr("2001:db8::1")},
		},
		MTU: 1400,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n%+v, want\n%+v", got, want)
	}
}

func TestReadPointToPoint(t *testing.T) {
	got, _, err := readTunnel(map[string]string{"ifconfig_local": "10.8.0.6", "ifconfig_remote": "10.8.0.5", "trusted_ip6": "fe80::1%eth0"})
	want := core.Tunnel{
		IPv4: core.Address{Prefix: prefix("10.8.0.6/32"), Peer: addr("10.8.0.5")},
		IPv6: core.Address{Gateway: addr("fe80::1")},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("\n%+v, %v, want\n%+v", got, err, want)
	}
}

func TestReadTunnelHostile(t *testing.T) {
	for name, value := range map[string]string{
		"ifconfig_local":        "10.8.0.2; reboot",
		"ifconfig_netmask":      "255.0.255.0",
		"ifconfig_ipv6_local":   "::1",
		"ifconfig_ipv6_netbits": "129",
	} {
		env := full()
		env[name] = value
		if got, _, err := readTunnel(env); err == nil {
			t.Errorf("%s=%s: %+v", name, value, got)
		}
	}
	if _, _, err := readTunnel(map[string]string{"trusted_ip": "192.0.2.1"}); err == nil {
		t.Error("a tunnel without an address")
	}
	for name, value := range map[string]string{
		"route_network_1":      "127.0.0.0",
		"route_netmask_1":      "255.0.255.0",
		"route_gateway_1":      "$(reboot)",
		"route_ipv6_network_1": "2001:db8::/200",
		"foreign_option_1":     "dhcp-option DNS 10.8.0.53;reboot",
		"foreign_option_3":     "dhcp-option DOMAIN a;b",
		"foreign_option_5":     "dhcp-option PROXY_AUTO_CONFIG_URL file:///etc/shadow",
		"trusted_ip":           "somewhere",
		"tun_mtu":              "-1",
		"ifconfig_ipv6_remote": "x",
	} {
		env := full()
		env[name] = value
		got, skipped, err := readTunnel(env)
		if err != nil || len(skipped) != 1 || strings.Contains(fmt.Sprintf("%+v", got), "reboot") {
			t.Errorf("%s=%s: %+v, %v, %v", name, value, got, skipped, err)
		}
	}
}

func TestReadTunnelExcess(t *testing.T) {
	env := full()
	for n := 1; n <= 10_000; n++ {
		env[fmt.Sprintf("route_network_%d", n)] = fmt.Sprintf("10.%d.%d.0", n/256, n%256)
		env[fmt.Sprintf("route_netmask_%d", n)] = "255.255.255.0"
		env[fmt.Sprintf("foreign_option_%d", n)] = fmt.Sprintf("dhcp-option DNS 10.%d.%d.1", n/256, n%256)
	}
	got, skipped, err := readTunnel(env)
	if err != nil || len(got.Routes) != core.MaxRoutes || len(got.DNS.Servers) != maxServers || len(skipped) > 1000 {
		t.Errorf("%d routes, %d servers, %d complaints, %v", len(got.Routes), len(got.DNS.Servers), len(skipped), err)
	}
}

func FuzzReadTunnel(f *testing.F) {
	for name, value := range full() {
		f.Add(name, value)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		env := full()
		env[name] = value
		got, _, err := readTunnel(env)
		if err != nil {
			return
		}
		if !got.IPv4.Prefix.IsValid() && !got.IPv6.Prefix.IsValid() {
			t.Errorf("no address: %+v", got)
		}
		for _, r := range got.Routes {
			if r.Dst != r.Dst.Masked() || r.Dst.Addr().IsMulticast() {
				t.Errorf("route to %v", r.Dst)
			}
		}
		for _, d := range got.DNS.Domains {
			if !netcfg.ValidName(d) {
				t.Errorf("domain %q", d)
			}
		}
		if got.MTU != 0 && (got.MTU < minMTU || got.MTU > maxMTU) {
			t.Errorf("MTU %d", got.MTU)
		}
	})
}
