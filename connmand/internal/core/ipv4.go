package core

import (
	"net/netip"
	"slices"
	"time"

	"net.connman/pkg/netcfg"
)

// ipv4 is the IPv4 side of a service: it runs the protocols that the method
// asks for and keeps the state that comes of them.
type ipv4 struct {
	s      *Service
	state  State
	method IPv4Method      // in force; auto while a link-local address stands in for DHCP
	config netcfg.IPConfig // what the link has or is being given
	lease  *Lease

	dhcp      DHCP4Client
	linkLocal LinkLocalClient
	watch     ConflictWatch
}

func (v *ipv4) init(s *Service) {
	v.s = s
	v.state = Idle
	v.method = v.wanted()
}

// wanted is the method that settings ask for, or a VPN's tunnel.
func (v *ipv4) wanted() IPv4Method {
	if v.s.vpn != nil {
		return v.s.vpn.ipv4Method()
	}
	return configuredMethod(v.s.settings.IPv4)
}

// configuredMethod is the method that settings ask for.
func configuredMethod(settings IPv4Settings) IPv4Method {
	switch settings.Method {
	case "", IPv4Auto: // auto is what DHCP falls back to, never a wish of its own
		return IPv4DHCP
	case IPv4Manual, IPv4Fixed:
		if !settings.Address.IsValid() {
			return IPv4DHCP
		}
	}
	return settings.Method
}

// enabled reports whether the service is to use IPv4 at all.
func (v *ipv4) enabled() bool { return v.wanted() != IPv4Off }

// routable reports whether the family can carry traffic to anywhere.
func (v *ipv4) routable() bool {
	if v.s.vpn != nil {
		return v.s.vpn.carriesAll(true)
	}
	return v.config.Gateway.IsValid()
}

// start begins to configure the link, which is associated.
func (v *ipv4) start() {
	v.setMethod(v.wanted())
	v.setState(Configuration, "address wanted")
	switch v.method {
	case IPv4DHCP:
		v.startDHCP()
	case IPv4Manual, IPv4Fixed:
		v.startManual()
	}
}

func (v *ipv4) startDHCP() {
	s := v.s
	v.dhcp = s.m.ports.DHCP4.Start(DHCPRequest{
		Link:           s.Device().Link,
		Network:        s.networkName(),
		Last:           s.settings.IPv4.LastAddress,
		Hostname:       s.m.ports.Hostnames.Hostname(),
		VendorClass:    s.m.cfg.VendorClassID,
		CheckConflicts: s.m.cfg.ConflictDetection,
	}, v.onDHCP)
}

func (v *ipv4) onDHCP(e DHCPEvent) {
	switch e := e.(type) {
	case DHCPBound:
		v.stopLinkLocal()
		v.setMethod(IPv4DHCP)
		v.setLease(&e.Lease)
		v.s.conflictResolved(e.Lease.IP.Address.Addr())
		v.use(e.Lease.IP)
		v.s.rememberAddress(e.Lease.IP.Address.Addr())
	case DHCPLost:
		v.s.conflictSeen(e.Conflict)
		v.setLease(nil)
		v.drop("lease lost")
	case DHCPNoAnswer:
		v.startLinkLocal()
	}
}

func (v *ipv4) startManual() {
	settings := v.s.settings.IPv4
	config := netcfg.IPConfig{
		Address:   settings.Address,
		Gateway:   settings.Gateway,
		Broadcast: broadcastOf(settings.Address),
	}
	if !v.s.m.cfg.ConflictDetection {
		v.use(config)
		return
	}
	v.watch = v.s.m.ports.Conflicts.Watch(v.s.Device().Link, settings.Address.Addr(), func(e ConflictEvent) {
		switch e := e.(type) {
		case AddressFree:
			v.s.conflictResolved(config.Address.Addr())
			v.use(config)
		case AddressTaken:
			v.watch = nil
			v.s.conflictSeen(e.Conflict)
			v.drop("address in use by another machine")
			v.startLinkLocal()
		}
	})
}

// startLinkLocal gives the link an address that needs no server. Where DHCP
// is wanted it goes on looking for one.
func (v *ipv4) startLinkLocal() {
	if v.linkLocal != nil || v.state.Connected() {
		return
	}
	v.linkLocal = v.s.m.ports.LinkLocal.Start(v.s.Device().Link, v.s.settings.IPv4.LastAddress, func(e LinkLocalEvent) {
		switch e := e.(type) {
		case LinkLocalBound:
			v.setMethod(IPv4Auto)
			address := netip.PrefixFrom(e.Address, 16)
			v.use(netcfg.IPConfig{Address: address, Broadcast: broadcastOf(address)})
		case LinkLocalLost:
			v.s.conflictSeen(e.Conflict)
			v.drop("link-local address lost")
		}
	})
}

// use gives the link config; the service is ready when the kernel has it.
func (v *ipv4) use(config netcfg.IPConfig) {
	changed := !v.config.Equal(config)
	v.config = config
	v.s.applyLink(func(err error) {
		if err != nil {
			v.s.m.log.Error("cannot configure link", "interface", v.s.Device().Link.Name, "err", err)
			v.s.fail(ConnectFailed)
			return
		}
		if !v.state.Connected() {
			v.setState(Ready, "address in place")
		}
		v.s.ipv6.follow6to4()
		if changed {
			v.s.mark(PropIPv4)
			v.s.addressChanged()
		}
	})
}

// drop takes the address from the link and goes back to looking for one.
func (v *ipv4) drop(reason string) {
	if !v.config.Address.IsValid() {
		return
	}
	v.config = netcfg.IPConfig{}
	v.s.mark(PropIPv4)
	v.s.applied.waiting = nil
	v.s.applyLink(nil)
	v.setState(Configuration, reason)
	v.s.ipv6.follow6to4()
}

// stop ends the protocols, the address stays until the link is told.
func (v *ipv4) stop(release bool) {
	if v.dhcp != nil {
		v.dhcp.Stop(release)
		v.dhcp = nil
	}
	v.stopLinkLocal()
	if v.watch != nil {
		v.watch.Stop()
		v.watch = nil
	}
}

// clear forgets what the protocols brought.
func (v *ipv4) clear() {
	v.setLease(nil)
	v.config = netcfg.IPConfig{}
	v.setMethod(v.wanted())
}

func (v *ipv4) stopLinkLocal() {
	if v.linkLocal != nil {
		v.linkLocal.Stop()
		v.linkLocal = nil
	}
}

func (v *ipv4) setMethod(method IPv4Method) {
	if v.method != method {
		v.method = method
		v.s.mark(PropIPv4Configuration)
	}
}

// setLease notes a lease, or with nil its end, and marks what it changes. A
// lease without search domains searches the domain of the network.
func (v *ipv4) setLease(lease *Lease) {
	if lease != nil && len(lease.DNS.Domains) == 0 && lease.Domainname != "" {
		lease.DNS.Domains = []string{lease.Domainname}
	}
	old := v.lease
	v.lease = lease
	var was, is Lease
	if old != nil {
		was = *old
	}
	if lease != nil {
		is = *lease
	}
	s := v.s
	if !was.DNS.Equal(is.DNS) || was.Domainname != is.Domainname {
		if s.state.Connected() { // before, none are in use
			s.mark(PropNameservers)
		}
		s.mark(PropDomains)
		s.m.settle.dns = true
	}
	if !slices.Equal(was.Timeservers, is.Timeservers) {
		s.mark(PropTimeservers)
	}
	if was.WPAD != is.WPAD {
		s.mark(PropProxy)
	}
	if was.Hostname != is.Hostname || was.Domainname != is.Domainname {
		s.m.settle.hostnames = true
	}
}

func (v *ipv4) setState(new State, reason string) {
	if v.s.setFamilyState(&v.state, new, "ipv4", reason) {
		v.s.updateState(reason)
	}
}

// conflictSeen notes a conflict, of either family, for LastAddressConflict.
func (s *Service) conflictSeen(c Conflict) {
	if !c.Address.IsValid() {
		return
	}
	s.conflict, s.conflictTime, s.conflictOver = c, time.Now(), false
	s.mark(PropLastAddressConflict)
}

// conflictResolved notes that the service has an address of its own now, which
// ends a conflict of the same family.
func (s *Service) conflictResolved(has netip.Addr) {
	if at := s.conflict.Address; at.IsValid() && at.Is6() == has.Is6() && !s.conflictOver {
		s.conflictOver = true
		s.mark(PropLastAddressConflict)
	}
}

// rememberAddress keeps the address for asking the server for it again.
func (s *Service) rememberAddress(a netip.Addr) {
	if s.settings.IPv4.LastAddress != a {
		s.settings.IPv4.LastAddress = a
		s.save()
	}
}

// broadcastOf is the address of everyone on the prefix, invalid where there
// is none (RFC 3021).
func broadcastOf(p netip.Prefix) netip.Addr {
	if !p.IsValid() || !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
