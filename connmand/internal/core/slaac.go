package core

import (
	"net/netip"
	"slices"

	"net.connman/pkg/netcfg"
)

// maxSLAAC is how many addresses a link gets from routers' prefixes, however
// many those announce.
const maxSLAAC = 16

// opaqueRetries is how many more opaque addresses are tried in a prefix when the
// first turns out to be another machine's (RFC 7217, 7).
const opaqueRetries = 3

// slaacBits is the length of a prefix that addresses are made of (RFC 2464, 4).
const slaacBits = 64

// ipv6Config is what belongs on a link for IPv6.
type ipv6Config struct {
	addrs    []netcfg.Addr
	onLink   []netip.Prefix
	gateways []netip.Addr   // the one to use first
	routes   []netcfg.Route // more specific ones, without metric
}

// config is what settings, routers and DHCPv6 say now, without addresses that
// are known to be another machine's.
func (v *ipv6) config() (c ipv6Config) {
	if !v.active() {
		return c
	}
	if settings := v.s.settings.IPv6; v.method() != IPv6Auto {
		c.addrs = append(c.addrs, v.addr(settings.Address, false))
		c.onLink = append(c.onLink, settings.Address.Masked())
		if settings.Gateway.IsValid() {
			c.gateways = append(c.gateways, settings.Gateway)
		}
	}
	if v.info != nil {
		v.addRouters(&c)
	}
	if v.lease != nil {
		for _, l := range v.lease.Addresses {
			c.addrs = append(c.addrs, netcfg.Addr{
				Prefix: netip.PrefixFrom(l.Address, 128), Deprecated: l.Preferred == 0,
			})
		}
	}
	c.addrs = slices.DeleteFunc(c.addrs, func(a netcfg.Addr) bool {
		unique, known := v.verdicts[a.Prefix.Addr()]
		return known && !unique
	})
	return c
}

// addRouters adds what routers say.
func (v *ipv6) addRouters(c *ipv6Config) {
	for _, r := range v.info.Routers {
		c.gateways = append(c.gateways, r.Address)
	}
	c.routes = v.info.Routes
	made := 0
	for _, p := range v.info.Prefixes {
		if p.OnLink {
			c.onLink = append(c.onLink, p.Prefix)
		}
		if address, ok := v.slaac(p.Prefix); ok && p.Autonomous && made < maxSLAAC {
			made++
			c.addrs = append(c.addrs, v.addr(address, p.Preferred == 0))
		}
	}
}

// addr is an address that temporary ones may stand beside, if the user wants
// privacy.
func (v *ipv6) addr(p netip.Prefix, deprecated bool) netcfg.Addr {
	temporaries := v.mode() != netcfg.IPv6Ours && p.Bits() == slaacBits && v.method() == IPv6Auto
	return netcfg.Addr{Prefix: p, Deprecated: deprecated, Temporaries: temporaries}
}

// slaac makes the link's address in a prefix. Another machine's is no reason to
// do without where there are others to be had.
func (v *ipv6) slaac(p netip.Prefix) (a netip.Prefix, ok bool) {
	opaque := v.s.m.ports.OpaqueAddress
	if opaque == nil || p.Bits() != slaacBits {
		return slaacAddress(p, v.s.Device().Link.Addr)
	}
	for attempt := range 1 + opaqueRetries {
		a = opaque(p, v.s.id, attempt)
		if unique, known := v.verdicts[a.Addr()]; unique || !known {
			break
		}
	}
	return a, true
}

// slaacAddress makes a link's address in a prefix (RFC 4862, 5.5.3) out of its
// Ethernet address (RFC 4291, appendix A).
func slaacAddress(p netip.Prefix, hw HardwareAddr) (netip.Prefix, bool) {
	if p.Bits() != slaacBits || len(hw) != 6 {
		return netip.Prefix{}, false
	}
	a := p.Addr().As16()
	copy(a[8:], hw[:3])
	a[8] ^= 0x02 // universal becomes local and the other way round
	a[11], a[12] = 0xff, 0xfe
	copy(a[13:], hw[3:])
	return netip.PrefixFrom(netip.AddrFrom16(a), slaacBits), true
}

// The metrics of IPv6 routes. Routes of the same metric would share the traffic,
// also while one takes over from another, so each link and each router has its
// own. They lie above the kernel's own (256 and 1024) and below lowPriority.
const (
	metricOnLink = 256
	metricBase6  = 1024
	metricStep6  = 16 // routers of one link
	metricLinks6 = 1 << 12
)

func highPriority6(index int) uint32 {
	return uint32(metricBase6 + index%metricLinks6*metricStep6)
}

// known reports whether the network has said what belongs on the link. Until
// then the addresses of an earlier run stay.
func (v *ipv6) known() bool {
	switch {
	case v.method() != IPv6Auto, v.silent && v.info == nil:
		return true
	case v.info == nil:
		return false
	}
	return !v.info.Managed || v.lease != nil || v.deaf
}

// addTo adds what belongs on the link for IPv6. Until there is an address to
// send from, routers are of no use: routes to them wait, lest those of an
// earlier run are touched before the lease they belong to is here again.
func (v *ipv6) addTo(config *netcfg.LinkConfig, carriesDefault bool) {
	if !v.active() {
		return
	}
	config.KeepIPv6 = !v.known()
	c := v.config()
	if len(c.addrs) == 0 {
		return
	}
	config.Addrs = append(config.Addrs, c.addrs...)
	index := v.s.Device().Link.Index
	metric := lowPriority(index)
	if carriesDefault {
		metric = highPriority6(index)
	}
	add := func(dst netip.Prefix, gateway netip.Addr, metric uint32) {
		r := netcfg.Route{Dst: dst, Gateway: gateway, Metric: metric}
		if !slices.Contains(config.Routes, r) {
			config.Routes = append(config.Routes, r)
		}
	}
	for _, p := range c.onLink {
		add(p, netip.Addr{}, metricOnLink)
	}
	reachable := func(a netip.Addr) bool {
		return a.IsLinkLocalUnicast() || slices.ContainsFunc(c.onLink, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if v.s.shut() {
		return
	}
	for i, gateway := range c.gateways {
		if !reachable(gateway) {
			add(netip.PrefixFrom(gateway, 128), netip.Addr{}, metric)
		}
		add(netip.PrefixFrom(netip.IPv6Unspecified(), 0), gateway, metric+uint32(i))
	}
	rank := make(map[netip.Prefix]uint32)
	for _, r := range c.routes {
		add(r.Dst, r.Gateway, metric+rank[r.Dst])
		rank[r.Dst]++
	}
	for _, server := range v.s.assignedServers() {
		if server.Is6() && len(c.gateways) > 0 && !reachable(server) && server != c.gateways[0] {
			add(netip.PrefixFrom(server, 128), c.gateways[0], metric)
		}
	}
}

// routable reports whether the family can carry traffic to anywhere, or will
// when the kernel has found an address to be unique.
func (v *ipv6) routable() bool {
	if v.s.vpn != nil {
		return v.s.vpn.carriesAll(false)
	}
	c := v.config()
	return len(c.gateways) > 0 && len(c.addrs) > 0
}
