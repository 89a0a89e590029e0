package vpn

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
	"net.connman/pkg/netcfg"
)

func routeOf(network, mask, gateway string) bus.Struct {
	return bus.Struct{bus.Dict{
		{Key: vpn.RouteNetwork, Value: network}, {Key: vpn.RouteNetmask, Value: mask}, {Key: vpn.RouteGateway, Value: gateway},
	}}
}

func list(items ...any) bus.Array { return bus.Array{Elem: "(a{sv})", Items: items} }

func TestRoutes(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  string
		fails bool
	}{
		"none":          {list(), "", false},
		"IPv4":          {list(routeOf("10.1.0.0", "255.255.0.0", "10.9.0.1")), "10.1.0.0/16 10.9.0.1", false},
		"length":        {list(routeOf("10.1.0.0", "16", "")), "10.1.0.0/16", false},
		"host":          {list(routeOf("10.1.2.3", "", "")), "10.1.2.3/32", false},
		"not masked":    {list(routeOf("10.1.2.3", "255.255.0.0", "")), "10.1.0.0/16", false},
		"IPv6":          {list(routeOf("fd00:1::", "64", "fd00::1")), "fd00:1::/64 fd00::1", false},
		"default":       {list(routeOf("0.0.0.0", "0.0.0.0", "")), "0.0.0.0/0", false},
		"half":          {list(routeOf("0.0.0.0", "128.0.0.0", "")), "0.0.0.0/1", false},
		"twice":         {list(routeOf("10.1.0.0", "16", ""), routeOf("10.1.0.0", "255.255.0.0", "")), "10.1.0.0/16", false},
		"other gateway": {list(routeOf("10.1.0.0", "16", "fd00::1")), "10.1.0.0/16", false},
		"one is bad":    {list(routeOf("x", "16", ""), routeOf("10.1.0.0", "16", "")), "10.1.0.0/16", true},
		"mask":          {list(routeOf("10.1.0.0", "255.0.255.0", "")), "", true},
		"long":          {list(routeOf("fd00::", "129", "")), "", true},
		"negative":      {list(routeOf("fd00::", "-1", "")), "", true},
		"loopback":      {list(routeOf("127.0.0.0", "8", "")), "", true},
		"multicast":     {list(routeOf("224.0.0.0", "4", "")), "", true},
		"zone":          {list(routeOf("fe80::1%eth0", "128", "")), "", true},
		"mapped":        {list(routeOf("::ffff:10.0.0.0", "104", "")), "", true},
		"nothing":       {list(routeOf("0.0.0.0", "8", "")), "", true},
		"injected":      {list(routeOf("10.1.0.0; reboot", "16", "")), "", true},
		"no dictionary": {list("10.1.0.0/16"), "", true},
		"empty":         {list(bus.Struct{bus.Dict{}}), "", true},
		"text":          {"10.1.0.0/16", "", true},
		"nil":           {nil, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := routes(c.value)
			var texts []string
			for _, r := range all {
				text := r.Dst.String()
				if r.Gateway.IsValid() {
					text += " " + r.Gateway.String()
				}
				texts = append(texts, text)
			}
			if got := strings.Join(texts, ", "); got != c.want || (err != nil) != c.fails {
				t.Errorf("got %q and error %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestTooManyRoutes(t *testing.T) {
	var items []any
	for i := range 10*maxRoutes + 1 {
		items = append(items, routeOf(fmt.Sprintf("10.%d.%d.0", i/256%256, i%256), "24", ""))
	}
	if _, err := routes(list(items...)); err == nil {
		t.Error("a flood of routes is taken")
	}
}

func TestEnd(t *testing.T) {
	entry := func(key string, value any) bus.Entry { return bus.Entry{Key: key, Value: value} }
	for name, c := range map[string]struct {
		value any
		ipv4  bool
		want  string
		fails bool
	}{
		"IPv4":      {address("10.9.0.2", "255.255.255.0"), true, "10.9.0.2/24 invalid IP 203.0.113.5", false},
		"no mask":   {address("10.9.0.2", ""), true, "10.9.0.2/32 invalid IP 203.0.113.5", false},
		"peer":      {append(address("10.9.0.2", "255.255.255.255"), entry("Peer", "10.9.0.1")), true, "10.9.0.2/32 10.9.0.1 203.0.113.5", false},
		"IPv6":      {bus.Dict{entry("Address", "fd00::2"), entry("PrefixLength", byte(64)), entry("Gateway", "")}, false, "fd00::2/64 invalid IP invalid IP", false},
		"empty":     {bus.Dict{}, true, "invalid Prefix invalid IP invalid IP", false},
		"unset":     {address("0.0.0.0", "0.0.0.0"), true, "invalid Prefix invalid IP invalid IP", false},
		"family":    {address("fd00::2", ""), true, "", true},
		"multicast": {address("224.0.0.1", ""), true, "", true},
		"loopback":  {address("127.0.0.1", "255.0.0.0"), true, "", true},
		"mask":      {address("10.9.0.2", "0.0.0.0"), true, "", true},
		"number":    {bus.Dict{entry("Address", int32(1))}, true, "", true},
		"long":      {bus.Dict{entry("Address", "fd00::2"), entry("PrefixLength", byte(129))}, false, "", true},
		"text":      {"10.9.0.2", true, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := end(c.value, c.ipv4)
			if (err != nil) != c.fails {
				t.Fatalf("error %v", err)
			}
			if got := fmt.Sprint(e.Addr.Prefix, " ", e.Addr.Peer, " ", e.Server); err == nil && got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestServersAndDomains(t *testing.T) {
	got, err := servers([]string{"10.9.0.1", "::1", "x", "10.9.0.1", "fd00::53", "224.0.0.1"})
	if want := []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fd00::53")}; !slices.Equal(got, want) || err == nil {
		t.Errorf("servers %v, error %v", got, err)
	}
	if got := domains("office.test, lab.test $(id) "); !slices.Equal(got, []string{"office.test", "lab.test"}) {
		t.Errorf("domains %q", got)
	}
	long := strings.Repeat("a-subdomain-of-the-office.", 9) + "test"
	c := &connection{}
	if err := c.read("Domain", strings.Repeat(long+" ", 2)+"lab.test"); err != nil || !slices.Equal(c.said.domains, []string{long, long, "lab.test"}) {
		t.Errorf("domains %q, error %v", c.said.domains, err)
	}
	if err := c.read("Domain", strings.Repeat(long+" ", 99)); err == nil || len(c.said.domains) > 0 {
		t.Errorf("more than a daemon should say is taken: %d domains", len(c.said.domains))
	}
}

// A netmask is the length of its prefix.
func TestMaskBits(t *testing.T) {
	err := quick.Check(func(n uint8) bool {
		bits := int(n % 33)
		m := ^uint32(0) << (32 - bits)
		mask := netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)})
		got, err := maskBits(mask.String())
		return err == nil && got == bits
	}, nil)
	if err != nil {
		t.Error(err)
	}
}

// FuzzRead feeds properties of all types. What is taken must be fit for links.
func FuzzRead(f *testing.F) {
	f.Add("ServerRoutes", "10.0.0.0", "255.0.0.0", "10.9.0.1", int32(4), true)
	f.Add("IPv4", "10.9.0.2", "24", "203.0.113.5", int32(0), false)
	f.Add("IPv6", "fd00::2", "64", "", int32(64), false)
	f.Add("Nameservers", "10.9.0.1", "::1", "", int32(0), false)
	f.Add("Domain", "office.test", "", "", int32(0), false)
	f.Add("PAC", "http://wpad/", "", "", int32(0), false)
	f.Add("Index", "", "", "", int32(-1), false)
	f.Fuzz(func(t *testing.T, name, a, b, g string, n int32, on bool) {
		c := &connection{}
		dict := bus.Dict{{Key: "Address", Value: a}, {Key: "Netmask", Value: b}, {Key: "Gateway", Value: g},
			{Key: "Peer", Value: b}, {Key: "PrefixLength", Value: byte(n)}}
		for _, value := range []any{a, n, uint16(n), on, []string{a, b, g}, dict, list(routeOf(a, b, g), bus.Struct{dict}, bus.Struct{}), nil} {
			_ = c.read(name, value)
			_ = c.read("UserRoutes", value)
		}
		for _, e := range []netcfg.Addr{c.said.ipv4.Addr, c.said.ipv6.Addr} {
			if p := e.Prefix; p.IsValid() && (p.Bits() < 1 || !usable(p.Addr())) {
				t.Errorf("address %s", p)
			}
		}
		for _, r := range slices.Concat(c.said.user, c.said.far) {
			if !r.Dst.IsValid() || r.Dst != r.Dst.Masked() || r.Gateway.IsValid() && r.Gateway.Is4() != r.Dst.Addr().Is4() {
				t.Errorf("route %+v", r)
			}
		}
		for _, d := range c.said.domains {
			if !netcfg.ValidName(d) {
				t.Errorf("domain %q", d)
			}
		}
	})
}
