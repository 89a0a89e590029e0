package ndisc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/netcfg"
)

// What one link keeps at most.
const (
	maxRouters  = 16
	maxPrefixes = 64
	maxRoutes   = 32
	maxServers  = 8
	maxDomains  = 16
)

// advert is a router advertisement (RFC 4861, 4.2) that was checked.
type advert struct {
	router     netip.Addr // link-local, without a zone
	hopLimit   int        // 0: not said
	managed    bool
	other      bool
	preference int           // 1 high, 0 medium, -1 low
	lifetime   time.Duration // as default router; 0: it is none
	prefixes   []prefixOption
	routes     []routeOption
	servers    []serverOption
	domains    []domainOption
	mtu        int    // 0: not said
	portal     string // "": not said
}

// prefixOption is a prefix information option (RFC 4861, 4.6.2).
type prefixOption struct {
	prefix     netip.Prefix // masked
	onLink     bool
	autonomous bool // and of a length that makes addresses
	preferred  time.Duration
	valid      time.Duration
}

// routeOption is a route information option (RFC 4191, 2.3).
type routeOption struct {
	dst        netip.Prefix // masked
	preference int
	lifetime   time.Duration
}

// serverOption is one address of a recursive DNS server option (RFC 8106, 5.1).
type serverOption struct {
	addr     netip.Addr // without a zone
	lifetime time.Duration
}

// domainOption is one name of a DNS search list option (RFC 8106, 5.2).
type domainOption struct {
	name     string
	lifetime time.Duration
}

// Sizes in bytes, and numbers of IANA's registries.
const (
	ip6Header    = 40
	advertHeader = 16
	icmpProto    = 58
	typeSolicit  = 133
	typeAdvert   = 134

	optSourceAddr = 1
	optPrefix     = 3
	optMTU        = 5
	optRoute      = 24
	optServers    = 25
	optDomains    = 31
	optPortal     = 37

	// addressBits is the length of a prefix that Ethernet makes addresses of
	// (RFC 2464, 4).
	addressBits = 64
)

// linkLocal are the addresses that are only of this link (RFC 4291, 2.5.6). The
// kernel finds no other neighbour as a gateway.
var linkLocal = netip.MustParsePrefix("fe80::/64")

// The reasons to drop a packet.
var (
	errShort    = errors.New("shorter than it says")
	errNoAdvert = errors.New("not a router advertisement")
	errHopLimit = errors.New("hop limit under 255: it passed a router")
	errSource   = errors.New("source is not a link-local address")
	errChecksum = errors.New("checksum is wrong")
	errOption   = errors.New("option of length 0")
)

// parseAdvert reads an IPv6 packet. It refuses what RFC 4861, 6.1.2 says must
// be dropped, and leaves out options that make no sense, or too many of a kind.
// partial says that the checksum was never computed.
func parseAdvert(packet []byte, partial bool) (advert, error) {
	if len(packet) < ip6Header+advertHeader || packet[0]>>4 != 6 {
		return advert{}, errNoAdvert
	}
	size := int(binary.BigEndian.Uint16(packet[4:]))
	if size < advertHeader || size > len(packet)-ip6Header {
		return advert{}, errShort
	}
	body := packet[ip6Header : ip6Header+size]
	source := netip.AddrFrom16([16]byte(packet[8:24]))
	switch {
	case packet[6] != icmpProto || body[0] != typeAdvert || body[1] != 0:
		return advert{}, errNoAdvert
	case packet[7] != 255:
		return advert{}, errHopLimit
	case !linkLocal.Contains(source):
		return advert{}, errSource
	case !partial && checksum(packet[8:ip6Header], body) != 0:
		return advert{}, errChecksum
	}
	a := advert{
		router:   source,
		hopLimit: int(body[4]),
		managed:  body[5]&0x80 != 0,
		other:    body[5]&0x40 != 0,
		lifetime: time.Duration(binary.BigEndian.Uint16(body[6:])) * time.Second,
	}
	if a.lifetime > 0 {
		a.preference, _ = preference(body[5])
	}
	return a, a.readOptions(body[advertHeader:])
}

// preference reads the two bits of RFC 4191, 2.1; the reserved value counts as
// medium and is not known.
func preference(flags byte) (p int, known bool) {
	switch flags >> 3 & 3 {
	case 1:
		return 1, true
	case 3:
		return -1, true
	case 2:
		return 0, false
	}
	return 0, true
}

func (a *advert) readOptions(b []byte) error {
	for len(b) > 0 {
		if len(b) < 2 {
			return errShort
		}
		size := int(b[1]) * 8
		switch {
		case size == 0:
			return errOption
		case size > len(b):
			return errShort
		}
		a.readOption(b[:size])
		b = b[size:]
	}
	return nil
}

// readOption reads one whole option, of at least 8 bytes.
func (a *advert) readOption(o []byte) {
	switch o[0] {
	case optPrefix:
		if p, ok := readPrefix(o); ok && len(a.prefixes) < maxPrefixes {
			a.prefixes = append(a.prefixes, p)
		}
	case optMTU:
		if mtu := binary.BigEndian.Uint32(o[4:]); len(o) == 8 && mtu >= netcfg.MinIPv6MTU && mtu <= 0xffff {
			a.mtu = int(mtu)
		}
	case optRoute:
		if r, ok := readRoute(o); ok && len(a.routes) < maxRoutes {
			a.routes = append(a.routes, r)
		}
	case optServers:
		a.readServers(o)
	case optDomains:
		a.readDomains(o)
	case optPortal:
		if url := string(bytes.TrimRight(o[2:], "\x00")); netcfg.ValidURL(url) {
			a.portal = url
		}
	}
}

func readPrefix(o []byte) (p prefixOption, ok bool) {
	if len(o) != 32 || o[2] > 128 {
		return p, false
	}
	address := netip.AddrFrom16([16]byte(o[16:32]))
	prefix, err := address.Prefix(int(o[2]))
	p = prefixOption{
		prefix:     prefix,
		onLink:     o[3]&0x80 != 0,
		autonomous: o[3]&0x40 != 0 && prefix.Bits() == addressBits,
		valid:      seconds(o[4:]),
		preferred:  seconds(o[8:]),
	}
	return p, err == nil && p.preferred <= p.valid && usable(prefix)
}

func readRoute(o []byte) (r routeOption, ok bool) {
	bits := int(o[2])
	if bits > 128 || len(o) > 24 || len(o) < 8+(bits+63)/64*8 {
		return r, false
	}
	var address [16]byte
	copy(address[:], o[8:])
	prefix, err := netip.AddrFrom16(address).Prefix(bits)
	p, known := preference(o[3])
	r = routeOption{dst: prefix, preference: p, lifetime: seconds(o[4:])}
	return r, err == nil && known && (bits == 0 || usable(prefix))
}

func (a *advert) readServers(o []byte) {
	lifetime := seconds(o[4:])
	for b := o[8:]; len(b) >= 16 && len(a.servers) < maxServers; b = b[16:] {
		server := netip.AddrFrom16([16]byte(b[:16]))
		if !server.IsUnspecified() && !server.IsLoopback() && !server.IsMulticast() && !server.Is4In6() {
			a.servers = append(a.servers, serverOption{server, lifetime})
		}
	}
}

func (a *advert) readDomains(o []byte) {
	lifetime := seconds(o[4:])
	for b := o[8:]; len(b) > 0 && b[0] != 0; {
		name, rest, err := readName(b)
		if err != nil {
			return
		}
		if netcfg.ValidName(name) && len(a.domains) < maxDomains {
			a.domains = append(a.domains, domainOption{name, lifetime})
		}
		b = rest
	}
}

// readName reads a name of RFC 1035, 3.1, which is not compressed here.
func readName(b []byte) (name string, rest []byte, err error) {
	var labels []string
	for len(b) > 0 {
		n := int(b[0])
		switch {
		case n == 0:
			return strings.Join(labels, "."), b[1:], nil
		case n > 63 || n >= len(b):
			return "", nil, fmt.Errorf("label of %d bytes", n)
		}
		labels = append(labels, string(b[1:1+n]))
		b = b[1+n:]
	}
	return "", nil, errShort
}

// usable reports whether the prefix holds addresses that hosts elsewhere can
// reach.
func usable(p netip.Prefix) bool {
	a := p.Addr()
	return p.Bits() > 0 && !a.IsLinkLocalUnicast() && !a.IsMulticast() && !a.IsUnspecified() && !a.IsLoopback() && !a.Is4In6()
}

// seconds reads a lifetime; all ones are for ever.
func seconds(b []byte) time.Duration {
	n := binary.BigEndian.Uint32(b)
	if n == 0xffffffff {
		return core.Forever
	}
	return time.Duration(n) * time.Second
}

// checksum sums an ICMPv6 message with its pseudo header (RFC 8200, 8.1):
// addresses holds source and destination. It is 0 for a message with the right
// checksum in it.
func checksum(addresses, body []byte) uint16 {
	sum := uint32(len(body)) + icmpProto
	for _, part := range [][]byte{addresses, body} {
		for ; len(part) > 1; part = part[2:] {
			sum += uint32(binary.BigEndian.Uint16(part))
		}
		if len(part) == 1 {
			sum += uint32(part[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
