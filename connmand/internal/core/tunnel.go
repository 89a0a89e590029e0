package core

import (
	"net/netip"
	"slices"
	"time"

	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// wish is a VPN that is to be connected, until the user disconnects it: also
// while it connects anew, and while the daemon that looks after VPNs is away.
type wish struct {
	host    string       // name of its server, "" if that has none
	servers []netip.Addr // where the server was met
	served  bool         // it was connected
	// guard says that everything goes through it: what it does not take stays
	// here, lest it leaks.
	guard  bool
	orphan *loop.Timer // runs while nobody knows the VPN
}

// orphanTime is how long the daemon that looks after VPNs may be away until
// nothing is kept for its VPNs any more. Without it nobody could disconnect
// them.
const orphanTime = time.Minute

// wish is the wish to have the VPN called id, new if need be. host may be "".
func (m *Manager) wish(id, host string) *wish {
	w := m.wishes[id]
	if w == nil {
		w = &wish{}
		m.wishes[id] = w
	}
	w.orphan.Stop()
	if host != "" {
		if a, err := netip.ParseAddr(host); err == nil {
			w.host, w.servers = "", union([]netip.Addr{a.Unmap()}, w.servers)
			m.settle.order, m.settle.servers = true, true
		} else if netcfg.ValidName(host) {
			w.host = host
		}
	}
	return w
}

// meet notes where the server is.
func (w *wish) meet(t *Tunnel) {
	var found []netip.Addr
	for _, end := range []TunnelEnd{t.IPv4, t.IPv6} {
		if a := end.Server; a.IsValid() && !t.IPv4.Addr.Prefix.Contains(a) && !t.IPv6.Addr.Prefix.Contains(a) {
			found = append(found, a)
		}
	}
	if len(found) > 0 {
		w.servers = found
	}
}

// unwish ends the wish.
func (m *Manager) unwish(id string) {
	if w := m.wishes[id]; w != nil {
		w.orphan.Stop()
		delete(m.wishes, id)
		m.settle.order, m.settle.servers = true, true
	}
}

// wanted reports whether the service is to be connected without being asked to.
func (s *Service) wanted() bool {
	return !s.ignore && (s.AutoConnect() || s.prescribed() || s.m.wishes[s.id] != nil)
}

// vpnRemoved follows a VPN that is no longer known.
func (m *Manager) vpnRemoved(id string, daemonGone bool) {
	w := m.wishes[id]
	switch {
	case w == nil:
	case !daemonGone || !w.served:
		m.unwish(id)
	default:
		w.orphan = m.loop.After("VPN "+id, orphanTime, func() {
			m.log.Warn("VPN is gone, traffic takes other ways again", "service", id)
			m.unwish(id)
			m.loop.Post("VPN given up", func() {})
		})
	}
}

// earlierTime is how long a VPN that an earlier run of the daemon had connected
// may take to be known again.
const earlierTime = 10 * time.Second

// earlier is what an earlier run left for a VPN: its route that refuses.
type earlier struct {
	sought bool
	shield bool
}

// seekEarlier looks for what an earlier run left, when the links are known.
func (m *Manager) seekEarlier() {
	if m.earlier.sought {
		return
	}
	m.earlier.sought = true
	if !slices.Contains(m.ports.Links.Observed(loopback).Routes, refusal) {
		return
	}
	m.earlier.shield = true
	m.loop.After("VPN of an earlier run", earlierTime, m.VPNsKnown)
}

// shielded reports whether nothing may go around a VPN.
func (m *Manager) shielded() bool {
	if m.earlier.shield {
		return true
	}
	for _, w := range m.wishes {
		if w.guard {
			return true
		}
	}
	return false
}

// shut reports whether the service is one that traffic must not take instead of
// a VPN.
func (s *Service) shut() bool { return s.vpn == nil && s.m.shielded() }

// serverNames are the names of the VPNs' servers.
func (m *Manager) serverNames() (names []string) {
	for _, w := range m.wishes {
		if w.host != "" {
			names = append(names, w.host)
		}
	}
	slices.Sort(names)
	return names
}

// VPNsKnown tells that all VPNs have been reported, or that there are none: what
// an earlier run kept for them is not needed any more.
func (m *Manager) VPNsKnown() {
	m.earlier = earlier{sought: true}
	m.settle.vpnsKnown = true
	m.settle.order = true
}

// refusal is the IPv6 route that refuses, before all that lead outside.
var refusal = netcfg.Route{Dst: netip.PrefixFrom(netip.IPv6Unspecified(), 0), Metric: 1, Unreachable: true}

// loopback is the index of the loopback link, which has the route that refuses.
const loopback = 1

// followShield keeps traffic from going around a VPN, or does so no longer.
func (m *Manager) followShield() {
	up := m.shielded()
	refuse := up && !slices.ContainsFunc(m.services, func(s *Service) bool {
		return s.state.Connected() && s.vpn != nil && s.vpn.carriesAll(false)
	})
	if up != m.settle.shielded {
		m.settle.shielded = up
		m.settle.dns, m.settle.servers = true, true
	}
	if refuse != m.settle.refuses || m.settle.vpnsKnown {
		m.settle.refuses, m.settle.vpnsKnown = refuse, false
		var config netcfg.LinkConfig
		if refuse {
			config.Routes = []netcfg.Route{refusal}
		}
		m.ports.Links.Apply(loopback, config, nil)
	}
}

// reapply gives the links of all services that are no VPNs what belongs on them
// now.
func (m *Manager) reapply() {
	for _, s := range m.services {
		if s.vpn == nil && s.state.Connected() {
			s.applyLink(nil)
		}
	}
}

// addServers adds the ways to the servers of VPNs: what is for these does not go
// into a tunnel.
func (s *Service) addServers(config *netcfg.LinkConfig) {
	if s.m.uplink() != s {
		return
	}
	for _, w := range s.m.wishes {
		for _, server := range w.servers {
			if r, ok := s.wayTo(server); ok && !slices.ContainsFunc(config.Routes, func(o netcfg.Route) bool {
				return o.Dst == r.Dst && o.Metric == r.Metric
			}) {
				config.Routes = append(config.Routes, r)
			}
		}
	}
}

// wayTo is the route to an address through the service's network.
func (s *Service) wayTo(a netip.Addr) (r netcfg.Route, ok bool) {
	r.Dst = netip.PrefixFrom(a, a.BitLen())
	if a.Is4() {
		c := s.ipv4.config
		if a == c.Gateway || c.Address.Masked().Contains(a) {
			return r, true
		}
		r.Gateway = c.Gateway
		return r, r.Gateway.IsValid()
	}
	c := s.ipv6.config()
	r.Metric = metricOnLink
	if slices.ContainsFunc(c.onLink, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return r, true
	}
	if len(c.gateways) == 0 || len(c.addrs) == 0 {
		return r, false
	}
	r.Gateway = c.gateways[0]
	return r, true
}

// shadows reports whether a route to the destination would put the router of the
// service's network out of reach.
func (s *Service) shadows(dst netip.Prefix) bool {
	c := s.ipv4.config
	return c.Gateway.IsValid() && dst.Contains(c.Gateway) && dst.Bits() >= c.Address.Bits()
}

// takes reports whether a route to the destination belongs on the tunnel's link:
// the way to the server does not, nor does the router on that way, and the default
// route is the order's business.
func (v *vpn) takes(dst netip.Prefix) bool {
	w := v.s.m.wishes[v.s.id]
	toServer := w != nil && dst.IsSingleIP() && slices.Contains(w.servers, dst.Addr())
	return v.tunnel.end(dst.Addr()).Addr.Prefix.IsValid() && !wide(dst) && !toServer &&
		(v.uplink == nil || !v.uplink.shadows(dst))
}

// wide reports whether a destination is everything or half of it, which stands
// for everything where a server wants the default route without replacing it.
func wide(p netip.Prefix) bool { return p.Bits() <= 1 }

// config is all that belongs on the tunnel's link.
func (v *vpn) config(has carries) (c netcfg.LinkConfig) {
	t := v.tunnel
	if t == nil {
		return c
	}
	c.MTU = t.MTU
	index := t.Link.Index
	v.addEnd(&c, t.IPv4, has.ipv4, 0, lowPriority(index), 0)
	v.addEnd(&c, t.IPv6, has.ipv6, highPriority6(index), lowPriority(index), metricOnLink)
	inner := slices.Clone(t.Routes)
	for _, server := range v.s.assignedServers() {
		inner = append(inner, netcfg.Route{Dst: netip.PrefixFrom(server, server.BitLen())})
	}
	known := make(map[netcfg.Route]bool, len(inner))
	for _, r := range inner {
		if !v.takes(r.Dst) {
			continue
		}
		end := t.end(r.Dst.Addr())
		if !end.reaches(r.Gateway) {
			r.Gateway = netip.Addr{}
		}
		if r.Dst.Addr().Is6() {
			r.Metric = metricBase6
		}
		if !known[r] && (r.Gateway.IsValid() || !end.reaches(r.Dst.Addr()) || !r.Dst.IsSingleIP()) {
			known[r] = true
			c.Routes = append(c.Routes, r)
		}
	}
	return c
}

// addEnd adds the address of a family, and its default route: at the metric low
// if another one carries the traffic.
func (v *vpn) addEnd(c *netcfg.LinkConfig, end TunnelEnd, carries bool, high, low, onLink uint32) {
	a := end.Addr
	if !a.Prefix.IsValid() {
		return
	}
	if a.Peer == end.Server || a.Peer == a.Prefix.Addr() {
		a.Peer = netip.Addr{} // the kernel would send the server's packets into the tunnel
	}
	c.Addrs = append(c.Addrs, a)
	if p := a.Prefix; p.Addr().Is6() { // the kernel does so for IPv4
		if !p.IsSingleIP() {
			c.Routes = append(c.Routes, netcfg.Route{Dst: p.Masked(), Metric: onLink})
		}
		if a.Peer.IsValid() && !p.Contains(a.Peer) {
			c.Routes = append(c.Routes, netcfg.Route{Dst: netip.PrefixFrom(a.Peer, 128), Metric: onLink})
		}
	}
	if !v.s.full() {
		return
	}
	metric := low
	if carries {
		metric = high
	}
	everything := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if a.Prefix.Addr().Is6() {
		everything = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	c.Routes = append(c.Routes, netcfg.Route{Dst: everything, Metric: metric})
}

// reaches reports whether the address is inside the tunnel without a route of
// its own.
func (e TunnelEnd) reaches(a netip.Addr) bool {
	if !a.IsValid() || a == e.Server {
		return false
	}
	return a == e.Addr.Peer || e.Addr.Prefix.Masked().Contains(a)
}
