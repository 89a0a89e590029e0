package core

import (
	"slices"
	"strings"
	"time"

	"net.connman/pkg/netcfg"
)

// save has the settings written at the end of the turn, if the service is one
// that is remembered.
func (s *Service) save() {
	if s.stored {
		s.settingsDirty = true
	}
}

// userChanged notes that the user changed the settings.
func (s *Service) userChanged() {
	s.stored = true
	s.settings.Modified = time.Now()
	s.settingsDirty = true
}

// fixed reports whether the user may not change the settings: those of a provisioned
// service, or of what stands for all networks that hide their names.
func (s *Service) fixed() bool { return s.immutable || s.hidden() }

// SetAutoConnect says whether the service connects by itself.
func (s *Service) SetAutoConnect(on bool) error {
	if !s.favorite {
		return ErrInvalidService
	}
	if *s.settings.AutoConnect == on {
		return nil
	}
	s.settings.AutoConnect = &on
	s.mark(PropAutoConnect)
	s.userChanged()
	if on {
		s.m.autoConnect()
	} else {
		s.retry.stop()
	}
	return nil
}

// SetNameservers sets the servers to use instead of the network's; what is not
// an address that a server can have is left out. None brings the network's
// back.
func (s *Service) SetNameservers(texts []string) error {
	if s.fixed() || s.network.info.VPN.Immutable {
		return ErrNotSupported
	}
	var servers []string
	for _, a := range parseAddrs(words(texts)) {
		servers = append(servers, a.String())
	}
	s.settings.Nameservers = servers
	s.mark(PropNameserversConfiguration)
	s.mark(PropNameservers)
	s.userChanged()
	s.namingChanged()
	return nil
}

// SetDomains sets the search domains to use instead of the network's.
func (s *Service) SetDomains(texts []string) error {
	if s.fixed() {
		return ErrNotSupported
	}
	s.settings.Domains = words(texts)
	s.mark(PropDomainsConfiguration)
	s.mark(PropDomains)
	s.userChanged()
	s.m.settle.dns = true
	return nil
}

// SetTimeservers sets the time servers to prefer to the network's.
func (s *Service) SetTimeservers(texts []string) error {
	if s.fixed() {
		return ErrNotSupported
	}
	s.settings.Timeservers = words(texts)
	s.mark(PropTimeserversConfiguration)
	s.mark(PropTimeservers)
	s.userChanged()
	return nil
}

// SetProxy sets the way to the web.
func (s *Service) SetProxy(p netcfg.ProxyConfig) error {
	if s.fixed() {
		return ErrNotSupported
	}
	s.settings.Proxy = p
	s.mark(PropProxyConfiguration)
	s.mark(PropProxy)
	s.userChanged()
	return nil
}

// SetMDNS says whether multicast DNS is wanted on the service's link.
func (s *Service) SetMDNS(on bool) error {
	if s.fixed() {
		return ErrNotSupported
	}
	was := s.MDNS()
	s.settings.MDNS = on
	s.mark(PropMDNSConfiguration)
	if s.MDNS() != was {
		s.mark(PropMDNS)
	}
	s.userChanged()
	s.m.settle.dns = true
	return nil
}

// SetIPv4 sets how the service gets its IPv4 address. A connection is not
// given up for it: it goes back to configuration and comes from there.
func (s *Service) SetIPv4(settings IPv4Settings) error {
	switch {
	case s.fixed(), s.vpn != nil, settings.Method == IPv4Auto:
		return ErrNotSupported
	case settings.Method != IPv4Off && settings.Method != IPv4DHCP && settings.Method != IPv4Manual:
		return ErrInvalidArguments
	case settings.Method == IPv4Manual && !settings.Address.IsValid():
		return ErrInvalidArguments
	}
	settings.LastAddress = s.settings.IPv4.LastAddress
	s.settings.IPv4 = settings
	s.mark(PropIPv4Configuration)
	s.userChanged()
	s.reconfigure()
	return nil
}

// SetIPv6 sets how the service gets its IPv6 addresses.
func (s *Service) SetIPv6(settings IPv6Settings) error {
	switch {
	case s.fixed(), s.vpn != nil:
		return ErrNotSupported
	case settings.Method != IPv6Off && settings.Method != IPv6Auto && settings.Method != IPv6Manual:
		return ErrInvalidArguments
	}
	s.settings.IPv6 = settings
	s.mark(PropIPv6Configuration)
	s.userChanged()
	s.reconfigure6()
	return nil
}

// configured reports whether the service is being configured or connected, so
// that changed settings concern the link.
func (s *Service) configured() bool { return s.state == Configuration || s.state.Connected() }

// reconfigure brings changed IPv4 settings into force.
func (s *Service) reconfigure() {
	switch {
	case !s.configured():
		s.ipv4.setMethod(s.ipv4.wanted())
		s.m.autoConnect()
		return
	case !s.ipv4.enabled() && !s.ipv6.state.Connected():
		s.leave("IPv4 switched off", func() {})
		return
	}
	s.online.stop()
	s.ipv4.stop(true)
	s.ipv4.drop("settings changed")
	s.ipv4.setLease(nil)
	if s.ipv4.enabled() {
		s.ipv4.start()
		return
	}
	s.ipv4.clear()
	s.switchOff(&s.ipv4.state, "ipv4")
}

// reconfigure6 brings changed IPv6 settings into force.
func (s *Service) reconfigure6() {
	switch {
	case !s.configured():
		s.ipv6.absent = false
		s.m.autoConnect()
		return
	case !s.ipv6.enabled() && !s.ipv4.state.Connected() && s.ipv4.state != Configuration:
		s.leave("IPv6 switched off", func() {})
		return
	}
	s.ipv6.stop(true)
	s.ipv6.forget()
	s.ipv6.absent = false
	if s.ipv6.enabled() {
		if s.ipv6.state.Connected() {
			s.ipv6.setState(Configuration, "settings changed")
		}
		s.ipv6.start()
		s.applyLink(nil)
		return
	}
	s.switchOff(&s.ipv6.state, "ipv6")
	s.ipv6.start() // which switches it off in the kernel
}

// switchOff ends one family of a service that goes on with the other.
func (s *Service) switchOff(state *State, family string) {
	reason := family + " switched off"
	if *state != Idle {
		s.setFamilyState(state, Disconnect, family, reason)
		s.setFamilyState(state, Idle, family, reason)
	}
	s.applyLink(nil)
	s.updateState(reason)
	s.addressChanged()
}

// namingChanged follows other name servers.
func (s *Service) namingChanged() {
	s.m.settle.dns = true
	if s.state.Connected() {
		s.applyLink(nil) // their host routes
		s.online.again()
	}
}

// words splits the texts at spaces and drops what is empty, as programs have
// always been able to pass lists.
func words(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, strings.Fields(text)...)
	}
	return slices.Clip(all)
}
