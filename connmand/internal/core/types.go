package core

import (
	"fmt"
	"slices"
)

// Type is the kind of a technology and of its services, spelt as in
// configuration files and on the bus.
type Type string

// The technologies.
const (
	Ethernet  Type = "ethernet"
	Wifi      Type = "wifi"
	Bluetooth Type = "bluetooth"
	Cellular  Type = "cellular"
	Gadget    Type = "gadget"
	VPN       Type = "vpn"
	P2P       Type = "p2p"
	GPS       Type = "gps"
	System    Type = "system"
)

var types = []Type{Ethernet, Wifi, Bluetooth, Cellular, Gadget, VPN, P2P, GPS, System}

// ParseType returns the technology named s.
func ParseType(s string) (Type, error) {
	if t := Type(s); slices.Contains(types, t) {
		return t, nil
	}
	return "", fmt.Errorf("unknown technology %q", s)
}

// DisplayName is the name users see, which is also the technology's group in
// the settings file.
func (t Type) DisplayName() string {
	switch t {
	case Ethernet:
		return "Wired"
	case Wifi:
		return "WiFi"
	case Bluetooth:
		return "Bluetooth"
	case Cellular:
		return "Cellular"
	case Gadget:
		return "Gadget"
	case P2P:
		return "P2P"
	case VPN:
		return "VPN"
	}
	return string(t)
}

// IPv4Method is how a service gets its IPv4 address.
type IPv4Method string

// The IPv4 methods, spelt as on the bus and in files.
const (
	IPv4Off    IPv4Method = "off"
	IPv4DHCP   IPv4Method = "dhcp"
	IPv4Manual IPv4Method = "manual"
	IPv4Auto   IPv4Method = "auto" // link-local, because DHCP did not answer
	IPv4Fixed  IPv4Method = "fixed"
)

// IPv6Method is how a service gets its IPv6 addresses.
type IPv6Method string

// The IPv6 methods, spelt as on the bus and in files.
const (
	IPv6Off    IPv6Method = "off"
	IPv6Auto   IPv6Method = "auto"
	IPv6Manual IPv6Method = "manual"
	IPv6To4    IPv6Method = "6to4"
	IPv6Fixed  IPv6Method = "fixed"
)

// IPv6Privacy is the use of temporary addresses (RFC 8981).
type IPv6Privacy string

// The privacy settings; the third is spelt as the bus has always spelt it.
const (
	PrivacyDisabled IPv6Privacy = "disabled"
	PrivacyEnabled  IPv6Privacy = "enabled"
	PrivacyPrefered IPv6Privacy = "prefered"
)
