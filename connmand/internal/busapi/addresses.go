package busapi

import (
	"cmp"
	"net/netip"
	"strings"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
	"net.connman/pkg/netcfg"
)

func ethernetDict(s *core.Service) bus.Dict {
	device := s.Device()
	if device.Link.Index == 0 { // a VPN without a tunnel
		return bus.Dict{{Key: connman.EthernetMethod, Value: "auto"}}
	}
	d := bus.Dict{
		{Key: connman.EthernetMethod, Value: "auto"},
		{Key: connman.EthernetInterface, Value: device.Link.Name},
	}
	if device.Link.Addr != "" { // tunnels have none
		d = append(d, bus.Entry{Key: connman.EthernetAddress, Value: hardwareText(device.Link.Addr)})
	}
	return append(d, bus.Entry{Key: connman.EthernetMTU, Value: uint16(min(device.MTU, 0xffff))})
}

func ipv4Dict(s *core.Service) bus.Dict {
	method, config, connected := s.IPv4()
	if !connected {
		return bus.Dict{}
	}
	return addressDict(method, config.Address, config.Gateway)
}

func ipv4ConfigDict(c core.IPv4Settings) bus.Dict {
	if c.Method != core.IPv4Manual && c.Method != core.IPv4Fixed {
		return bus.Dict{{Key: connman.IPv4Method, Value: string(c.Method)}}
	}
	return addressDict(c.Method, c.Address, c.Gateway)
}

func addressDict(method core.IPv4Method, address netip.Prefix, gateway netip.Addr) bus.Dict {
	d := bus.Dict{{Key: connman.IPv4Method, Value: string(method)}}
	if address.IsValid() {
		d = append(d,
			bus.Entry{Key: connman.IPv4Address, Value: address.Addr().String()},
			bus.Entry{Key: connman.IPv4Netmask, Value: netmask(address.Bits())})
	}
	if gateway.IsValid() {
		d = append(d, bus.Entry{Key: connman.IPv4Gateway, Value: gateway.String()})
	}
	return d
}

func ipv6Dict(s *core.Service) bus.Dict {
	method, config, connected := s.IPv6()
	if !connected {
		return bus.Dict{}
	}
	return ipv6ConfigDict(core.IPv6Settings{
		Method: method, Address: config.Address, Gateway: config.Gateway,
		Privacy: s.IPv6Configuration().Privacy,
	})
}

func ipv6ConfigDict(c core.IPv6Settings) bus.Dict {
	d := bus.Dict{{Key: connman.IPv6Method, Value: string(c.Method)}}
	if c.Method == core.IPv6Off {
		return d
	}
	if c.Address.IsValid() {
		d = append(d,
			bus.Entry{Key: connman.IPv6Address, Value: c.Address.Addr().String()},
			bus.Entry{Key: connman.IPv6PrefixLength, Value: byte(c.Address.Bits())})
	}
	if c.Gateway.IsValid() {
		d = append(d, bus.Entry{Key: connman.IPv6Gateway, Value: c.Gateway.String()})
	}
	return append(d, bus.Entry{Key: connman.IPv6Privacy, Value: string(c.Privacy)})
}

// conflictDict names the address of one family and, as programs expect it, an
// IPv4 one in any case.
func conflictDict(s *core.Service) bus.Dict {
	conflict, at, over := s.LastConflict()
	address4, holder, timestamp := "0.0.0.0", cmp.Or(conflict.Holder, "\x00\x00\x00\x00\x00\x00"), int64(0)
	if conflict.Address.IsValid() {
		timestamp = at.UnixMicro()
	}
	if conflict.Address.Is4() {
		address4 = conflict.Address.String()
	}
	d := bus.Dict{{Key: connman.LastAddressConflictIPv4, Value: bus.Dict{{Key: connman.ConflictAddressAddress, Value: address4}}}}
	if conflict.Address.Is6() {
		d = append(d, bus.Entry{Key: connman.LastAddressConflictIPv6,
			Value: bus.Dict{{Key: connman.ConflictAddressAddress, Value: conflict.Address.String()}}})
	}
	return append(d,
		bus.Entry{Key: connman.LastAddressConflictEthernet, Value: bus.Dict{{Key: connman.ConflictAddressAddress, Value: hardwareText(holder)}}},
		bus.Entry{Key: connman.LastAddressConflictTimestamp, Value: timestamp},
		bus.Entry{Key: connman.LastAddressConflictResolved, Value: over || !conflict.Address.IsValid()})
}

// hardwareText writes a link-layer address as 02:0A:…, in capitals.
func hardwareText(a core.HardwareAddr) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(a) {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteByte(digits[a[i]>>4])
		b.WriteByte(digits[a[i]&15])
	}
	return b.String()
}

func addrTexts(addrs []netip.Addr) []string {
	texts := make([]string, 0, len(addrs))
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	return texts
}

// netmask writes a prefix length as 255.255.255.0.
func netmask(bits int) string {
	mask := ^uint32(0) << (32 - bits)
	return netip.AddrFrom4([4]byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8), byte(mask)}).String()
}

// text returns an entry's string, "" when it is missing; ok is false when the
// entry has another type.
func text(d bus.Dict, key string) (s string, ok bool) {
	value, there := d.Get(key)
	if !there {
		return "", true
	}
	s, ok = value.(string)
	return s, ok
}

// parseIPv4 checks an IPv4.Configuration dictionary. Unknown keys are ignored,
// as they have always been.
func parseIPv4(d bus.Dict) (core.IPv4Settings, error) {
	method, ok1 := text(d, connman.IPv4Method)
	address, ok2 := text(d, connman.IPv4Address)
	mask, ok3 := text(d, connman.IPv4Netmask)
	gateway, ok4 := text(d, connman.IPv4Gateway)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return core.IPv4Settings{}, core.ErrInvalidArguments
	}
	settings := core.IPv4Settings{Method: core.IPv4Method(method)}
	if settings.Method != core.IPv4Manual {
		return settings, nil
	}
	bits, ok := prefixLength(mask)
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is4() || !ok || !usable(a) {
		return core.IPv4Settings{}, core.ErrInvalidArguments
	}
	settings.Address = netip.PrefixFrom(a, bits)
	if gateway != "" && gateway != "0.0.0.0" {
		settings.Gateway, err = netip.ParseAddr(gateway)
		if err != nil || !settings.Gateway.Is4() || !usable(settings.Gateway) {
			return core.IPv4Settings{}, core.ErrInvalidArguments
		}
	}
	return settings, nil
}

// usable reports whether a machine can have the address.
func usable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// prefixLength reads a netmask; none at all means a single address.
func prefixLength(mask string) (bits int, ok bool) {
	if mask == "" {
		return 32, true
	}
	a, err := netip.ParseAddr(mask)
	if err != nil || !a.Is4() {
		return 0, false
	}
	b := a.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	for bits < 32 && m&(1<<(31-bits)) != 0 {
		bits++
	}
	return bits, m == ^uint32(0)<<(32-bits) && bits > 0
}

// parseIPv6 checks an IPv6.Configuration dictionary.
func parseIPv6(d bus.Dict) (core.IPv6Settings, error) {
	method, ok1 := text(d, connman.IPv6Method)
	address, ok2 := text(d, connman.IPv6Address)
	gateway, ok3 := text(d, connman.IPv6Gateway)
	privacy, ok4 := text(d, connman.IPv6Privacy)
	bits, ok5 := bus.Lookup[byte](d, connman.IPv6PrefixLength)
	if _, there := d.Get(connman.IPv6PrefixLength); !there {
		bits, ok5 = 64, true
	}
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || bits > 128 {
		return core.IPv6Settings{}, core.ErrInvalidArguments
	}
	settings := core.IPv6Settings{Method: core.IPv6Method(method), Privacy: core.PrivacyDisabled}
	switch p := core.IPv6Privacy(privacy); p {
	case core.PrivacyEnabled, core.PrivacyPrefered:
		settings.Privacy = p
	}
	if settings.Method != core.IPv6Manual {
		return settings, nil
	}
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return core.IPv6Settings{}, core.ErrInvalidArguments
	}
	settings.Address = netip.PrefixFrom(a, int(bits))
	if gateway != "" {
		settings.Gateway, err = netip.ParseAddr(gateway)
		if err != nil || !settings.Gateway.Is6() || settings.Gateway.Zone() != "" {
			return core.IPv6Settings{}, core.ErrInvalidArguments
		}
	}
	return settings, nil
}

// parseProxy checks a Proxy.Configuration dictionary.
func parseProxy(d bus.Dict) (netcfg.ProxyConfig, error) {
	method, ok1 := text(d, connman.ProxyMethod)
	url, ok2 := text(d, connman.ProxyURL)
	if !ok1 || !ok2 {
		return netcfg.ProxyConfig{}, core.ErrInvalidArguments
	}
	p := netcfg.ProxyConfig{Method: netcfg.ProxyMethod(method)}
	switch p.Method {
	case netcfg.ProxyDirect:
	case netcfg.ProxyAuto:
		p.URL = url
	case netcfg.ProxyManual:
		p.Servers, _ = bus.Lookup[[]string](d, connman.ProxyServers)
		p.Excludes, _ = bus.Lookup[[]string](d, connman.ProxyExcludes)
		if len(p.Servers) == 0 {
			return netcfg.ProxyConfig{}, core.ErrInvalidArguments
		}
	default:
		return netcfg.ProxyConfig{}, core.ErrInvalidArguments
	}
	return p, nil
}
