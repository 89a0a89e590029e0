package core

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"net.connman/pkg/netcfg"
)

// What the first router of every test says, and the address that comes of it
// on eth0.
var (
	home6    = netip.MustParsePrefix("2001:db8:1::/64")
	gateway6 = netip.MustParseAddr("fe80::1")
	slaac6   = netip.MustParseAddr("2001:db8:1::ff:fe00:2")
)

func routerInfo(prefixes ...RouterPrefix) RouterInfo {
	return RouterInfo{
		Routers:  []Router{{Address: gateway6, Lifetime: time.Hour}},
		Prefixes: prefixes,
		DNS:      netcfg.DNSConfig{Servers: []netip.Addr{netip.MustParseAddr("2001:db8:1::53")}},
	}
}

func announced6(p netip.Prefix) RouterPrefix {
	return RouterPrefix{Prefix: p, OnLink: true, Autonomous: true, Preferred: time.Hour, Valid: 2 * time.Hour}
}

// inWorld6 runs a test in a world whose kernel has IPv6.
func inWorld6(t *testing.T, cfg Config, test func(*world)) {
	cfg.OnlineCheck.IPv6URL = "http://online6.test/"
	inWorld(t, cfg, func(w *world) {
		w.links.hasIPv6 = true
		test(w)
	})
}

// hear has the routers of an interface say something.
func (w *world) hear(name string, info RouterInfo) {
	w.t.Helper()
	d := w.routers[name]
	if d == nil || d.stopped {
		w.t.Fatalf("nobody looks for routers on %s", name)
	}
	w.do(func() { d.report(RoutersSeen{Info: info}) })
}

// addrs are the IPv6 addresses that an interface was given.
func (w *world) addrs(name string) string {
	var texts []string
	for _, a := range w.links.configs[w.devices[name].info.Link.Index].Addrs {
		if a.Prefix.Addr().Is6() {
			texts = append(texts, a.Prefix.String())
			if a.Deprecated {
				texts = append(texts, "deprecated")
			}
			if a.Temporaries {
				texts = append(texts, "temporaries")
			}
		}
	}
	return strings.Join(texts, " ")
}

func (w *world) wantAddrs(name, want string) {
	w.t.Helper()
	if got := w.addrs(name); got != want {
		w.t.Fatalf("%s has %q, want %q", name, got, want)
	}
}

// metrics6 are the metrics of an interface's default routes, by gateway.
func (w *world) metrics6(name string) map[netip.Addr]uint32 {
	m := map[netip.Addr]uint32{}
	for _, r := range w.links.configs[w.devices[name].info.Link.Index].Routes {
		if r.IsDefault() && r.Gateway.Is6() {
			m[r.Gateway] = r.Metric
		}
	}
	return m
}

func TestIPv6MakesReadyAndOnline(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		w.wantState("eth0", Configuration)
		w.hear("eth0", routerInfo(announced6(home6)))
		w.wantState("eth0", Ready)
		w.wantAddrs("eth0", slaac6.String()+"/64")
		s := w.service("eth0")
		if method, config, connected := s.IPv6(); method != IPv6Auto || config.Address.Addr() != slaac6 || config.Gateway != gateway6 || !connected {
			t.Fatalf("shown %s %+v %v", method, config, connected)
		}
		if _, _, connected := s.IPv4(); connected {
			t.Fatal("IPv4 counts as connected")
		}
		if w.probing("eth0") || w.probes["eth0 ipv6"].req.URL != "http://online6.test/" {
			t.Fatalf("probes %v", w.probes)
		}
		w.probed("eth0 ipv6", ProbeResult{Online: true})
		w.wantState("eth0", Online)
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1")) // late
		w.wantState("eth0", Online)
		if got := s.Nameservers(); len(got) != 2 || !got[0].Is4() || !got[1].Is6() {
			t.Fatalf("name servers %v", got)
		}
		if !w.probing("eth0") {
			t.Fatal("IPv4 is not checked")
		}
		w.unplug("eth0")
		w.wantAddrs("eth0", "")
		if got := w.links.ipv6[2]; got != (netcfg.IPv6Link{Mode: netcfg.IPv6Quiet}) {
			t.Fatalf("link is left as %+v", got)
		}
	})
}

// Either family makes a service online, and neither can take it back alone.
func TestOnlineByEitherFamily(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		w.hear("eth0", routerInfo(announced6(home6)))
		if !w.probing("eth0") || !w.probing("eth0 ipv6") {
			t.Fatalf("probes %v", w.probes)
		}
		w.probed("eth0", ProbeResult{Err: errBroken})
		w.wantState("eth0", Ready)
		w.probed("eth0 ipv6", ProbeResult{Online: true})
		w.wantState("eth0", Online)
		w.sleep(time.Hour)
		if w.probing("eth0") || w.probing("eth0 ipv6") {
			t.Fatal("checked on, though online")
		}
		s := w.service("eth0")
		if s.ipv4.state != Ready || s.ipv6.state != Online {
			t.Fatalf("families are %s and %s", s.ipv4.state, s.ipv6.state)
		}
		w.hear("eth0", RouterInfo{})
		w.wantState("eth0", Ready)
		if !w.probing("eth0") {
			t.Fatal("not checked again when the family that was online went")
		}
	})
}

func TestReadyOnlyWithUniqueAddress(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.links.slowDAD = true
		w.plug("eth0")
		w.hear("eth0", routerInfo(announced6(home6)))
		w.wantState("eth0", Configuration)
		w.do(func() { w.links.verdict(slaac6, false) })
		w.wantState("eth0", Configuration)
		w.wantAddrs("eth0", "")
		if c, at, over := w.service("eth0").LastConflict(); c != (Conflict{Address: slaac6}) || at.IsZero() || over {
			t.Fatalf("conflict %v at %v, over %v", c, at, over)
		}
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		if _, _, over := w.service("eth0").LastConflict(); over {
			t.Fatal("an IPv4 address ended it")
		}
		w.hear("eth0", routerInfo(announced6(home6), announced6(netip.MustParsePrefix("2001:db8:2::/64"))))
		w.wantAddrs("eth0", "2001:db8:2::ff:fe00:2/64")
		w.do(func() { w.links.verdict(netip.MustParseAddr("2001:db8:2::ff:fe00:2"), true) })
		w.wantState("eth0", Ready)
		if _, _, over := w.service("eth0").LastConflict(); !over {
			t.Fatal("the conflict is not over")
		}
	})
}

// What networks say of their captive portal counts in this order.
func TestAnnouncedPortal(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		info := routerInfo(announced6(home6))
		info.Managed, info.Portal = true, "https://ra.test/"
		want := func(url string) {
			t.Helper()
			if got := w.service("eth0").portal(); got != url {
				t.Fatalf("portal %q, want %q", got, url)
			}
		}
		want("")
		w.hear("eth0", info)
		want("https://ra.test/")
		w.do(func() { w.dhcp6["eth0"].report(DHCP6Bound{Lease: Lease6{Portal: "https://dhcp6.test/"}}) })
		want("https://dhcp6.test/")
		l := lease("10.0.0.7/24", "10.0.0.1")
		l.Portal = "https://dhcp.test/"
		w.bind("eth0", l)
		want("https://dhcp.test/")
		w.unplug("eth0")
		w.cable("eth0")
		want("")
	})
}

func TestRenumbering(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		w.hear("eth0", routerInfo(announced6(home6)))
		old, new := announced6(home6), announced6(netip.MustParsePrefix("2001:db8:2::/64"))
		old.Preferred = 0
		w.hear("eth0", routerInfo(old, new))
		w.wantAddrs("eth0", slaac6.String()+"/64 deprecated 2001:db8:2::ff:fe00:2/64")
		if _, config, _ := w.service("eth0").IPv6(); config.Address.String() != "2001:db8:2::ff:fe00:2/64" {
			t.Fatalf("shown %v", config.Address)
		}
		w.hear("eth0", routerInfo(new))
		w.wantAddrs("eth0", "2001:db8:2::ff:fe00:2/64")
		w.wantState("eth0", Ready)
		w.hear("eth0", RouterInfo{})
		w.wantState("eth0", Configuration)
	})
}

// The order of services says which link has the default route, for each family
// by itself; no two routes have the same metric.
func TestDefaultRoutesOfBothFamilies(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		w.plug("eth1")
		w.bind("eth1", lease("10.1.0.7/24", "10.1.0.1"))
		info := routerInfo(announced6(netip.MustParsePrefix("2001:db8:2::/64")))
		info.Routers = append(info.Routers, Router{Address: netip.MustParseAddr("fe80::2"), Lifetime: time.Hour})
		w.hear("eth1", info)
		w.sleep(time.Second)
		first, second := w.metrics6("eth1")[gateway6], w.metrics6("eth1")[netip.MustParseAddr("fe80::2")]
		if w.defaultMetric("eth0") != 0 || first != highPriority6(3) || second != first+1 {
			t.Fatalf("eth0 at %d, eth1 at %v", w.defaultMetric("eth0"), w.metrics6("eth1"))
		}
		w.hear("eth0", routerInfo(announced6(home6)))
		w.sleep(time.Second)
		if got := w.metrics6("eth0")[gateway6]; got != highPriority6(2) {
			t.Fatalf("eth0 at %d", got)
		}
		if got := w.metrics6("eth1")[gateway6]; got != lowPriority(3) {
			t.Fatalf("eth1 at %d", got)
		}
	})
}

func TestFlagsRunDHCPv6(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		info := routerInfo()
		info.Other = true
		w.hear("eth0", info)
		stateless := w.dhcp6["eth0"]
		if stateless == nil || stateless.req.Stateful {
			t.Fatalf("DHCPv6 %+v", stateless)
		}
		info.Managed = true
		w.hear("eth0", info)
		stateful := w.dhcp6["eth0"]
		if !stateless.stopped || !stateful.req.Stateful || stateful.req.DUID != stateless.req.DUID || stateful.req.DUID == "" {
			t.Fatalf("DHCPv6 %+v, then %+v", stateless.req, stateful.req)
		}
		address := netip.MustParseAddr("2001:db8:1::100")
		w.do(func() {
			stateful.report(DHCP6Bound{Lease: Lease6{
				Addresses:   []LeasedAddress{{address, time.Hour, time.Hour}},
				DNS:         netcfg.DNSConfig{Servers: []netip.Addr{netip.MustParseAddr("2001:db8::1")}, Domains: []string{"six.test"}},
				Timeservers: []string{"2001:db8::123"},
			}})
		})
		w.wantState("eth0", Ready)
		w.wantAddrs("eth0", address.String()+"/128")
		s := w.service("eth0")
		if !slices.Equal(s.Domains(), []string{"six.test"}) || !slices.Equal(s.Timeservers(), []string{"2001:db8::123"}) || len(s.Nameservers()) != 2 {
			t.Fatalf("domains %v, time servers %v, name servers %v", s.Domains(), s.Timeservers(), s.Nameservers())
		}
		info.Managed, info.Other = false, false
		w.hear("eth0", info) // RFC 4862, 5.5.2: a lease is lived out
		if stateful.stopped {
			t.Fatal("a lease was given up for a flag")
		}
		if got := w.store.services[s.ID()]; got.DUID != stateful.req.DUID || got.LastAddress6 != address {
			t.Fatalf("stored %v, %v", got.DUID, got.LastAddress6)
		}
		w.do(func() { stateful.report(DHCP6Lost{}) })
		w.wantState("eth0", Configuration)
		if !stateful.stopped {
			t.Fatal("addresses are asked for that no router speaks of any more")
		}
	})
}

func TestLeasedDuplicateIsDeclined(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.links.slowDAD = true
		w.plug("eth0")
		info := routerInfo()
		info.Managed = true
		w.hear("eth0", info)
		address := netip.MustParseAddr("2001:db8:1::100")
		w.do(func() {
			w.dhcp6["eth0"].report(DHCP6Bound{Lease: Lease6{Addresses: []LeasedAddress{{address, time.Hour, time.Hour}}}})
		})
		w.do(func() { w.links.verdict(address, false) })
		if got := w.dhcp6["eth0"].declined; !slices.Equal(got, []netip.Addr{address}) {
			t.Fatalf("declined %v", got)
		}
		w.wantAddrs("eth0", "")
	})
}

func TestManualAndOff(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		w.hear("eth0", routerInfo(announced6(home6)))
		s := w.service("eth0")
		w.do(func() {
			err := s.SetIPv6(IPv6Settings{
				Method: IPv6Manual, Address: netip.MustParsePrefix("2001:db8:9::5/64"), Gateway: netip.MustParseAddr("2001:db8:8::1"),
			})
			if err != nil {
				t.Error(err)
			}
		})
		w.wantState("eth0", Ready)
		w.wantAddrs("eth0", "2001:db8:9::5/64")
		far := netcfg.Route{Dst: netip.MustParsePrefix("2001:db8:8::1/128"), Metric: highPriority6(2)}
		if !slices.Contains(w.links.configs[2].Routes, far) {
			t.Fatalf("no way to the router off the link: %v", w.links.configs[2].Routes)
		}
		if !w.routers["eth0"].stopped {
			t.Fatal("routers are looked for")
		}
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		w.do(func() { _ = s.SetIPv6(IPv6Settings{Method: IPv6Off}) })
		w.wantState("eth0", Ready)
		w.wantAddrs("eth0", "")
		if got := w.links.ipv6[2].Mode; got != netcfg.IPv6Disabled {
			t.Fatalf("mode %v", got)
		}
		w.do(func() { _ = s.SetIPv6(IPv6Settings{Method: IPv6Auto, Privacy: PrivacyPrefered}) })
		w.hear("eth0", routerInfo(announced6(home6)))
		w.wantAddrs("eth0", slaac6.String()+"/64 temporaries")
		if got := w.links.ipv6[2].Mode; got != netcfg.IPv6PreferTemporary {
			t.Fatalf("mode %v", got)
		}
		w.do(func() { _ = s.SetIPv4(IPv4Settings{Method: IPv4Off}) })
		w.wantState("eth0", Ready) // by IPv6
		w.do(func() { _ = s.SetIPv6(IPv6Settings{Method: IPv6Off}) })
		w.wantState("eth0", Idle)
	})
}

// What an earlier run left stays until it is known whether it is right.
func TestAddressesOfEarlierRunStay(t *testing.T) {
	keeps := func(w *world) bool { return w.links.configs[2].KeepIPv6 }
	t.Run("until a router speaks", func(t *testing.T) {
		inWorld6(t, defaults(), func(w *world) {
			w.plug("eth0")
			w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
			if !keeps(w) {
				t.Fatal("taken away though no router was heard yet")
			}
			info := routerInfo()
			info.Managed = true
			w.hear("eth0", info)
			if !keeps(w) {
				t.Fatal("taken away though no server was heard yet")
			}
			w.do(func() { w.dhcp6["eth0"].report(DHCP6NoAnswer{}) })
			if keeps(w) {
				t.Fatal("kept without a server")
			}
		})
	})
	t.Run("until there is none", func(t *testing.T) {
		inWorld6(t, defaults(), func(w *world) {
			w.plug("eth0")
			w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
			w.do(func() { w.routers["eth0"].report(RoutersNoAnswer{}) })
			if keeps(w) {
				t.Fatal("kept without a router")
			}
		})
	})
}

// A kernel without IPv6 is no reason for anything else to fail.
func TestWithoutIPv6(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		w.wantState("eth0", Online)
		if s := w.service("eth0"); s.ipv6.state != Idle || w.routers["eth0"] != nil {
			t.Fatalf("IPv6 is %s", s.ipv6.state)
		}
	})
}

// IPv6 that is switched off later takes itself away and nothing else.
func TestIPv6SwitchedOffMeanwhile(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		info := routerInfo(announced6(home6))
		info.Managed, info.MTU = true, 1400
		w.hear("eth0", info)
		w.probed("eth0", ProbeResult{Online: true})
		w.wantState("eth0", Online)
		w.do(func() { w.links.ipv6Done[2](errNoIPv6) })
		w.wantState("eth0", Online)
		w.wantAddrs("eth0", "")
		if s := w.service("eth0"); s.ipv6.state != Idle || !w.routers["eth0"].stopped || !w.dhcp6["eth0"].stopped || len(s.Nameservers()) != 1 {
			t.Fatalf("IPv6 is %s, servers %v", s.ipv6.state, s.Nameservers())
		}
		w.unplug("eth0")
		w.cable("eth0")
		w.hear("eth0", routerInfo(announced6(home6))) // it is looked for anew
		w.wantState("eth0", Ready)
	})
}

func TestSLAACAddress(t *testing.T) {
	tests := []struct {
		prefix, hw, want string
	}{
		{"2001:db8:1::/64", "\x02\x00\x00\x00\x00\x02", "2001:db8:1::ff:fe00:2/64"},
		{"2001:db8:1:2::/64", "\x00\x11\x22\x33\x44\x55", "2001:db8:1:2:211:22ff:fe33:4455/64"},
		{"2001:db8:1::/48", "\x02\x00\x00\x00\x00\x02", ""},
		{"2001:db8:1::/65", "\x02\x00\x00\x00\x00\x02", ""},
		{"2001:db8:1::/64", "", ""},
	}
	for _, test := range tests {
		got, ok := slaacAddress(netip.MustParsePrefix(test.prefix), HardwareAddr(test.hw))
		if ok != (test.want != "") || ok && got.String() != test.want {
			t.Errorf("%s of %x: %v, want %s", test.prefix, test.hw, got, test.want)
		}
	}
}

// Another machine's address leads to the next one, a few times. (RFC 7217, 6)
func TestOpaqueAddressInUse(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.m.ports.OpaqueAddress = func(p netip.Prefix, network string, attempt int) netip.Prefix {
			if network != w.service("eth0").id {
				t.Errorf("network %q", network)
			}
			a := p.Addr().As16()
			a[15] = byte(0xa0 + attempt)
			return netip.PrefixFrom(netip.AddrFrom16(a), 64)
		}
		w.links.slowDAD = true
		w.plug("eth0")
		w.hear("eth0", routerInfo(announced6(home6)))
		for _, want := range []string{"2001:db8:1::a0", "2001:db8:1::a1", "2001:db8:1::a2", "2001:db8:1::a3"} {
			w.wantAddrs("eth0", want+"/64")
			w.do(func() { w.links.verdict(netip.MustParseAddr(want), false) })
		}
		w.wantAddrs("eth0", "")
		w.wantState("eth0", Configuration)
	})
}

func TestManyPrefixesFewAddresses(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		info := routerInfo()
		for i := range 64 {
			a := home6.Addr().As16()
			a[7] = byte(i)
			info.Prefixes = append(info.Prefixes, announced6(netip.PrefixFrom(netip.AddrFrom16(a), 64)))
		}
		w.hear("eth0", info)
		if n := len(strings.Fields(w.addrs("eth0"))); n != maxSLAAC {
			t.Fatalf("%d addresses", n)
		}
	})
}
