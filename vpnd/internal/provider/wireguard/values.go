package wireguard

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/pkg/netcfg"
)

const (
	// maxAllowed is how many prefixes a peer may have: each becomes a route.
	maxAllowed = 1000
	maxServers = 8
	// The MTU of the kernel's WireGuard links: IPv4's least, and what leaves
	// room for the headers in the longest packet.
	minMTU, maxMTU = 576, 65535 - overhead
	minMTU6        = 1280 // RFC 8200, 5
	// overhead is what a packet grows by: IPv6, UDP and WireGuard headers and the
	// authentication tag.
	overhead = 80
	// maxLinkMTU is the kernel's own choice for its links. It fits Ethernet.
	maxLinkMTU = 1500 - overhead
)

// parseKey reads a Curve25519 or preshared key. No error shows any of it.
func parseKey(value string) (key wgtypes.Key, err error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil || len(raw) != wgtypes.KeyLen {
		return key, fmt.Errorf("not a key: want %d bytes in base64", wgtypes.KeyLen)
	}
	if copy(key[:], raw); key == (wgtypes.Key{}) {
		return key, errors.New("not a key: all zero")
	}
	return key, nil
}

// list takes a list apart, at commas and white space.
func list(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// parsePrefix reads an address with a prefix length; without one it is the
// address alone.
func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" || address.Is4In6() {
			return netip.Prefix{}, fmt.Errorf("%q is no address", text)
		}
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no address with a prefix length", text)
	}
	return p, nil
}

// addresses are a tunnel's own, one of each family at most.
type addresses struct{ v4, v6 netip.Prefix }

func parseAddresses(value string) (a addresses, err error) {
	for _, word := range list(value) {
		p, err := parsePrefix(word)
		if err != nil {
			return a, err
		}
		if ip := p.Addr(); ip.IsUnspecified() || ip.IsMulticast() || ip.IsLoopback() {
			return a, fmt.Errorf("%s cannot be a machine's address", ip)
		}
		family := &a.v4
		if p.Addr().Is6() {
			family = &a.v6
		}
		if family.IsValid() {
			return a, fmt.Errorf("%s is one address too many: one of each family is possible", p)
		}
		*family = p
	}
	if a == (addresses{}) {
		return a, errors.New("no address")
	}
	return a, nil
}

// parseAllowed reads what a peer may send and is sent, masked.
func parseAllowed(value string) ([]netip.Prefix, error) {
	words := list(value)
	if len(words) > maxAllowed {
		return nil, fmt.Errorf("%d networks, %d are possible", len(words), maxAllowed)
	}
	prefixes := make([]netip.Prefix, len(words))
	for i, word := range words {
		p, err := parsePrefix(word)
		if err != nil {
			return nil, err
		}
		prefixes[i] = p.Masked()
	}
	return prefixes, nil
}

// parseDNS reads name servers and search domains.
func parseDNS(value string) (dns netcfg.DNSConfig, err error) {
	words := list(value)
	if len(words) > maxServers {
		return dns, fmt.Errorf("%d name servers and domains, %d are possible", len(words), maxServers)
	}
	for _, word := range words {
		if server, err := netip.ParseAddr(word); err == nil && server.Zone() == "" {
			dns.Servers = append(dns.Servers, server.Unmap())
		} else if name := strings.TrimSuffix(word, "."); netcfg.ValidName(name) {
			dns.Domains = append(dns.Domains, name)
		} else {
			return netcfg.DNSConfig{}, fmt.Errorf("%q is neither an address nor a domain", word)
		}
	}
	return dns, nil
}

// number reads a number of at most that much.
func number(value string, least, most int) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
	if err != nil || int(n) < least || int(n) > most {
		return 0, fmt.Errorf("%q is no number from %d to %d", value, least, most)
	}
	return int(n), nil
}

func parsePort(value string) (int, error) { return number(value, 1, 65535) }

func parseMTU(value string) (int, error) { return number(value, minMTU, maxMTU) }

func parseKeepalive(value string) (time.Duration, error) {
	seconds, err := number(value, 0, 65535)
	return time.Duration(seconds) * time.Second, err
}

// endpoint is where a peer is: a name or an address, and a port.
type endpoint struct {
	host string // "": the peer comes to us
	port int
}

// parseEndpoint reads HOST:PORT, IPv6 addresses in brackets.
func parseEndpoint(value string) (endpoint, error) {
	host, port, err := net.SplitHostPort(strings.TrimSpace(value))
	if err != nil {
		return endpoint{}, fmt.Errorf("%q is not HOST:PORT", value)
	}
	n, err := parsePort(port)
	if err != nil {
		return endpoint{}, err
	}
	return endpoint{host, n}, checkHost(host)
}

// checkHost takes an address or a name that can be resolved.
func checkHost(host string) error {
	if address, err := netip.ParseAddr(host); err == nil {
		if address.IsUnspecified() || address.IsMulticast() {
			return fmt.Errorf("%s is no peer's address", address)
		}
		return nil
	}
	if !netcfg.ValidName(strings.TrimSuffix(host, ".")) {
		return fmt.Errorf("%q is neither an address nor a host name", host)
	}
	return nil
}
