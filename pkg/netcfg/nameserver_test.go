package netcfg

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseNameServer(t *testing.T) {
	for _, tt := range []struct{ text, addr, name string }{
		{"192.0.2.1", "192.0.2.1", ""},
		{"192.0.2.1#dns.example", "192.0.2.1", "dns.example"},
		{"2001:db8::1#DNS-1.example", "2001:db8::1", "DNS-1.example"},
		{"fe80::1%eth0#router", "fe80::1%eth0", "router"},
	} {
		addr, name, err := ParseNameServer(tt.text)
		if err != nil || addr != netip.MustParseAddr(tt.addr) || name != tt.name {
			t.Errorf("%q is %v, %q, %v", tt.text, addr, name, err)
		}
	}
	for _, text := range []string{
		"", "dns.example", "0.0.0.0", "::", "192.0.2.1:53", "#dns.example", "192.0.2.1#", "192.0.2.1#a b", "192.0.2.1#a..b",
		"192.0.2.1#*.example", "192.0.2.1#" + strings.Repeat("a", 64), "192.0.2.1#a" + strings.Repeat(".a", 130),
	} {
		if addr, name, err := ParseNameServer(text); err == nil || addr.IsValid() || name != "" {
			t.Errorf("%q is %v, %q, %v", text, addr, name, err)
		}
	}
}

func TestDNSConfigEqual(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	base := func() DNSConfig {
		return DNSConfig{Servers: []netip.Addr{a}, Domains: []string{"a"}, TLS: Strict, Names: map[netip.Addr]string{a: "dns.example"}}
	}
	if !base().Equal(base()) {
		t.Error("not equal to itself")
	}
	for i, change := range []func(*DNSConfig){
		func(c *DNSConfig) { c.Servers = nil },
		func(c *DNSConfig) { c.Domains = nil },
		func(c *DNSConfig) { c.TLS = Opportunistic },
		func(c *DNSConfig) { c.Names[a] = "other.example" },
	} {
		c := base()
		change(&c)
		if base().Equal(c) {
			t.Errorf("change %d makes no difference", i)
		}
	}
}
