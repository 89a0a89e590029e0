package core

import (
	"maps"
	"slices"
)

// SetSpecs replaces the provisioned services by those that the provisioning
// files name now.
func (m *Manager) SetSpecs(specs []ServiceSpec) {
	hidden := m.HiddenSSIDs()
	m.specs, m.specsKnown = specs, true
	m.provision()
	if !slices.Equal(hidden, m.HiddenSSIDs()) {
		m.look()
	}
}

// provision has services and specifications matched at the end of the turn.
func (m *Manager) provision() { m.settle.specs = true }

func (m *Manager) applySpecs() {
	if !m.specsKnown {
		return // the settings hold what the files said in an earlier run
	}
	claimed := map[*Service]*ServiceSpec{}
	// Those that name their link choose before those that take any.
	for _, general := range []bool{false, true} {
		for i := range m.specs {
			spec := &m.specs[i]
			if (spec.MAC == "" && spec.DeviceName == "") != general {
				continue
			}
			if s := m.serviceFor(spec, claimed); s != nil {
				claimed[s] = spec
			}
		}
	}
	for _, s := range m.services {
		switch spec := claimed[s]; {
		case spec != nil:
			s.applySpec(spec)
		case s.settings.ConfigFile != "":
			s.unprovision()
		}
	}
}

// serviceFor returns the service that a specification is about. One that names
// no link is about a single service, and stays with the one it had.
func (m *Manager) serviceFor(spec *ServiceSpec, claimed map[*Service]*ServiceSpec) *Service {
	var found *Service
	for _, s := range m.services {
		if claimed[s] != nil || !spec.matches(s) {
			continue
		}
		if s.settings.ConfigFile == spec.File && s.settings.ConfigEntry == spec.Entry {
			return s
		}
		if found == nil {
			found = s
		}
	}
	return found
}

func (spec *ServiceSpec) matches(s *Service) bool {
	link := s.Device().Link
	switch {
	case spec.Type != s.kind:
		return false
	case s.kind == Wifi && !spec.Wifi.matches(s.network.info.Wireless):
		return false
	case spec.MAC != "":
		return spec.MAC == link.Addr || spec.MAC == s.Device().Permanent
	case spec.DeviceName != "":
		return spec.DeviceName == link.Name
	}
	return true
}

// matches reports whether the specification is about the network.
func (spec *WifiSpec) matches(w Wireless) bool {
	return spec.SSID == w.SSID && Security(spec.Security) == w.Security
}

// applySpec makes the service what the specification says. Applied again
// without a difference it changes nothing.
func (s *Service) applySpec(spec *ServiceSpec) {
	old := s.settings
	if s.kind == Wifi {
		s.followAccess(s.spec, spec)
	}
	s.followServers(spec)
	n := &s.settings
	n.ConfigFile, n.ConfigEntry = spec.File, spec.Entry
	if spec.IPv4 != nil {
		n.IPv4 = *spec.IPv4
		n.IPv4.LastAddress = old.IPv4.LastAddress
	}
	if spec.IPv6 != nil {
		n.IPv6 = *spec.IPv6
	}
	n.Nameservers, n.Timeservers = nil, nil
	n.Domains = spec.SearchDomains
	if len(n.Domains) == 0 && spec.Domain != "" {
		n.Domains = []string{spec.Domain}
	}
	if spec.MDNS != nil {
		n.MDNS = *spec.MDNS
	}
	if !s.immutable {
		s.immutable = true
		s.mark(PropImmutable)
		s.m.autoConnect()
	}
	if !s.favorite {
		s.favorite = true
		s.mark(PropFavorite)
		s.mark(PropAutoConnect)
	}
	s.follow(old)
}

// prescribed reports whether a specification alone is reason enough to connect a
// wired service: where its technology does not connect by itself, AutoConnect says
// nothing of what the user wants.
func (s *Service) prescribed() bool {
	return s.spec != nil && s.kind != Wifi && !slices.Contains(s.m.cfg.DefaultAutoConnect, s.kind)
}

// followAccess has a network joined with what a specification says anew, was being
// nil for nothing before. What failed is tried at once.
func (s *Service) followAccess(was, is *ServiceSpec) {
	if was != nil && was.Wifi.sameAccess(is.Wifi) {
		return
	}
	failed := s.state == Failed
	if was != nil || failed {
		s.withdraw()
		s.access = access{s: s}
	}
	switch {
	case failed:
		s.retry.reset()
		s.ClearError()
	case was != nil && s.busy() && s.state != Disconnect:
		s.leave("provisioned anew", func() {})
	default:
		s.m.autoConnect()
	}
}

// sameAccess reports whether both let the machine into the network the same way.
func (spec *WifiSpec) sameAccess(other *WifiSpec) bool {
	a, b := *spec, *other
	a.SSID, a.Hidden, a.Address = b.SSID, b.Hidden, b.Address
	return a == b
}

// unprovision gives the service back to its user, with default settings. A network
// is left, as only the file let the machine in.
func (s *Service) unprovision() {
	old := s.settings
	auto := slices.Contains(s.m.cfg.DefaultAutoConnect, s.kind)
	s.settings = ServiceSettings{Name: old.Name, AutoConnect: &auto}
	s.settings.IPv4.LastAddress = old.IPv4.LastAddress
	s.settings.DUID, s.settings.LastAddress6 = old.DUID, old.LastAddress6
	s.followServers(nil)
	s.immutable = false
	s.mark(PropImmutable)
	s.mark(PropAutoConnect)
	s.follow(old)
	if s.kind == Wifi {
		s.forget("no longer provisioned")
	}
}

// followServers takes the servers of another specification, nil for none. They
// are in use like those of a lease, not settings that users could change.
func (s *Service) followServers(spec *ServiceSpec) {
	var was, is ServiceSpec
	if s.spec != nil {
		was = *s.spec
	}
	if spec != nil {
		is = *spec
	}
	s.spec = spec
	if !slices.Equal(was.Nameservers, is.Nameservers) {
		s.mark(PropNameservers)
		s.namingChanged()
	}
	if was.DNSOverTLS != is.DNSOverTLS || !maps.Equal(was.ServerNames, is.ServerNames) {
		s.m.settle.dns = true
	}
	if !slices.Equal(was.Timeservers, is.Timeservers) {
		s.mark(PropTimeservers)
	}
}

// follow brings the difference between old and present settings into force.
func (s *Service) follow(old ServiceSettings) {
	n := &s.settings
	changed := n.ConfigFile != old.ConfigFile || n.ConfigEntry != old.ConfigEntry
	note := func(differs bool, props ...Property) bool {
		if differs {
			changed = true
			for _, p := range props {
				s.mark(p)
			}
		}
		return differs
	}
	if note(!slices.Equal(n.Nameservers, old.Nameservers), PropNameserversConfiguration, PropNameservers) {
		s.namingChanged()
	}
	if note(!slices.Equal(n.Domains, old.Domains), PropDomainsConfiguration, PropDomains) {
		s.m.settle.dns = true
	}
	note(!slices.Equal(n.Timeservers, old.Timeservers), PropTimeserversConfiguration, PropTimeservers)
	if note(n.MDNS != old.MDNS, PropMDNSConfiguration, PropMDNS) {
		s.m.settle.dns = true
	}
	if note(n.IPv6 != old.IPv6, PropIPv6Configuration) {
		s.reconfigure6()
	}
	if note(n.IPv4 != old.IPv4, PropIPv4Configuration) {
		s.reconfigure()
	}
	if changed {
		s.stored = true
		s.settingsDirty = true
		s.m.autoConnect()
	}
}
