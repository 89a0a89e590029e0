package core

import (
	"net/netip"
	"slices"

	"net.connman/pkg/netcfg"
)

// sixToFour is a tunnel to the IPv6 Internet for a service with a public IPv4
// address on a network without IPv6 routers (RFC 3056). It is there only where
// the configuration asks for it: RFC 7526 says what is wrong with it.
type sixToFour struct {
	local  netip.Addr // IPv4 address of this end; invalid: no tunnel is wanted
	link   Link       // the tunnel; without an index until there is one
	close  func()
	cancel func() // the wait for its address
	ready  bool
}

// relay6to4 is the nearest router between 6to4 and the rest of IPv6 (RFC 3068),
// as the kernel's tunnels want it written.
var relay6to4 = netip.MustParseAddr("::192.88.99.1")

// prefix6to4 are all networks that are reached through tunnels (RFC 3056, 2).
var prefix6to4 = netip.MustParsePrefix("2002::/16")

// mtu6to4 leaves room for the outer header and what providers add.
const mtu6to4 = 1472

// notPublic are ranges of IPv4 that netip does not name: carriers' and those
// that nobody uses.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("240.0.0.0/4"),
}

// public reports whether machines elsewhere can reach an IPv4 address.
func public(a netip.Addr) bool {
	return a.Is4() && a.IsGlobalUnicast() && !a.IsPrivate() &&
		!slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}

// tunnelEnd is the IPv4 address to have a tunnel from, an invalid one for none.
func (v *ipv6) tunnelEnd() netip.Addr {
	local := v.s.ipv4.config.Address.Addr()
	wanted := v.s.m.cfg.Enable6to4 && v.active() && v.method() == IPv6Auto && v.silent && v.info == nil
	if !wanted || !v.s.ipv4.state.Connected() || !public(local) {
		return netip.Addr{}
	}
	return local
}

// follow6to4 makes the tunnel that is wanted now. There is one at most: the
// first service that wants it has it.
func (v *ipv6) follow6to4() {
	local := v.tunnelEnd()
	if local == v.tunnel.local {
		return
	}
	if v.tunnel.ready {
		defer v.conclude("6to4 tunnel closed")
	}
	v.closeTunnel()
	if m := v.s.m; local.IsValid() && (m.tunnelOf == nil || m.tunnelOf == v) {
		m.tunnelOf = v
		v.tunnel.local = local
		v.tunnel.close = m.ports.Links.Open6to4(local, v.tunnelOpened)
	}
}

func (v *ipv6) tunnelOpened(link Link, err error) {
	m := v.s.m
	if err != nil {
		m.log.Warn("no 6to4 tunnel", "service", v.s.id, "err", err)
		return
	}
	v.tunnel.link = link
	address := v.tunnel.address()
	m.ports.Links.Apply(link.Index, v.tunnel.config(), nil)
	v.tunnel.cancel = m.ports.Links.AwaitAddress(link.Index, address.Addr(), func(unique bool) {
		v.tunnel.ready = unique
		v.conclude("6to4 tunnel in place")
	})
}

// closeTunnel takes the tunnel away, if there is one.
func (v *ipv6) closeTunnel() {
	if !v.tunnel.local.IsValid() {
		return
	}
	if v.tunnel.cancel != nil {
		v.tunnel.cancel()
	}
	v.tunnel.close()
	v.tunnel = sixToFour{}
	v.s.m.tunnelOf = nil
}

// address is this end's IPv6 address.
func (t *sixToFour) address() netip.Prefix {
	a := [16]byte{0x20, 0x02, 15: 1}
	local := t.local.As4()
	copy(a[2:], local[:])
	return netip.PrefixFrom(netip.AddrFrom16(a), slaacBits)
}

// config is what belongs on the tunnel. Any service with a router of its own is
// preferred to it.
func (t *sixToFour) config() netcfg.LinkConfig {
	metric := lowPriority(t.link.Index)
	return netcfg.LinkConfig{
		Addrs: []netcfg.Addr{{Prefix: t.address()}},
		Routes: []netcfg.Route{
			{Dst: prefix6to4, Metric: metric},
			{Dst: netip.PrefixFrom(netip.IPv6Unspecified(), 0), Gateway: relay6to4, Metric: metric},
		},
		MTU: mtu6to4,
	}
}
