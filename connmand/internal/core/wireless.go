package core

import (
	"slices"
	"time"
)

// Security is how a wireless network lets machines in, spelt as on the bus and
// in service identifiers.
type Security string

// The kinds of security. Networks of WPA, WPA2 and WPA3 with a passphrase are
// all of one kind, so that a network which learns a newer one stays the same
// service; and one that encrypts without a passphrase (OWE) has none to ask for.
const (
	SecurityNone Security = "none"
	SecurityWEP  Security = "wep"
	SecurityPSK  Security = "psk"
	SecurityEAP  Security = "ieee8021x"
)

// AddressPolicy is which hardware address a network gets to see.
type AddressPolicy string

// The policies, spelt as in files. Networks may know their machines by it, so the
// first is the default.
const (
	AddressPermanent AddressPolicy = "permanent"     // the adapter's own
	AddressStable    AddressPolicy = "stable-random" // one that says nothing, for each SSID always the same
	AddressRandom    AddressPolicy = "random"        // another one at each connection
)

// Wireless is what a network looks like on the air.
type Wireless struct {
	SSID      string // 1 to 32 bytes of any value; "" for a network that hides it
	Security  Security
	WPS       bool // takes part in Wi-Fi Protected Setup
	WPSActive bool // and waits at this moment, because its button was pressed
}

// SetWireless tells how the network looks by now; SSID and security stay.
func (n *Network) SetWireless(w Wireless) {
	if n.info.Wireless == w {
		return
	}
	n.info.Wireless = w
	if n.service != nil {
		n.service.mark(PropSecurity)
	}
}

// SetStrength tells how strong the network's signal is, from 0 to 100. The order
// of services follows after a scan.
func (n *Network) SetStrength(percent uint8) {
	if n.strength == percent {
		return
	}
	n.strength = percent
	if n.service != nil {
		n.service.mark(PropStrength)
	}
}

// AccessPoint is one radio of a network.
type AccessPoint struct {
	BSSID     HardwareAddr // "": not known
	Frequency int          // MHz; 0: not known
}

// SetAccessPoint tells which access point of the network is in use, or the
// strongest while none is.
func (n *Network) SetAccessPoint(p AccessPoint) { n.point = p }

// settled is how long a connection must have lasted to be joined again at once
// when it is lost. One that is lost sooner waits, lest a network that throws
// machines out keeps us busy.
const settled = 10 * time.Second

// Left tells that the network was left without being asked to. A service that
// connects by itself joins it again. So does an attempt to connect, once: networks
// throw machines out right away to have them at another of their access points.
func (n *Network) Left() {
	s := n.service
	switch {
	case s == nil:
	case s.state.Connected() && s.m.loop.Now().Sub(s.connectedAt) >= settled:
		s.abandon("network left")
		s.m.autoConnect()
	case s.state == Configuration && s.rejoined != s.timeout:
		s.rejoined = s.timeout
		s.rejoin()
	default:
		s.fail(ConnectFailed)
	}
}

// rejoin starts the attempt to connect anew.
func (s *Service) rejoin() {
	s.ipv4.stop(false)
	s.ipv6.stop(false)
	s.applied.waiting = nil
	s.part()
	s.clear()
	s.applyLink(nil)
	s.join()
}

// hidden reports whether the service stands for all networks of its security
// that do not tell their SSID.
func (s *Service) hidden() bool { return s.kind == Wifi && s.network.info.Wireless.SSID == "" }

// networkName is what the service's network is told from others by, "" where a
// machine cannot tell: cables have no names.
func (s *Service) networkName() string {
	if s.kind != Wifi {
		return ""
	}
	return s.id
}

// Security lists what is known of a wireless service's security, as the bus has
// it.
func (s *Service) Security() []string {
	w := s.network.info.Wireless
	if w.Security == "" {
		return nil
	}
	all := []string{string(w.Security)}
	if w.WPS && w.Security == SecurityPSK {
		all = append(all, "wps")
	}
	if w.WPSActive {
		all = append(all, "wps_advertising")
	}
	return all
}

// Strength is how strong the signal is, from 0 to 100; 0 also where there is
// none.
func (s *Service) Strength() uint8 { return s.network.strength }

// takeDevice has the other services leave a device that carries one network at
// a time, and reports whether any has to; then s is connected when they have.
func (s *Service) takeDevice(reason connectReason) (waits bool) {
	if s.kind != Wifi {
		return false
	}
	waiting := 1
	left := func() {
		if waiting--; waiting > 0 || s.removed {
			return
		}
		err := ErrAborted
		if !s.ignore {
			err = s.connect(reason)
		}
		if err != nil {
			s.answer(err)
		}
	}
	for _, n := range slices.Clone(s.network.device.networks) {
		if o := n.service; o != nil && o != s && o.busy() {
			waiting++
			o.makeRoom(left)
		}
	}
	if waiting == 1 {
		return false
	}
	s.m.loop.Post("device is free", left)
	return true
}

// makeRoom leaves the network because another one is wanted.
func (s *Service) makeRoom(left func()) {
	if s.state == Disconnect {
		s.leaving = append(s.leaving, left)
		return
	}
	s.leave("another network of the device is wanted", left)
}

// busy reports whether the service uses its device.
func (s *Service) busy() bool {
	return s.state.Connected() || s.state.Connecting() || s.state == Disconnect
}

// deviceBusy reports whether another service has the device.
func (s *Service) deviceBusy() bool {
	return slices.ContainsFunc(s.network.device.networks, func(n *Network) bool {
		o := n.service
		return o != nil && o != s && o.busy()
	})
}
