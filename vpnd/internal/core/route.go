package core

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MaxRoutes is how many routes a connection may have of the user, and of the
// server: who wants more wants the default route, or harm.
const MaxRoutes = 1000

// ParseRoute checks a route as clients and files write it. mask is a prefix
// length or, for IPv4, a netmask; gateway may be "". family is 4 or 6, or 0 for
// whatever network is of. Bits of network beyond the prefix are cut off.
func ParseRoute(family int, network, mask, gateway string) (Route, error) {
	address, err := netip.ParseAddr(network)
	if err != nil || address.Zone() != "" || address.Is4In6() {
		return Route{}, errors.New("the network is not an address")
	}
	if family != 0 && family != familyOf(address) {
		return Route{}, errors.New("the network is not of the route's family")
	}
	bits, err := prefixLength(mask, address)
	if err != nil {
		return Route{}, err
	}
	dst, err := address.Prefix(bits)
	if err != nil || !routable(dst) {
		return Route{}, errors.New("there is no route to such a network")
	}
	r := Route{Dst: dst}
	if gateway == "" {
		return r, nil
	}
	r.Gateway, err = netip.ParseAddr(gateway)
	if err != nil || r.Gateway.Zone() != "" || familyOf(r.Gateway) != familyOf(address) || r.Gateway.IsMulticast() {
		return Route{}, errors.New("the gateway is not an address of the network's family")
	}
	if r.Gateway.IsUnspecified() {
		r.Gateway = netip.Addr{} // some write it for none
	}
	return r, nil
}

// routable reports whether packets for the network can be another machine's. What
// begins with zeros stands for everything, or half of it, or means nothing.
func routable(dst netip.Prefix) bool {
	a := dst.Addr()
	return !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && a != broadcast && (!a.IsUnspecified() || dst.Bits() <= 1)
}

// broadcast is all machines of a link.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// ParseNetworks reads network/mask/gateway, as provisioning files have it, or
// family/network/mask/gateway, as saved connections do.
func ParseNetworks(list []string, withFamily bool) ([]Route, error) {
	if len(list) > MaxRoutes {
		return nil, fmt.Errorf("more than %d networks", MaxRoutes)
	}
	var routes []Route
	for i, text := range list {
		parts, family := strings.Split(strings.TrimSpace(text), "/"), 0
		if withFamily {
			n, err := strconv.Atoi(parts[0])
			if err != nil || n != 0 && n != 4 && n != 6 {
				return nil, fmt.Errorf("network %d has no family", i+1)
			}
			family, parts = n, parts[1:]
		}
		if len(parts) < 2 || len(parts) > 3 {
			return nil, fmt.Errorf("network %d is not NETWORK/NETMASK or NETWORK/NETMASK/GATEWAY", i+1)
		}
		r, err := ParseRoute(family, parts[0], parts[1], strings.Join(parts[2:], ""))
		if err != nil {
			return nil, fmt.Errorf("network %d: %w", i+1, err)
		}
		routes = append(routes, r)
	}
	return routes, nil
}

// Family is 4 or 6.
func (r Route) Family() int { return familyOf(r.Dst.Addr()) }

// Mask is the route's netmask or, for IPv6, prefix length.
func (r Route) Mask() string {
	if r.Dst.Addr().Is6() {
		return strconv.Itoa(r.Dst.Bits())
	}
	return Netmask(r.Dst.Bits())
}

// Netmask writes a prefix length of IPv4 as 255.255.255.0.
func Netmask(bits int) string {
	mask := ^uint32(0) << (32 - bits)
	return netip.AddrFrom4([4]byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8), byte(mask)}).String()
}

// String writes the route as saved connections have it.
func (r Route) String() string {
	gateway := ""
	if r.Gateway.IsValid() {
		gateway = r.Gateway.String()
	}
	return fmt.Sprintf("%d/%s/%s/%s", r.Family(), r.Dst.Addr(), r.Mask(), gateway)
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

func prefixLength(mask string, of netip.Addr) (int, error) {
	if bits, err := strconv.ParseUint(mask, 10, 8); err == nil {
		if int(bits) > of.BitLen() {
			return 0, errors.New("the prefix is longer than the address")
		}
		return int(bits), nil
	}
	a, err := netip.ParseAddr(mask)
	if err != nil || !a.Is4() || !of.Is4() {
		return 0, errors.New("neither a prefix length nor a netmask of IPv4")
	}
	for bits := range 33 {
		if Netmask(bits) == a.String() {
			return bits, nil
		}
	}
	return 0, errors.New("the netmask has holes")
}
