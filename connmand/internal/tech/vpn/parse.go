package vpn

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
	"net.connman/pkg/netcfg"
)

// What a VPN may bring: more is a mistake, or meant to keep us busy.
const (
	maxRoutes  = 1000
	maxServers = 8
	maxDomains = 16
	maxName    = 256 // bytes, as of each domain
)

var errType = errors.New("not of the type that it should have")

// as returns value if it has the type T.
func as[T any](value any) (T, error) {
	v, ok := value.(T)
	if !ok {
		return v, errType
	}
	return v, nil
}

// read takes in one property. Those that matter to the daemon alone, such as
// OpenVPN.CACert, are passed over.
func (c *connection) read(name string, value any) (err error) {
	switch name {
	case vpn.ConnectionState:
		c.state, err = as[string](value)
	case vpn.ConnectionType:
		c.info.Type, err = text(value, maxName)
	case vpn.ConnectionName:
		c.name, err = text(value, maxName)
	case vpn.ConnectionHost:
		c.info.Host, err = text(value, maxName)
	case vpn.ConnectionDomain:
		c.info.Domain, err = text(value, maxDomains*maxName)
		c.said.domains = domains(c.info.Domain)
	case vpn.ConnectionImmutable:
		c.info.Immutable, err = as[bool](value)
	case vpn.ConnectionSplitRouting:
		var split bool
		if split, err = as[bool](value); err == nil && c.telling == 0 { // else it may be our own word of before
			c.info.Split = split
		}
	case vpn.ConnectionIndex:
		var index int32
		index, err = as[int32](value)
		c.said.index = int(index)
	case vpn.ConnectionMTU:
		var mtu uint16
		mtu, err = as[uint16](value)
		c.said.mtu = int(mtu)
	case vpn.ConnectionPAC:
		c.said.pac, err = pac(value)
	case vpn.ConnectionIPv4:
		c.said.ipv4, err = end(value, true)
	case vpn.ConnectionIPv6:
		c.said.ipv6, err = end(value, false)
	case vpn.ConnectionNameservers:
		c.said.servers, err = servers(value)
	case vpn.ConnectionUserRoutes:
		c.said.user, err = routes(value)
	case vpn.ConnectionServerRoutes:
		c.said.far, err = routes(value)
	}
	return err
}

// text is a string of at most that many bytes.
func text(value any, most int) (string, error) {
	s, err := as[string](value)
	if len(s) > most {
		return "", fmt.Errorf("%d bytes are too many", len(s))
	}
	return s, err
}

func pac(value any) (string, error) {
	s, err := as[string](value)
	if s != "" && !netcfg.ValidURL(s) {
		return "", fmt.Errorf("%q is no URL", s)
	}
	return s, err
}

// domains are the search domains in a list of names.
func domains(list string) (names []string) {
	for _, name := range strings.FieldsFunc(list, func(c rune) bool { return c == ' ' || c == ',' }) {
		if netcfg.ValidName(name) && len(names) < maxDomains {
			names = append(names, name)
		}
	}
	return names
}

// servers are the name servers in a list of addresses.
func servers(value any) (list []netip.Addr, err error) {
	texts, err := as[[]string](value)
	if err != nil {
		return nil, err
	}
	for _, s := range texts {
		a, e := netip.ParseAddr(s)
		if e == nil && !usable(a.Unmap()) {
			e = fmt.Errorf("%s is no address of a server", s)
		}
		if e != nil {
			err = e
			continue
		}
		if a = a.Unmap(); !slices.Contains(list, a) && len(list) < maxServers {
			list = append(list, a)
		}
	}
	return list, err
}

// usable reports whether packets can be sent to the address from anywhere.
func usable(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// end is one family's end of the tunnel. One without an address has no part in
// it.
func end(value any, ipv4 bool) (e core.TunnelEnd, err error) {
	d, err := as[bus.Dict](value)
	if err != nil {
		return e, err
	}
	address, err := addressOf(d, vpn.IPv4Address, ipv4)
	if err != nil || !address.IsValid() {
		return e, err
	}
	bits := address.BitLen()
	if mask, ok := bus.Lookup[string](d, vpn.IPv4Netmask); ok && ipv4 && mask != "" {
		if bits, err = maskBits(mask); err != nil {
			return e, err
		}
	}
	if length, ok := bus.Lookup[byte](d, vpn.IPv6PrefixLength); ok && !ipv4 {
		bits = int(length)
	}
	if bits < 1 || bits > address.BitLen() {
		return e, fmt.Errorf("%d is no length of a prefix", bits)
	}
	peer, err := addressOf(d, vpn.IPv4Peer, ipv4)
	if err != nil {
		return e, err
	}
	server, err := addressOf(d, vpn.IPv4Gateway, ipv4)
	if err != nil {
		return e, err
	}
	return core.TunnelEnd{Addr: netcfg.Addr{Prefix: netip.PrefixFrom(address, bits), Peer: peer}, Server: server}, nil
}

// addressOf is an address of the family in a dictionary, an invalid one where
// there is none. Both families have the same keys.
func addressOf(d bus.Dict, key string, ipv4 bool) (netip.Addr, error) {
	value, ok := d.Get(key)
	if !ok {
		return netip.Addr{}, nil
	}
	s, ok := value.(string)
	if !ok {
		return netip.Addr{}, fmt.Errorf("%s: %w", key, errType)
	}
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%s: %w", key, err)
	}
	switch {
	case a.IsUnspecified():
		return netip.Addr{}, nil
	case a.Is4() != ipv4 || !usable(a):
		return netip.Addr{}, fmt.Errorf("%s: %s cannot be one", key, a)
	}
	return a, nil
}

// maskBits is the length of an IPv4 netmask or, as some write it, the length
// itself.
func maskBits(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= 32 {
		return n, nil
	}
	m, err := netip.ParseAddr(s)
	if err != nil || !m.Is4() {
		return 0, fmt.Errorf("%q is no netmask", s)
	}
	b := m.As4()
	mask := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := 0
	for ; mask&(1<<31) != 0; mask <<= 1 {
		n++
	}
	if mask != 0 {
		return 0, fmt.Errorf("%q is no netmask", s)
	}
	return n, nil
}

// routes are those of a list. What cannot be one is left out, and the error says
// why of the last.
func routes(value any) (list []netcfg.Route, err error) {
	array, err := as[bus.Array](value)
	if err != nil {
		return nil, err
	}
	if len(array.Items) > 10*maxRoutes {
		return nil, fmt.Errorf("%d routes are too many", len(array.Items))
	}
	known := make(map[netcfg.Route]bool, len(array.Items))
	for _, item := range array.Items {
		r, e := route(item)
		if e != nil {
			err = e
		} else if !known[r] {
			known[r] = true
			list = append(list, r)
		}
	}
	return list, err
}

// route is one route. Its family is that of its network.
func route(item any) (r netcfg.Route, err error) {
	fields, ok := item.(bus.Struct)
	if !ok || len(fields) != 1 {
		return r, errType
	}
	d, err := as[bus.Dict](fields[0])
	if err != nil {
		return r, err
	}
	network, _ := bus.Lookup[string](d, vpn.RouteNetwork)
	mask, _ := bus.Lookup[string](d, vpn.RouteNetmask)
	gateway, _ := bus.Lookup[string](d, vpn.RouteGateway)
	a, err := netip.ParseAddr(network)
	if err != nil || a.Zone() != "" || a.Is4In6() || a.IsMulticast() || a.IsLoopback() {
		return r, fmt.Errorf("%q is no network", network)
	}
	bits := a.BitLen()
	switch {
	case mask == "":
	case a.Is4():
		bits, err = maskBits(mask)
	default:
		bits, err = strconv.Atoi(mask)
	}
	if err != nil || bits < 0 || bits > a.BitLen() {
		return r, fmt.Errorf("%q is no netmask of %s", mask, a)
	}
	r.Dst = netip.PrefixFrom(a, bits).Masked()
	if r.Dst.Addr().IsUnspecified() && bits > 1 {
		return r, fmt.Errorf("%s is no network", r.Dst)
	}
	if g, err := netip.ParseAddr(gateway); err == nil && g.Is4() == a.Is4() && usable(g) {
		r.Gateway = g
	}
	return r, nil
}
