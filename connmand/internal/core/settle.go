package core

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// settle is what a turn left to be done once, at its end.
type settle struct {
	order       bool
	dns         bool
	hostnames   bool
	autoConnect bool
	specs       bool
	servers     bool // those of VPNs, or what may go around VPNs

	state      string      // of the manager, as last marked
	preferred  *Service    // the default service, as last seen
	resolved   []LinkDNS   // as last set
	dnsPause   *loop.Timer // runs until the resolver may be told again
	uplink     *Service    // that carries VPNs, as last seen
	shielded   bool        // nothing may go around a VPN, as last seen
	refuses    bool        // IPv6 is refused, as last set
	vpnsKnown  bool        // the daemon of VPNs has answered since
	hostname   string      // as last set
	domainname string      // as last set
}

// endTurn draws the conclusions of what changed during the turn.
func (m *Manager) endTurn() {
	if m.stopping {
		return
	}
	if m.settle.specs {
		m.settle.specs = false
		m.applySpecs()
	}
	if m.settle.autoConnect {
		m.settle.autoConnect = false
		m.runAutoConnect()
	}
	if m.settle.order {
		m.settle.order = false
		m.sort()
		m.followShield()
		m.followDefault()
		m.followUplink()
	}
	if m.settle.servers {
		m.settle.servers = false
		m.reapply()
	}
	if m.settle.dns && m.settle.dnsPause == nil {
		m.settle.dns = false
		m.setDNS()
	}
	if m.settle.hostnames {
		m.settle.hostnames = false
		m.setHostnames()
	}
	m.writeSettings()
}

// followDefault moves everything that belongs to the default service when
// another one has become it.
func (m *Manager) followDefault() {
	old, new := m.settle.preferred, m.defaultService()
	m.settle.preferred = new
	if old != new {
		if old != nil && !old.online.demoted {
			old.downgrade("no longer the default service")
			m.sort()
		}
		m.settle.dns = true
		m.settle.hostnames = true
		if new != nil {
			m.log.Info("default service", "service", new.id, "interface", new.Device().Link.Name)
		}
	}
	if new != nil {
		new.online.start()
	}
	routes := m.defaultRoutes()
	for _, s := range m.services {
		if s.state.Connected() && s.applied.carries != routes.of(s) {
			s.applyLink(nil)
		}
	}
}

// defaultRoutes are the services that have the default routes of both
// families: the first with a router each. A service without one never takes it
// from another.
type defaultRoutes struct{ ipv4, ipv6 *Service }

func (m *Manager) defaultRoutes() (d defaultRoutes) {
	for _, s := range m.services {
		if !s.state.Connected() {
			continue
		}
		if d.ipv4 == nil && s.ipv4.routable() {
			d.ipv4 = s
		}
		if d.ipv6 == nil && s.ipv6.routable() {
			d.ipv6 = s
		}
	}
	return d
}

// of says which of them s has.
func (d defaultRoutes) of(s *Service) carries { return carries{d.ipv4 == s, d.ipv6 == s} }

// carries says which default routes a service has.
type carries struct{ ipv4, ipv6 bool }

// appliedConfig is what a service last asked its link to have.
type appliedConfig struct {
	carries    carries
	generation int
	waiting    []func(error)
}

// applyLink gives the service's link all that belongs on it. done runs when
// the kernel has it, also when a newer request overtook this one.
func (s *Service) applyLink(done func(error)) {
	a := &s.applied
	if done != nil {
		a.waiting = append(a.waiting, done)
	}
	a.generation++
	generation := a.generation
	routes := s.m.defaultRoutes()
	a.carries = carries{
		ipv4: s.ipv4.routable() && (routes.ipv4 == s || routes.ipv4 == nil),
		ipv6: s.ipv6.routable() && (routes.ipv6 == s || routes.ipv6 == nil),
	}
	s.m.ports.Links.Apply(s.linkIndex(), s.linkConfig(a.carries), func(err error) {
		if generation != a.generation {
			return
		}
		waiting := a.waiting
		a.waiting = nil
		for _, done := range waiting {
			done(err)
		}
	})
}

// linkIndex is that of the link that the service has, or had last.
func (s *Service) linkIndex() int {
	if s.vpn != nil {
		return s.vpn.link.Index
	}
	return s.Device().Link.Index
}

// Services other than the default one have their default route too, so that
// sockets bound to their interface find a way, but at a metric that nothing
// else chooses. The numbers are the reference's.
const (
	metricBase = math.MaxUint32
	metricStep = 1 << 10
	metricLow  = 1 << 20 // never go below: others use these
)

func lowPriority(index int) uint32 {
	return uint32(max(metricBase-int64(index)*metricStep, metricLow))
}

// linkConfig is all that belongs on the service's link.
func (s *Service) linkConfig(has carries) netcfg.LinkConfig {
	var config netcfg.LinkConfig
	if s.vpn != nil {
		return s.vpn.config(has)
	}
	s.ipv4.addTo(&config, has.ipv4)
	s.ipv6.addTo(&config, has.ipv6)
	s.addServers(&config)
	return config
}

// addTo adds what belongs on the link for IPv4.
func (v *ipv4) addTo(config *netcfg.LinkConfig, carriesDefault bool) {
	s, c := v.s, v.config
	if !c.Address.IsValid() {
		return
	}
	config.Addrs = append(config.Addrs, netcfg.Addr{Prefix: c.Address, Broadcast: c.Broadcast})
	if !s.shut() {
		config.Routes = append(config.Routes, c.Routes...)
	}
	config.MTU = c.MTU
	if !c.Gateway.IsValid() {
		return
	}
	metric := uint32(0)
	if !carriesDefault {
		metric = lowPriority(s.Device().Link.Index)
	}
	onLink := c.Address.Masked()
	if !onLink.Contains(c.Gateway) {
		config.Routes = append(config.Routes, netcfg.Route{Dst: netip.PrefixFrom(c.Gateway, 32), Metric: metric})
	}
	config.Routes = append(config.Routes, netcfg.Route{
		Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Gateway: c.Gateway, Metric: metric,
	})
	if s.shut() {
		return
	}
	for _, server := range s.assignedServers() {
		if server.Is4() && !onLink.Contains(server) && server != c.Gateway {
			config.Routes = append(config.Routes, netcfg.Route{
				Dst: netip.PrefixFrom(server, 32), Gateway: c.Gateway, Metric: metric,
			})
		}
	}
}

// dnsInterval is the least time between two changes of name resolution; as each
// of them lists every connected service, it is dnsEach for each where that is
// longer.
const (
	dnsInterval = 100 * time.Millisecond
	dnsEach     = time.Millisecond
)

// setDNS tells the resolver about all connected services, in order.
func (m *Manager) setDNS() {
	links := make([]LinkDNS, 0, len(m.services))
	for _, s := range m.services {
		if s.state.Connected() {
			links = append(links, s.linkDNS())
		}
	}
	fallback := m.fallbackDNS
	if m.shielded() {
		fallback = nil
	}
	if !slices.EqualFunc(links, m.settle.resolved, LinkDNS.Equal) {
		m.settle.resolved = links
		m.ports.Resolver.Set(links, fallback)
		pause := max(dnsInterval, time.Duration(len(links))*dnsEach)
		m.settle.dnsPause = m.loop.After("name resolution", pause, func() { m.settle.dnsPause = nil })
	}
}

// linkDNS is what the service contributes to name resolution. Beside a VPN that
// takes everything it is not asked for more than where the VPN's server is.
func (s *Service) linkDNS() LinkDNS {
	l := LinkDNS{
		Link: s.Device().Link,
		DNS:  s.naming(),
		MDNS: s.settings.MDNS,
	}
	switch {
	case s.vpn != nil:
		l.Split = !s.full()
	case s.shut():
		l.Split, l.MDNS, l.DNS.Domains = true, false, nil
		l.Hosts = s.m.serverNames()
	}
	return l
}

// setHostnames gives the machine the names that the default service's network
// has for it.
func (m *Manager) setHostnames() {
	var lease Lease
	s := m.settle.preferred
	if s != nil && s.vpn != nil {
		s = m.uplink() // whose network the machine is in
	}
	if s != nil && s.ipv4.lease != nil {
		lease = *s.ipv4.lease
	}
	if m.cfg.AllowHostnameUpdates && lease.Hostname != m.settle.hostname {
		m.settle.hostname = lease.Hostname
		m.ports.Hostnames.SetHostname(lease.Hostname)
	}
	if m.cfg.AllowDomainnameUpdates && lease.Domainname != m.settle.domainname {
		m.settle.domainname = lease.Domainname
		m.ports.Hostnames.SetDomainname(lease.Domainname)
	}
}

// Persist has settings that just changed written without delay; done runs when
// they would survive a crash, at once if nothing changed.
func (m *Manager) Persist(done func()) {
	if !m.globalDirty && !slices.ContainsFunc(m.services, func(s *Service) bool { return s.settingsDirty }) {
		done()
		return
	}
	m.writeSettings()
	m.ports.Storage.Sync(done)
}

func (m *Manager) writeSettings() {
	if m.globalDirty {
		m.globalDirty = false
		m.ports.Storage.SaveGlobal(m.global)
	}
	for _, s := range m.services {
		if s.settingsDirty {
			s.settingsDirty = false
			s.settings.Favorite = s.favorite
			m.ports.Storage.SaveService(s.id, s.settings)
		}
	}
}
