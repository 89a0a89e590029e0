package core

import (
	"net/netip"
	"slices"

	"net.connman/pkg/netcfg"
)

// VPNInfo is what is known of a VPN whether it is connected or not.
type VPNInfo struct {
	Type      string // "openvpn", "wireguard", …
	Host      string // its server, a name or an address
	Domain    string // the network behind it; may be empty
	Immutable bool   // a provisioning file made it
	Split     bool   // only what is routed into it goes through it
}

// TunnelEnd is what a tunnel has of one family.
type TunnelEnd struct {
	Addr   netcfg.Addr // this machine's inside; without a prefix the family has no part in it
	Server netip.Addr  // the far end as it is reached from outside, if that is known
}

// Tunnel is what a VPN's client and server agreed on.
type Tunnel struct {
	Link       Link
	MTU        int // that the link should have, in bytes; 0 leaves its own
	LinkMTU    int // that it has
	IPv4, IPv6 TunnelEnd
	DNS        netcfg.DNSConfig
	PAC        string // URL of a file that says how to reach the web; "" for none
	// Routes lead into the tunnel: destinations, with a gateway where one inside
	// was named.
	Routes []netcfg.Route
}

// end is the tunnel's end of a's family.
func (t *Tunnel) end(a netip.Addr) TunnelEnd {
	if a.Is4() {
		return t.IPv4
	}
	return t.IPv6
}

// SlowDriver is a NetworkDriver whose network takes a while to be left.
type SlowDriver interface {
	NetworkDriver
	// Leave is Disconnect; done runs when the network is left or that takes too
	// long.
	Leave(done func())
}

// SplitDriver is a NetworkDriver that remembers whether only what is routed into
// the VPN goes through it.
type SplitDriver interface {
	NetworkDriver
	SetSplit(on bool)
}

// vpn is what a service has that is a VPN.
type vpn struct {
	s      *Service
	tunnel *Tunnel  // in use, nil while there is none
	link   Link     // of the last tunnel
	uplink *Service // what carries the tunnel's packets
}

// TunnelOpening tells that another program has the VPN connect.
func (n *Network) TunnelOpening() {
	if s := n.service; s != nil && s.vpn.startable() {
		s.begin(reasonNone)
		s.setStates(Association, "another program connects it")
	}
}

// TunnelOpen tells what the VPN's tunnel is like: when it opened, whoever asked
// for it, and when that changed.
func (n *Network) TunnelOpen(t Tunnel) {
	n.tunnel = &t
	w := n.device.m.wish(n.ServiceID(), n.info.VPN.Host)
	w.meet(&t)
	n.device.m.settle.servers = true
	if n.service != nil {
		n.service.vpn.open(n.tunnel)
	} else {
		w.guard = !n.info.VPN.Split // until its settings are read
	}
}

// TunnelClosed tells that the VPN's tunnel is gone, or will not come about,
// without having been asked to.
func (n *Network) TunnelClosed() {
	n.tunnel = nil
	if s := n.service; s != nil && s.busy() && s.state != Disconnect {
		n.Left()
	}
}

// SetVPN tells what is known of the VPN by now.
func (n *Network) SetVPN(info VPNInfo) {
	split := n.info.VPN.Split != info.Split
	n.info.VPN = info
	if n.service != nil && split {
		n.service.setSplit(info.Split)
	}
}

// current is the tunnel in use, nil for services that have none.
func (v *vpn) current() *Tunnel {
	if v == nil {
		return nil
	}
	return v.tunnel
}

// startable reports whether the service may go to association.
func (v *vpn) startable() bool {
	return (v.s.state == Idle || v.s.state == Failed) && v.s.network.device.powered
}

// open uses a tunnel that is there.
func (v *vpn) open(t *Tunnel) {
	s := v.s
	if v.startable() {
		s.begin(reasonNone)
		s.setStates(Association, "connected by another program")
	}
	if !s.state.Connecting() && !s.state.Connected() {
		return // it is being left
	}
	v.mark(t)
	v.tunnel, v.link = t, t.Link
	s.ipv4.config, s.ipv6.shown = t.IPv4.config(), t.IPv6.config()
	s.ipv4.setMethod(s.ipv4.wanted())
	v.configure(t)
}

// mark notes what a new tunnel changes. Of what is in use only while connected
// users hear then.
func (v *vpn) mark(t *Tunnel) {
	s, connected := v.s, v.s.state.Connected()
	var old Tunnel
	if v.tunnel != nil {
		old = *v.tunnel
	}
	note := func(differs, inUse bool, p ...Property) {
		if differs && (connected || !inUse) {
			for _, p := range p {
				s.mark(p)
			}
		}
	}
	note(old.IPv4 != t.IPv4, true, PropIPv4, PropIPv4Configuration)
	note(old.IPv6 != t.IPv6, true, PropIPv6)
	note(old.IPv6 != t.IPv6 || v.tunnel == nil, false, PropIPv6Configuration)
	note(old.Link != t.Link || old.LinkMTU != t.LinkMTU, false, PropEthernet)
	note(!slices.Equal(old.DNS.Servers, t.DNS.Servers), true, PropNameservers)
	note(!slices.Equal(old.DNS.Domains, t.DNS.Domains), false, PropDomains)
	note(old.PAC != t.PAC, true, PropProxy)
	s.m.settle.dns = true
}

// device describes the tunnel as a device.
func (v *vpn) device() DeviceInfo {
	info := DeviceInfo{Type: VPN}
	if v.tunnel != nil {
		info.Link, info.MTU = v.tunnel.Link, v.tunnel.LinkMTU
	}
	return info
}

// config is what is shown of a tunnel's end.
func (e TunnelEnd) config() netcfg.IPConfig {
	if !e.Addr.Prefix.IsValid() {
		return netcfg.IPConfig{}
	}
	return netcfg.IPConfig{Address: e.Addr.Prefix, Gateway: e.Server}
}

// configure gives the tunnel's link what belongs on it. The way to the server
// comes first: its packets must not go into the tunnel.
func (v *vpn) configure(t *Tunnel) {
	s := v.s
	links := s.m.ports.Links
	mode := netcfg.IPv6Disabled
	if t.IPv6.Addr.Prefix.IsValid() {
		mode = netcfg.IPv6Ours
	}
	links.SetIPv6(t.Link.Index, netcfg.IPv6Link{Mode: mode}, nil)
	links.SetUp(t.Link.Index, true, nil)
	apply := func(error) {
		if v.tunnel == t {
			s.applyLink(func(err error) { v.configured(t, err) })
		}
	}
	if v.uplink == nil {
		apply(nil)
		return
	}
	v.uplink.applyLink(apply)
}

// configured draws the conclusion of configure.
func (v *vpn) configured(t *Tunnel, err error) {
	s := v.s
	switch {
	case v.tunnel != t:
	case err != nil:
		s.m.log.Error("cannot configure tunnel", "service", s.id, "interface", t.Link.Name, "err", err)
		s.fail(ConnectFailed)
	default:
		if s.full() && !s.state.Connected() && len(s.assignedServers()) == 0 {
			s.m.log.Warn("the VPN takes all traffic but names no DNS server, only FallbackNameservers are asked",
				"service", s.id, "fallback", s.m.fallbackDNS)
		}
		v.settle(&s.ipv4.state, t.IPv4, "ipv4")
		v.settle(&s.ipv6.state, t.IPv6, "ipv6")
		s.updateState("tunnel open")
		s.addressChanged()
	}
}

// settle gives a family the state that comes of its part in the tunnel.
func (v *vpn) settle(state *State, end TunnelEnd, family string) {
	switch has := end.Addr.Prefix.IsValid(); {
	case has && *state != Online:
		if *state == Idle {
			v.s.setFamilyState(state, Configuration, family, "in the tunnel now")
		}
		v.s.setFamilyState(state, Ready, family, "tunnel open")
	case !has && state.Connected():
		v.s.setFamilyState(state, Disconnect, family, "not in the tunnel")
		v.s.setFamilyState(state, Idle, family, "not in the tunnel")
	case !has:
		v.s.setFamilyState(state, Idle, family, "not in the tunnel")
	}
}

// close forgets the tunnel; its link is still to be told.
func (v *vpn) close() { v.tunnel, v.uplink = nil, nil }

func (v *vpn) ipv4Method() IPv4Method {
	switch {
	case v.tunnel == nil:
		return IPv4Manual
	case v.tunnel.IPv4.Addr.Prefix.IsValid():
		return IPv4Fixed
	}
	return IPv4Off
}

func (v *vpn) ipv6Method() IPv6Method {
	switch {
	case v.tunnel == nil:
		return IPv6Auto
	case v.tunnel.IPv6.Addr.Prefix.IsValid():
		return IPv6Fixed
	}
	return IPv6Off
}

// full reports whether the VPN takes everything that it can carry.
func (s *Service) full() bool { return s.vpn != nil && !s.settings.SplitRouting }

// carriesAll reports whether a family's traffic to anywhere goes into the tunnel.
func (v *vpn) carriesAll(ipv4 bool) bool {
	if v.tunnel == nil || !v.s.full() {
		return false
	}
	if ipv4 {
		return v.tunnel.IPv4.Addr.Prefix.IsValid()
	}
	return v.tunnel.IPv6.Addr.Prefix.IsValid()
}

// Provider describes the VPN; ok is false for services that are none.
func (s *Service) Provider() (info VPNInfo, ok bool) {
	if s.vpn == nil {
		return VPNInfo{}, false
	}
	info = s.network.info.VPN
	info.Split = s.settings.SplitRouting
	return info, true
}

// SplitRouting reports whether only what is routed into the VPN goes through it.
func (s *Service) SplitRouting() bool { return s.settings.SplitRouting }

// setSplit has only what is routed into the VPN go through it, or everything.
func (s *Service) setSplit(on bool) {
	if s.vpn == nil || s.settings.SplitRouting == on {
		return
	}
	s.settings.SplitRouting = on
	s.save()
	s.mark(PropSplitRouting)
	if d, ok := s.network.driver.(SplitDriver); ok {
		d.SetSplit(on)
	}
	if w := s.m.wishes[s.id]; w != nil && w.served {
		w.guard = !on
	}
	if s.state.Connected() {
		s.applyLink(nil)
	}
	s.m.settle.dns, s.m.settle.order = true, true
}

// splittable reports whether something is routed into the VPN, so that it is of
// use without the default route.
func (v *vpn) splittable() bool {
	return v.tunnel != nil && slices.ContainsFunc(v.tunnel.Routes, func(r netcfg.Route) bool { return v.takes(r.Dst) })
}

// uplink is the service that carries tunnels: the first one that is none.
func (m *Manager) uplink() *Service {
	for _, s := range m.services {
		if s.vpn == nil && s.state.Connected() {
			return s
		}
	}
	return nil
}

// followUplink has the VPNs connect anew whose packets took another way so far,
// and those that failed on it.
func (m *Manager) followUplink() {
	up := m.uplink()
	changed := up != m.settle.uplink
	m.settle.uplink = up
	var tunnels []*Service
	for _, s := range m.services {
		if s.vpn != nil {
			tunnels = append(tunnels, s)
		}
	}
	for _, s := range tunnels {
		switch v := s.vpn; {
		case s.state.Connected() || s.state.Connecting():
			if v.uplink == nil {
				v.uplink = up
			} else if v.uplink != up {
				s.m.log.Info("VPN connects anew as the way to it changed", "service", s.id)
				s.leave("the uplink changed", func() {})
			}
		case s.state == Failed && up != nil && changed && s.wanted():
			s.retry.reset()
			s.ClearError()
		}
	}
	if changed {
		m.settle.servers = true
		m.loop.Post("VPNs over the new uplink", m.autoConnect)
	}
}

// mayTunnel reports whether a VPN may connect beside the others: there is one
// default route to have.
func (m *Manager) mayTunnel(s *Service) bool {
	return m.uplink() != nil && (!s.full() || !slices.ContainsFunc(m.services, func(o *Service) bool {
		return o != s && o.full() && o.busy()
	}))
}

// compareVPN orders a VPN beside the service that carries it: before it, if
// everything is to go through the VPN, and behind it otherwise.
func (m *Manager) compareVPN(a, b *Service) int {
	switch {
	case a.vpn == nil && b.vpn == nil:
		return 0
	case a.vpn == nil:
		return -m.compareVPN(b, a)
	case b.vpn != nil:
		return first(a.full(), b.full())
	case a.vpn.uplink != nil && a.vpn.uplink != b:
		return m.compare(a.vpn.uplink, b)
	case a.full():
		return -1
	}
	return 1
}
