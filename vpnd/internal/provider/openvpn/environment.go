package openvpn

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"net.connman/pkg/netcfg"
	"net.connman/vpnd/internal/core"
)

const (
	maxServers = 16  // name servers, and domains
	maxOptions = 200 // looked at for them
	minMTU     = 576 // RFC 791: every host takes as much
	maxMTU     = 65535
)

// readTunnel makes a tunnel of the environment of openvpn's up script (openvpn(8),
// Environmental Variables), most of which the server has decided. The link is left
// to the caller. What is wrong in a single route or server costs only that;
// without an address there is no tunnel.
func readTunnel(env map[string]string) (t core.Tunnel, skipped []error, err error) {
	r := reader{env: env}
	if t.IPv4, err = r.ipv4(); err != nil {
		return core.Tunnel{}, nil, err
	}
	if t.IPv6, err = r.ipv6(); err != nil {
		return core.Tunnel{}, nil, err
	}
	if !t.IPv4.Prefix.IsValid() && !t.IPv6.Prefix.IsValid() {
		return core.Tunnel{}, nil, errors.New("the server gave no address")
	}
	t.IPv4.Gateway, t.IPv6.Gateway = r.server()
	r.foreignOptions(&t)
	t.Routes = r.routes()
	t.MTU = r.mtu()
	return t, r.skipped, nil
}

// reader reads an environment and notes what it had to skip.
type reader struct {
	env     map[string]string
	skipped []error
}

func (r *reader) skip(name string, err error) {
	r.skipped = append(r.skipped, fmt.Errorf("cannot use %s: %w", name, err))
}

var errNoAddress = errors.New("not an address")

// address reads an address that a machine can have, invalid if there is none.
func (r *reader) address(name string, is4 bool) (netip.Addr, error) {
	text := r.env[name]
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Is4() != is4 || !ordinary(a) {
		return netip.Addr{}, fmt.Errorf("%s is no address: %.40q", name, text)
	}
	return a, nil
}

// ordinary reports whether a machine can have the address, wherever it is.
func ordinary(a netip.Addr) bool { return a.IsGlobalUnicast() && !a.Is4In6() && a.Zone() == "" }

// ipv4 reads the tunnel's own IPv4 address. Either there is a netmask, or the
// far end is known and nothing else is on the link.
func (r *reader) ipv4() (core.Address, error) {
	local, err := r.address("ifconfig_local", true)
	if err != nil || !local.IsValid() {
		return core.Address{}, err
	}
	if mask := r.env["ifconfig_netmask"]; mask != "" {
		route, err := core.ParseRoute(4, local.String(), mask, "")
		if err != nil {
			return core.Address{}, fmt.Errorf("ifconfig_netmask: %w", err)
		}
		return core.Address{Prefix: netip.PrefixFrom(local, route.Dst.Bits())}, nil
	}
	peer, err := r.address("ifconfig_remote", true)
	if err != nil {
		return core.Address{}, err
	}
	return core.Address{Prefix: netip.PrefixFrom(local, local.BitLen()), Peer: peer}, nil
}

func (r *reader) ipv6() (core.Address, error) {
	local, err := r.address("ifconfig_ipv6_local", false)
	if err != nil || !local.IsValid() {
		return core.Address{}, err
	}
	bits, err := strconv.Atoi(r.env["ifconfig_ipv6_netbits"])
	if err != nil || bits < 1 || bits > local.BitLen() {
		return core.Address{}, fmt.Errorf("ifconfig_ipv6_netbits is no prefix length: %.40q", r.env["ifconfig_ipv6_netbits"])
	}
	a := core.Address{Prefix: netip.PrefixFrom(local, bits)}
	if a.Peer, err = r.address("ifconfig_ipv6_remote", false); err != nil {
		r.skip("ifconfig_ipv6_remote", err)
	}
	return a, nil
}

// server reads where the server is: one of both is valid at most.
func (r *reader) server() (v4, v6 netip.Addr) {
	for _, name := range []string{"trusted_ip", "trusted_ip6"} {
		text := r.env[name]
		if text == "" {
			continue
		}
		a, err := netip.ParseAddr(text)
		switch a = a.Unmap().WithZone(""); {
		case err != nil || a.IsUnspecified() || a.IsMulticast():
			r.skip(name, errNoAddress)
		case a.Is4():
			v4 = a
		default:
			v6 = a
		}
	}
	return v4, v6
}

// foreignOptions reads what the server pushed for others than openvpn, in the
// order of its numbers: foreign_option_1=dhcp-option DNS 192.0.2.53.
func (r *reader) foreignOptions(t *core.Tunnel) {
	for n := 1; n <= maxOptions; n++ {
		name := fmt.Sprintf("foreign_option_%d", n)
		option, ok := r.env[name]
		if !ok {
			return
		}
		words := strings.Fields(option)
		if len(words) != 3 || words[0] != "dhcp-option" {
			continue
		}
		if err := apply(t, words[1], words[2]); err != nil {
			r.skip(name, err)
		}
	}
}

func apply(t *core.Tunnel, option, value string) error {
	switch option {
	case "DNS", "DNS6":
		a, err := netip.ParseAddr(value)
		switch {
		case err != nil || !ordinary(a):
			return errNoAddress
		case len(t.DNS.Servers) == maxServers:
			return fmt.Errorf("more than %d name servers", maxServers)
		}
		t.DNS.Servers = append(t.DNS.Servers, a)
	case "DOMAIN", "DOMAIN-SEARCH", "ADAPTER_DOMAIN_SUFFIX":
		domain := strings.TrimSuffix(value, ".")
		switch {
		case !netcfg.ValidName(domain):
			return errors.New("not the name of a domain")
		case len(t.DNS.Domains) == maxServers:
			return fmt.Errorf("more than %d domains", maxServers)
		}
		t.DNS.Domains = append(t.DNS.Domains, domain)
	case "PROXY_AUTO_CONFIG_URL":
		if !netcfg.ValidURL(value) {
			return errors.New("not a web address")
		}
		t.PAC = value
	}
	return nil
}

// routes reads the networks behind the server, which are numbered from 1.
func (r *reader) routes() []core.Route {
	var routes []core.Route
	add := func(name string, route core.Route, err error) (full bool) {
		switch {
		case err != nil:
			r.skip(name, err)
		case len(routes) == core.MaxRoutes:
			r.skip(name, fmt.Errorf("more than %d routes: it and the rest are left out", core.MaxRoutes))
			return true
		default:
			routes = append(routes, route)
		}
		return false
	}
	const tooMany = 2 * core.MaxRoutes // not even worth looking at
	for n := 1; n <= tooMany; n++ {
		name := fmt.Sprintf("route_network_%d", n)
		network, ok := r.env[name]
		if !ok {
			break
		}
		route, err := core.ParseRoute(4, network, r.env[fmt.Sprintf("route_netmask_%d", n)], r.env[fmt.Sprintf("route_gateway_%d", n)])
		if add(name, route, err) {
			break
		}
	}
	for n := 1; n <= tooMany; n++ {
		name := fmt.Sprintf("route_ipv6_network_%d", n)
		prefix, ok := r.env[name]
		if !ok {
			break
		}
		network, bits, _ := strings.Cut(prefix, "/")
		route, err := core.ParseRoute(6, network, bits, r.env[fmt.Sprintf("route_ipv6_gateway_%d", n)])
		if add(name, route, err) {
			break
		}
	}
	return routes
}

func (r *reader) mtu() int {
	text := r.env["tun_mtu"]
	if text == "" {
		return 0
	}
	mtu, err := strconv.Atoi(text)
	if err != nil || mtu < minMTU || mtu > maxMTU {
		r.skip("tun_mtu", errors.New("not a packet's size"))
		return 0
	}
	return mtu
}
