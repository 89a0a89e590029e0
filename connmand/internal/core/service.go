package core

import (
	"net/netip"
	"slices"
	"time"

	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// connectReason says who wanted a service connected.
type connectReason uint8

const (
	reasonNone connectReason = iota
	reasonAuto
	reasonUser
)

// Service is a network as its user sees it: with its settings, its state and
// its place in the order.
type Service struct {
	m       *Manager
	id      string
	kind    Type
	network *Network

	state   State // combine(ipv4.state, ipv6.state)
	ipv4    ipv4
	ipv6    ipv6
	failure Failure
	removed bool

	settings  ServiceSettings
	spec      *ServiceSpec // the specification that made the settings, if any
	stored    bool         // settings are worth writing: connected once, or changed by the user
	favorite  bool
	immutable bool
	ignore    bool // the user disconnected it: no connecting by itself

	reason      connectReason
	pending     func(error)   // the caller of Connect
	timeout     *loop.Timer   // ends an attempt to connect
	rejoined    *loop.Timer   // of the attempt that joined its network again
	access      access        // to a wireless network
	vpn         *vpn          // nil for all that are no VPNs
	caller      string        // who wants it connected: a unique bus name, "" for nobody
	retry       retry         // for attempts that failed
	online      onlineCheck   // of the way to the Internet
	report      func()        // cancels the error report to an agent
	leaving     []func()      // wait for the disconnect under way
	applied     appliedConfig // what the link was last told to have
	connectedAt time.Time     // by the loop's clock

	conflict     Conflict
	conflictTime time.Time
	conflictOver bool

	marks         marks
	settingsDirty bool
}

// addService makes the service of a network appear.
func (m *Manager) addService(n *Network, settings ServiceSettings, found bool) {
	id := n.ServiceID()
	if other := m.Service(id); other != nil {
		m.log.Warn("two links with one identity: the second waits for the first to go",
			"service", id, "first", other.network.device.info.Link.Name, "second", n.device.info.Link.Name)
		return
	}
	s := &Service{
		m: m, id: id, kind: n.device.info.Type, network: n,
		state:    Idle,
		settings: settings, stored: found,
	}
	if s.kind == VPN {
		s.vpn = &vpn{s: s}
		if !found {
			s.settings.SplitRouting = n.info.VPN.Split
		}
	}
	s.ipv4.init(s)
	s.ipv6.init(s)
	s.online.init(s)
	s.retry.s = s
	s.access.s = s
	s.settings.Name = n.info.Name
	s.favorite = found && (settings.Favorite || s.kind == Ethernet) || slices.Contains(m.cfg.DefaultFavorite, s.kind) || s.vpn != nil
	if s.settings.AutoConnect == nil {
		auto := slices.Contains(m.cfg.DefaultAutoConnect, s.kind)
		s.settings.AutoConnect = &auto
	}
	n.service = s
	m.services = append(m.services, s)
	m.markOrder()
	m.settle.order = true
	m.changes = append(m.changes, Change{Kind: ServiceAdded, Service: s})
	m.provision()
	m.autoConnect()
	n.device.found(s)
	if n.tunnel != nil {
		s.vpn.open(n.tunnel)
	}
}

// remove takes the service away because its network is gone.
func (s *Service) remove() {
	s.abandon("network gone")
	s.removed = true
	s.retry.stop()
	s.network.service = nil
	s.m.services = slices.DeleteFunc(s.m.services, func(o *Service) bool { return o == s })
	s.m.changes = append(s.m.changes, Change{Kind: ServiceRemoved, Service: s})
	s.m.serviceGone(s.id)
}

// serviceGone gives a network that waited for this identity its service.
func (m *Manager) serviceGone(id string) {
	for _, t := range m.technologies {
		for _, d := range t.devices {
			for _, n := range d.networks {
				if n.service == nil && n.ServiceID() == id {
					m.loadService(n)
					return
				}
			}
		}
	}
}

// ID is the service's name in object paths and in the state directory.
func (s *Service) ID() string { return s.id }

// Type is the service's technology.
func (s *Service) Type() Type { return s.kind }

// Name is what users call the service.
func (s *Service) Name() string { return s.settings.Name }

// State is the service's state.
func (s *Service) State() State { return s.state }

// Failure says why the service failed or is not trusted, if so.
func (s *Service) Failure() Failure { return s.failure }

// Favorite reports whether the service was connected before or counts as such.
func (s *Service) Favorite() bool { return s.favorite }

// Immutable reports whether a provisioning file made the settings.
func (s *Service) Immutable() bool { return s.immutable }

// AutoConnect reports whether the service connects by itself.
func (s *Service) AutoConnect() bool { return s.favorite && *s.settings.AutoConnect }

// Device describes the device that the service is reached through: without a
// link while there is none.
func (s *Service) Device() DeviceInfo {
	if s.vpn != nil {
		return s.vpn.device()
	}
	return s.network.device.info
}

// Settings returns the settings as the user or a provisioning file made them.
func (s *Service) Settings() ServiceSettings { return s.settings }

// IPv4 returns the method in use and, while the service is connected, the
// configuration in use.
func (s *Service) IPv4() (method IPv4Method, config netcfg.IPConfig, connected bool) {
	return s.ipv4.method, s.ipv4.config, s.ipv4.state.Connected()
}

// IPv4Configuration returns the settings as they are in force: the method is
// IPv4Auto while a link-local address stands in for DHCP.
func (s *Service) IPv4Configuration() IPv4Settings {
	c := s.settings.IPv4
	c.Method = s.ipv4.method
	if s.vpn != nil {
		c.Address, c.Gateway = s.ipv4.config.Address, s.ipv4.config.Gateway
	}
	return c
}

// IPv6 returns the method in use and, while the service is connected, the
// configuration in use.
func (s *Service) IPv6() (method IPv6Method, config netcfg.IPConfig, connected bool) {
	method = s.ipv6.method()
	if s.ipv6.tunnel.ready {
		method = IPv6To4
	}
	return method, s.ipv6.shown, s.ipv6.state.Connected()
}

// IPv6Configuration returns the IPv6 settings.
func (s *Service) IPv6Configuration() IPv6Settings {
	c := s.settings.IPv6
	if s.vpn != nil {
		c.Method, c.Address, c.Gateway = s.ipv6.method(), s.ipv6.shown.Address, s.ipv6.shown.Gateway
	}
	if c.Method == "" {
		c.Method = IPv6Auto
	}
	if c.Privacy == "" {
		c.Privacy = PrivacyDisabled
	}
	return c
}

// Nameservers returns the servers in use, none while not connected.
func (s *Service) Nameservers() []netip.Addr {
	if !s.state.Connected() {
		return nil
	}
	if servers := s.assignedServers(); len(servers) > 0 {
		return servers
	}
	return s.m.fallbackDNS
}

// naming is what the service contributes to name resolution.
func (s *Service) naming() netcfg.DNSConfig {
	c := netcfg.DNSConfig{Servers: s.Nameservers(), Domains: s.Domains()}
	if s.spec != nil {
		c.TLS, c.Names = s.spec.DNSOverTLS, s.spec.ServerNames
	}
	return c
}

// assignedServers are the name servers that the user or the network named,
// known also before the service is connected.
func (s *Service) assignedServers() []netip.Addr {
	if own := parseAddrs(s.settings.Nameservers); len(own) > 0 {
		return own
	}
	if s.spec != nil && len(s.spec.Nameservers) > 0 {
		return parseAddrs(s.spec.Nameservers)
	}
	var servers []netip.Addr
	if t := s.vpn.current(); t != nil {
		servers = t.DNS.Servers
	}
	if l := s.ipv4.lease; l != nil {
		servers = l.DNS.Servers
	}
	return union(servers, s.ipv6.dns().Servers)
}

// Domains returns the search domains in use.
func (s *Service) Domains() []string {
	if !s.state.Connected() && !s.state.Connecting() {
		return nil
	}
	if len(s.settings.Domains) > 0 {
		return s.settings.Domains
	}
	var domains []string
	if t := s.vpn.current(); t != nil {
		domains = t.DNS.Domains
	}
	if l := s.ipv4.lease; l != nil {
		domains = l.DNS.Domains
	}
	return union(domains, s.ipv6.dns().Domains)
}

// MDNS reports whether multicast DNS is in use: wanted, and within what the
// machine's resolver can do.
func (s *Service) MDNS() bool {
	return s.state.Connected() && s.settings.MDNS && s.m.multicastDNS
}

// Timeservers returns the time servers in use, most preferred first.
func (s *Service) Timeservers() []string {
	if !s.state.Connected() {
		return nil
	}
	var all []string
	add := func(servers ...string) {
		for _, server := range servers {
			if !slices.Contains(all, server) {
				all = append(all, server)
			}
		}
	}
	add(s.settings.Timeservers...)
	if s.spec != nil {
		add(s.spec.Timeservers...)
	}
	if l := s.ipv4.lease; l != nil {
		add(l.Timeservers...)
	}
	add(s.ipv6.timeservers()...)
	if gw := s.ipv4.config.Gateway; s.m.cfg.UseGatewaysAsTime && gw.IsValid() && s.vpn == nil {
		add(gw.String())
	}
	add(s.m.cfg.FallbackTimeservers...)
	return all
}

// Proxy returns the way to the web in use, nothing while not connected.
func (s *Service) Proxy() netcfg.ProxyConfig {
	if !s.state.Connected() {
		return netcfg.ProxyConfig{}
	}
	p := s.settings.Proxy
	if l := s.ipv4.lease; l != nil && l.WPAD != "" && (p.Method == "" || p.Method == netcfg.ProxyAuto && p.URL == "") {
		return netcfg.ProxyConfig{Method: netcfg.ProxyAuto, URL: l.WPAD}
	}
	if t := s.vpn.current(); t != nil && p.Method == "" {
		if t.PAC != "" {
			p = netcfg.ProxyConfig{Method: netcfg.ProxyAuto, URL: t.PAC}
		}
		return p
	}
	if p.Method == "" || p.Method == netcfg.ProxyAuto && p.URL == "" {
		return netcfg.ProxyConfig{Method: netcfg.ProxyDirect}
	}
	return p
}

// LastConflict returns the last address conflict, when it was seen and whether
// it is over. The time is zero when conflicts are not looked for.
func (s *Service) LastConflict() (c Conflict, at time.Time, over bool) {
	return s.conflict, s.conflictTime, s.conflictOver
}

// parseAddrs returns those of the texts that are addresses a server can have.
func parseAddrs(texts []string) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		if err == nil && !a.IsUnspecified() && !a.IsMulticast() && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
