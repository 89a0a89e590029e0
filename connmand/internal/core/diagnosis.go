package core

// Rater is a NetworkDriver that knows how fast the connection is.
type Rater interface {
	// Rate tells the rate in Mbit/s at which is sent, 0 when it is not known.
	Rate(done func(mbits int))
}

// Diagnosis is what helps to find out why a service does what it does.
type Diagnosis struct {
	AccessPoint AccessPoint // of a wireless service
	Rate        int         // Mbit/s; 0: not known, or not connected
	Why         string      // as Service.Why says
}

// Diagnose tells what is known of all services, once their drivers have answered.
func (m *Manager) Diagnose(done func(map[*Service]Diagnosis)) {
	all := map[*Service]Diagnosis{}
	waiting := 1
	told := func() {
		if waiting--; waiting == 0 {
			done(all)
		}
	}
	for _, s := range m.services {
		d := Diagnosis{AccessPoint: s.network.point, Why: s.Why()}
		all[s] = d
		rater, ok := s.network.driver.(Rater)
		if !ok || !s.state.Connected() {
			continue
		}
		waiting++
		rater.Rate(func(mbits int) {
			d.Rate = mbits
			all[s] = d
			told()
		})
	}
	told()
}

// Why says what the service waits for, "" when it is connected.
func (s *Service) Why() string {
	switch {
	case s.state == Association && s.vpn.current() != nil:
		return "the kernel to take the tunnel's addresses"
	case s.state == Association:
		return "the network to let it in"
	case s.state != Configuration:
		return s.whyNot()
	case s.ipv4.config.Address.IsValid():
		return "the kernel to take the address"
	case s.ipv4.watch != nil:
		return "other machines to leave the address alone"
	case s.ipv4.linkLocal != nil:
		return "a link-local address, as no DHCP server answers"
	case len(s.ipv6.awaits) > 0:
		return "the kernel to find the IPv6 address unique"
	case !s.ipv4.enabled() && s.ipv6.dhcp != nil:
		return "a DHCPv6 server"
	case !s.ipv4.enabled():
		return "an IPv6 router"
	}
	return "a DHCP server"
}

// whyNot says what a service waits for that is not being connected.
func (s *Service) whyNot() string {
	switch {
	case s.state.Connected():
		return ""
	case s.state == Disconnect:
		return "the kernel to give up the addresses"
	case s.access.ask != nil:
		return "the user's answer"
	case s.state == Failed && s.wanted():
		return "the next attempt"
	case !s.network.device.powered:
		return "its device to be switched on"
	case s.kind == Wifi && s.access.missing():
		return "a passphrase"
	case !s.wanted():
		return "the user to connect it"
	case !s.m.mayAutoConnect(s):
		return "other services to be gone"
	}
	return "its turn"
}
