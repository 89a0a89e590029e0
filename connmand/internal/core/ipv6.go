package core

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"net.connman/pkg/netcfg"
)

// ipv6 is the IPv6 side of a service: it runs the protocols that the method and
// the routers ask for and keeps the state that comes of them. It is ready when
// the kernel has found one of its addresses to be unique.
type ipv6 struct {
	s      *Service
	state  State
	run    int             // counts starts and stops, to know answers to older ones
	link   netcfg.IPv6Link // how the kernel was last told to treat the link
	shown  netcfg.IPConfig // what users were last told of
	silent bool            // no router answered: nothing of an earlier run is kept for one
	absent bool            // the kernel had no IPv6 the last time

	discovery RouterDiscoveryClient
	info      *RouterInfo // nil: no router was heard
	dhcp      DHCP6Client
	stateful  bool // dhcp asks for addresses
	deaf      bool // no DHCPv6 server answered, or what one gave is over
	lease     *Lease6
	leasedAt  time.Time // when lease was reported

	tunnel sixToFour

	awaits   map[netip.Addr]func()
	verdicts map[netip.Addr]bool // false: another machine has the address
}

func (v *ipv6) init(s *Service) {
	v.s = s
	v.state = Idle
}

// method is the one that settings ask for. 6to4 is a case of auto.
func (v *ipv6) method() IPv6Method {
	if v.s.vpn != nil {
		return v.s.vpn.ipv6Method()
	}
	settings := v.s.settings.IPv6
	switch settings.Method {
	case IPv6Off:
		return IPv6Off
	case IPv6Manual, IPv6Fixed:
		if settings.Address.IsValid() {
			return settings.Method
		}
	}
	return IPv6Auto
}

// enabled reports whether the service is to use IPv6 at all.
func (v *ipv6) enabled() bool { return v.method() != IPv6Off && !v.absent }

// active reports whether the protocols run.
func (v *ipv6) active() bool { return v.state.Connected() || v.state == Configuration }

// start begins to configure the link, which is associated.
func (v *ipv6) start() {
	v.run++
	v.forget()
	if v.method() == IPv6Off {
		v.setLink(netcfg.IPv6Link{Mode: netcfg.IPv6Disabled}, nil)
		return
	}
	v.setState(Configuration, "address wanted")
	v.hold(netcfg.IPv6Link{Mode: v.mode()}, func() {
		v.absent = false
		v.begin()
	})
}

// hold has the link speak IPv6; ready runs when it does.
func (v *ipv6) hold(link netcfg.IPv6Link, ready func()) {
	run := v.run
	v.setLink(link, func(err error) {
		switch {
		case run != v.run:
		case err != nil:
			v.unavailable(err)
		default:
			ready()
		}
	})
}

// begin looks for what the method needs, on a link that speaks IPv6.
func (v *ipv6) begin() {
	if v.method() != IPv6Auto {
		v.update("settings")
		return
	}
	v.discovery = v.s.m.ports.RouterDiscovery.Start(RouterDiscoveryRequest{Link: v.s.Device().Link}, v.onRouters)
}

// mode is how the kernel is to treat the link while the service uses it.
func (v *ipv6) mode() netcfg.IPv6Mode {
	switch v.s.settings.IPv6.Privacy {
	case PrivacyEnabled:
		return netcfg.IPv6Temporary
	case PrivacyPrefered:
		return netcfg.IPv6PreferTemporary
	}
	return netcfg.IPv6Ours
}

// unavailable goes without IPv6, which the kernel has not, or not any more.
func (v *ipv6) unavailable(err error) {
	v.s.m.log.Info("no IPv6", "interface", v.s.Device().Link.Name, "because", err)
	v.absent = true
	if !v.s.ipv4.enabled() {
		v.s.fail(ConnectFailed)
		return
	}
	v.stop(false)
	v.forget()
	v.s.switchOff(&v.state, "ipv6")
}

func (v *ipv6) setLink(link netcfg.IPv6Link, done func(error)) {
	v.link = link
	v.s.m.ports.Links.SetIPv6(v.s.Device().Link.Index, link, done)
}

func (v *ipv6) onRouters(e RouterEvent) {
	switch e := e.(type) {
	case RoutersSeen:
		v.setInfo(&e.Info)
		v.followFlags()
		v.update("router advertisement")
	case RoutersNoAnswer:
		v.silent = true
		v.update("no router")
	}
}

// setInfo notes what routers say and what that changes on the link.
func (v *ipv6) setInfo(info *RouterInfo) {
	v.change(func() { v.info = info })
	link := netcfg.IPv6Link{Mode: v.mode(), MTU: info.MTU, HopLimit: info.HopLimit}
	if link != v.link {
		v.hold(link, func() {})
	}
}

// followFlags runs DHCPv6 as routers ask for it. A client that has addresses
// goes on with them, whatever routers say meanwhile (RFC 4862, 5.5.2). Prefixes
// are asked for wherever there is DHCPv6 (RFC 7084, WPD-7), if there is a use for
// them.
func (v *ipv6) followFlags() {
	if v.info == nil {
		return
	}
	wanted := v.info.Managed || v.info.Other
	switch {
	case v.dhcp != nil && v.stateful && v.lease != nil:
		return
	case v.dhcp != nil && wanted && v.stateful == v.info.Managed:
		return
	case v.dhcp != nil:
		v.stopDHCP(true)
	}
	if !wanted {
		return
	}
	s := v.s
	v.stateful, v.deaf = v.info.Managed, false
	v.dhcp = s.m.ports.DHCP6.Start(DHCP6Request{
		Link: s.Device().Link, DUID: s.duid(), Last: s.settings.LastAddress6,
		Stateful: v.stateful, Prefixes: s.m.sharing(),
	}, v.onDHCP)
}

func (v *ipv6) onDHCP(e DHCP6Event) {
	switch e := e.(type) {
	case DHCP6Bound:
		v.change(func() { v.lease, v.leasedAt = &e.Lease, v.s.m.loop.Now() })
		if len(e.Lease.Addresses) > 0 {
			v.s.rememberAddress6(e.Lease.Addresses[0].Address)
		}
		v.update("DHCPv6 lease")
	case DHCP6Lost:
		v.change(func() { v.lease = nil })
		v.followFlags() // which may have changed while there was a lease
		v.deaf = true   // nothing of it is kept for an answer still to come
		v.update("DHCPv6 lease lost")
	case DHCP6NoAnswer:
		v.deaf = true
		v.update("no DHCPv6 server")
	}
}

// change lets edit change what the network said and marks what that changes.
func (v *ipv6) change(edit func()) {
	s := v.s
	servers, domains, timeservers, prefixes := v.dns().Servers, v.dns().Domains, v.timeservers(), s.DelegatedPrefixes()
	edit()
	s.tellPrefixes(prefixes)
	if !slices.Equal(servers, v.dns().Servers) {
		if s.state.Connected() { // before, none are in use
			s.mark(PropNameservers)
		}
		s.m.settle.dns = true
	}
	if !slices.Equal(domains, v.dns().Domains) {
		s.mark(PropDomains)
		s.m.settle.dns = true
	}
	if !slices.Equal(timeservers, v.timeservers()) {
		s.mark(PropTimeservers)
	}
}

// update gives the link what is known now and draws the conclusions.
func (v *ipv6) update(reason string) {
	if !v.active() {
		return
	}
	v.s.applyLink(nil) // what fails is tried again; addresses are waited for
	v.awaitAddresses()
	v.follow6to4()
	v.conclude(reason)
}

// awaitAddresses has the kernel tell of each address whether it is unique.
func (v *ipv6) awaitAddresses() {
	wanted := v.config().addrs
	gone := func(a netip.Addr) bool {
		return !slices.ContainsFunc(wanted, func(w netcfg.Addr) bool { return w.Prefix.Addr() == a })
	}
	for a, cancel := range v.awaits {
		if gone(a) {
			cancel()
			delete(v.awaits, a)
		}
	}
	maps.DeleteFunc(v.verdicts, func(a netip.Addr, unique bool) bool { return unique && gone(a) })
	for _, w := range wanted {
		a := w.Prefix.Addr()
		_, known := v.verdicts[a]
		if _, waiting := v.awaits[a]; known || waiting {
			continue
		}
		v.awaits[a] = v.s.m.ports.Links.AwaitAddress(v.s.Device().Link.Index, a, func(unique bool) {
			delete(v.awaits, a)
			v.verdicts[a] = unique
			if unique {
				v.s.conflictResolved(a)
				v.conclude("address in place")
			} else {
				v.duplicate(a)
			}
		})
	}
}

// duplicate goes without an address that another machine has (RFC 4862, 5.4.5).
func (v *ipv6) duplicate(a netip.Addr) {
	v.s.m.log.Warn("address in use by another machine", "service", v.s.id, "address", a)
	v.s.conflictSeen(Conflict{Address: a})
	if v.leased(a) {
		v.dhcp.Decline(a)
	}
	v.update("address in use by another machine")
	if v.method() != IPv6Auto && !v.s.ipv4.enabled() {
		v.s.fail(ConnectFailed)
	}
}

func (v *ipv6) leased(a netip.Addr) bool {
	return v.dhcp != nil && v.lease != nil &&
		slices.ContainsFunc(v.lease.Addresses, func(l LeasedAddress) bool { return l.Address == a })
}

// conclude makes the state what the addresses say.
func (v *ipv6) conclude(reason string) {
	shown := v.inUse()
	changed := !shown.Equal(v.shown)
	v.shown = shown
	switch usable := shown.Address.IsValid(); {
	case usable && !v.state.Connected():
		v.setState(Ready, reason)
	case !usable && v.state.Connected():
		v.setState(Configuration, "no address left")
	}
	if changed {
		v.s.mark(PropIPv6)
		v.s.addressChanged()
	}
}

// inUse is what to show.
func (v *ipv6) inUse() netcfg.IPConfig {
	if v.tunnel.ready {
		return netcfg.IPConfig{Address: v.tunnel.address(), Gateway: relay6to4}
	}
	config := v.config()
	shown := netcfg.IPConfig{Address: v.best(config.addrs)}
	if len(config.gateways) > 0 {
		shown.Gateway = config.gateways[0]
	}
	return shown
}

// best is the address to show: the first that is unique, one that is not
// deprecated if there is one.
func (v *ipv6) best(addrs []netcfg.Addr) (best netip.Prefix) {
	for _, a := range addrs {
		switch {
		case !v.verdicts[a.Prefix.Addr()]:
		case !a.Deprecated:
			return a.Prefix
		case !best.IsValid():
			best = a.Prefix
		}
	}
	return best
}

// stop ends the protocols, the addresses stay until the link is told.
func (v *ipv6) stop(release bool) {
	v.run++
	if v.discovery != nil {
		v.discovery.Stop()
		v.discovery = nil
	}
	v.stopDHCP(release)
	v.closeTunnel()
	for _, cancel := range v.awaits {
		cancel()
	}
	v.awaits = nil
}

func (v *ipv6) stopDHCP(release bool) {
	if v.dhcp != nil {
		v.dhcp.Stop(release)
		v.dhcp = nil
		v.change(func() { v.lease = nil })
	}
}

// clear forgets what the protocols brought and has the link left in peace.
func (v *ipv6) clear() {
	v.forget()
	if v.link.Mode != netcfg.IPv6Kernel {
		v.setLink(netcfg.IPv6Link{Mode: netcfg.IPv6Quiet}, nil)
	}
}

func (v *ipv6) forget() {
	v.change(func() { v.info, v.lease = nil, nil })
	if v.shown.Address.IsValid() {
		v.s.mark(PropIPv6)
	}
	v.shown = netcfg.IPConfig{}
	v.silent, v.deaf = false, false
	v.awaits, v.verdicts = make(map[netip.Addr]func()), make(map[netip.Addr]bool)
}

func (v *ipv6) setState(new State, reason string) {
	if v.s.setFamilyState(&v.state, new, "ipv6", reason) {
		v.s.updateState(reason)
	}
}

// dns is what the network named, DHCPv6 first.
func (v *ipv6) dns() (dns netcfg.DNSConfig) {
	if v.lease != nil {
		dns = v.lease.DNS
	}
	if v.info != nil {
		dns.Servers = union(dns.Servers, v.info.DNS.Servers)
		dns.Domains = union(dns.Domains, v.info.DNS.Domains)
	}
	return dns
}

func (v *ipv6) timeservers() []string {
	if v.lease == nil {
		return nil
	}
	return v.lease.Timeservers
}

// union is all of a and then what b has beyond that.
func union[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, e := range b {
		if !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all
}

// duid is the name under which DHCPv6 servers know the machine on this service,
// made when it is first asked for.
func (s *Service) duid() DUID {
	if s.settings.DUID == "" {
		s.settings.DUID = NewDUID(s.Device().Link.Addr, time.Now())
		s.save()
	}
	return s.settings.DUID
}

// rememberAddress6 keeps the address for asking the server for it again.
func (s *Service) rememberAddress6(a netip.Addr) {
	if s.settings.LastAddress6 != a {
		s.settings.LastAddress6 = a
		s.save()
	}
}
