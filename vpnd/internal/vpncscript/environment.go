package vpncscript

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"net.connman/pkg/netcfg"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
)

// The reasons that scripts are run for.
const (
	Connect          = "connect"           // the tunnel is there
	Reconnect        = "reconnect"         // it is there again, maybe otherwise configured
	AttemptReconnect = "attempt-reconnect" // the server is lost
)

const (
	maxServers = 16
	minMTU     = 576 // RFC 791: every host takes as much
	maxMTU     = 65535
)

// Heard reads what a script is told: see [child.Program].
func Heard(reason string, env map[string]string) (child.News, error) {
	switch reason {
	case Connect, Reconnect:
		t, skipped, err := Tunnel(env)
		return child.News{Event: core.Up{Tunnel: t}, Skipped: skipped}, err
	case AttemptReconnect:
		return child.News{Event: core.Reconnecting{}}, nil
	}
	return child.News{}, nil
}

// Tunnel makes a tunnel of the environment of a script. Index is left to the
// caller. What is wrong in a single route, server or domain costs only that;
// without an address there is no tunnel.
func Tunnel(env map[string]string) (t core.Tunnel, skipped []error, err error) {
	e := reader{env: env}
	t.IPv4.Prefix, err = e.address4()
	if err != nil {
		return core.Tunnel{}, nil, err
	}
	t.IPv6.Prefix, err = e.address6()
	if err != nil {
		return core.Tunnel{}, nil, err
	}
	if !t.IPv4.Prefix.IsValid() && !t.IPv6.Prefix.IsValid() {
		return core.Tunnel{}, nil, errors.New("the server gave no address")
	}
	if gateway := e.one("VPNGATEWAY"); gateway.Is4() {
		t.IPv4.Gateway = gateway
	} else {
		t.IPv6.Gateway = gateway
	}
	t.DNS = e.dns()
	t.MTU = e.mtu()
	if pac := env["CISCO_PROXY_PAC"]; pac != "" && netcfg.ValidURL(pac) {
		t.PAC = pac
	}
	t.Routes = append(e.routes("CISCO_SPLIT_INC"), e.routes("CISCO_IPV6_SPLIT_INC")...)
	t.Split = len(t.Routes) > 0
	return t, e.skipped, nil
}

// reader reads an environment and notes what it had to skip.
type reader struct {
	env     map[string]string
	skipped []error
}

func (e *reader) skip(name string, err error) {
	e.skipped = append(e.skipped, fmt.Errorf("cannot use %s: %w", name, err))
}

// address4 returns the tunnel's own IPv4 address, invalid if there is none. The
// netmask is that of the network behind the server.
func (e *reader) address4() (netip.Prefix, error) {
	text := e.env["INTERNAL_IP4_ADDRESS"]
	if text == "" {
		return netip.Prefix{}, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() || !usable(address) {
		return netip.Prefix{}, errors.New("the server gave an IPv4 address that is none")
	}
	bits := address.BitLen()
	if mask := e.env["INTERNAL_IP4_NETMASK"]; mask != "" {
		r, err := core.ParseRoute(4, text, mask, "")
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("the server's netmask: %w", err)
		}
		bits = r.Dst.Bits()
	}
	return netip.PrefixFrom(address, bits), nil
}

// address6 is address4 of IPv6: the netmask has the address too.
func (e *reader) address6() (netip.Prefix, error) {
	if text := e.env["INTERNAL_IP6_NETMASK"]; strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil || !p.Addr().Is6() || !usable(p.Addr()) {
			return netip.Prefix{}, errors.New("the server gave an IPv6 prefix that is none")
		}
		return p, nil
	}
	text := e.env["INTERNAL_IP6_ADDRESS"]
	if text == "" {
		return netip.Prefix{}, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is6() || !usable(address) {
		return netip.Prefix{}, errors.New("the server gave an IPv6 address that is none")
	}
	return netip.PrefixFrom(address, address.BitLen()), nil
}

// usable reports whether a machine can have the address.
func usable(a netip.Addr) bool {
	return a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
}

// one reads a single address, invalid if there is none.
func (e *reader) one(name string) netip.Addr {
	text := e.env[name]
	if text == "" {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(text)
	if err != nil || !usable(address) {
		e.skip(name, errors.New("not an address"))
		return netip.Addr{}
	}
	return address
}

func (e *reader) dns() netcfg.DNSConfig {
	var dns netcfg.DNSConfig
	for _, name := range []string{"INTERNAL_IP4_DNS", "INTERNAL_IP6_DNS"} {
		for _, text := range e.words(name) {
			if address, err := netip.ParseAddr(text); err == nil && usable(address) {
				dns.Servers = append(dns.Servers, address)
			} else {
				e.skip(name, errors.New("not an address"))
			}
		}
	}
	for _, domain := range e.words("CISCO_DEF_DOMAIN") {
		if netcfg.ValidName(domain) {
			dns.Domains = append(dns.Domains, domain)
		} else {
			e.skip("CISCO_DEF_DOMAIN", errors.New("not the name of a domain"))
		}
	}
	return dns
}

// words are the first of a list, in which blanks or commas are between them,
// depending on the server.
func (e *reader) words(name string) (words []string) {
	between := func(c rune) bool { return c == ' ' || c == ',' }
	for word := range strings.FieldsFuncSeq(e.env[name], between) {
		if len(words) == maxServers {
			e.skip(name, fmt.Errorf("more than %d: the others are left out", maxServers))
			break
		}
		words = append(words, word)
	}
	return words
}

func (e *reader) mtu() int {
	text := e.env["INTERNAL_IP4_MTU"]
	if text == "" {
		return 0
	}
	mtu, err := strconv.Atoi(text)
	if err != nil || mtu < minMTU || mtu > maxMTU {
		e.skip("INTERNAL_IP4_MTU", errors.New("not a packet's size"))
		return 0
	}
	return mtu
}

// routes reads the networks that are behind the server; name holds how many
// there are.
func (e *reader) routes(name string) []core.Route {
	count, err := strconv.Atoi(e.env[name])
	if err != nil || count <= 0 {
		return nil
	}
	if count > core.MaxRoutes {
		e.skip(name, fmt.Errorf("more than %d networks: the others are left out", core.MaxRoutes))
		count = core.MaxRoutes
	}
	var routes []core.Route
	for i := range count {
		prefix := fmt.Sprintf("%s_%d_", name, i)
		mask := e.env[prefix+"MASKLEN"]
		if mask == "" {
			mask = e.env[prefix+"MASK"]
		}
		r, err := core.ParseRoute(0, e.env[prefix+"ADDR"], mask, "")
		if err != nil {
			e.skip(prefix+"ADDR", err)
			continue
		}
		routes = append(routes, r)
	}
	return routes
}
