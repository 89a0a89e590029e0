package dhcp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/leasefile"
	"net.connman/pkg/netcfg"
)

const (
	defaultLifetime = time.Hour        // for a server that names none
	minLifetime     = 10 * time.Second // shorter leases are taken as this
	infinite        = math.MaxUint32   // seconds that mean for ever

	minMTU      = 576 // bytes, what every host must take (RFC 791)
	maxServers  = 8   // of each kind that are kept
	maxRoutes   = 256
	maxDomains  = 32
	maxName     = 253 // bytes of a domain name
	maxLabel    = 63
	maxWarnings = 16  // a server does not fill the log
	classlessMS = 249 // Microsoft's code for option 121
)

// lease is an acknowledged lease. Times are those of the loop.
type lease struct {
	addr, server netip.Addr
	grant        *grant    // nil once the user has it
	began        time.Time // when it was asked for
	renew        time.Time // T1; zero: never
	rebind       time.Time // T2
	expire       time.Time // zero: never
}

// grant is all that the server gave.
type grant struct {
	config core.Lease
	ack    []byte // the message, for the file
}

// restore makes a lease of what a file holds, or says why it does not hold any
// more.
func restore(s leasefile.Lease, client core.HardwareAddr, address netip.Addr, now time.Time) (*lease, error) {
	r, err := parseReply(s.Reply)
	if err != nil {
		return nil, err
	}
	config, _, err := leaseConfig(r)
	if err != nil {
		return nil, err
	}
	l := newLease(config, r, s.Asked)
	switch {
	case r.kind != ack || r.client != client:
		return nil, fmt.Errorf("not a lease of this link")
	case l.addr != address:
		return nil, fmt.Errorf("lease of %s instead of %s", l.addr, address)
	case due(l.expire, now):
		return nil, fmt.Errorf("lease has expired")
	}
	return l, nil
}

// leaseConfig reads what an offer or acknowledgement gives. Only an unusable
// address is an error; any other option that makes no sense is left out and
// named in warnings.
func leaseConfig(r reply) (c core.Lease, warnings []error, err error) {
	prefix, err := addressOf(r)
	if err != nil {
		return core.Lease{}, nil, err
	}
	o := optionReader{options: r.options}
	c.IP = netcfg.IPConfig{Address: prefix, Broadcast: o.broadcast(prefix), MTU: o.mtu()}
	c.IP.Gateway, c.IP.Routes = o.routes(prefix)
	c.DNS.Servers = o.addresses(dhcpv4.OptionDomainNameServer.Code())
	c.DNS.Domains = o.searchList()
	for _, a := range o.addresses(dhcpv4.OptionNTPServers.Code()) {
		c.Timeservers = append(c.Timeservers, a.String())
	}
	c.Hostname = o.domainName(dhcpv4.OptionHostName.Code())
	c.Domainname = o.domainName(dhcpv4.OptionDomainName.Code())
	c.WPAD = o.url(optWPAD)
	c.Portal = o.url(optPortal)
	c.Server = r.server
	return c, o.warnings, nil
}

// addressOf returns the address given with its prefix length, by the subnet
// mask or, without one, by the address's class.
func addressOf(r reply) (netip.Prefix, error) {
	a := r.address
	if !unicast(a) {
		return netip.Prefix{}, fmt.Errorf("address %s is unusable", a)
	}
	length := classLength(a)
	if mask := r.options.Get(dhcpv4.OptionSubnetMask); mask != nil {
		if len(mask) != 4 {
			return netip.Prefix{}, fmt.Errorf("subnet mask of %d bytes", len(mask))
		}
		m := binary.BigEndian.Uint32(mask)
		if length = bits.LeadingZeros32(^m); length == 0 || m<<length != 0 {
			return netip.Prefix{}, fmt.Errorf("subnet mask %x", mask)
		}
	}
	p := netip.PrefixFrom(a, length)
	if length < 31 && (a == p.Masked().Addr() || a == lastAddr(p)) {
		return netip.Prefix{}, fmt.Errorf("address %s is its network's own or broadcast address", p)
	}
	return p, nil
}

func classLength(a netip.Addr) int {
	switch first := a.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	default:
		return 24
	}
}

// lastAddr is the broadcast address of p.
func lastAddr(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	v := binary.BigEndian.Uint32(a[:]) | math.MaxUint32>>p.Bits()
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, v)))
}

// lifetimes are the lease's time and its T1 and T2 (options 51, 58, 59), all
// zero for an infinite lease. Times that make no sense give way to the
// defaults of RFC 2131, 4.4.5.
func lifetimes(o dhcpv4.Options) (total, t1, t2 time.Duration) {
	seconds := func(code dhcpv4.OptionCode) (uint32, bool) {
		v := o.Get(code)
		if len(v) != 4 {
			return 0, false
		}
		return binary.BigEndian.Uint32(v), true
	}
	total = defaultLifetime
	if s, ok := seconds(dhcpv4.OptionIPAddressLeaseTime); ok {
		if s == infinite {
			return 0, 0, 0
		}
		total = max(time.Duration(s)*time.Second, minLifetime)
	}
	t1, t2 = total/2, total/8*7
	s1, ok1 := seconds(dhcpv4.OptionRenewTimeValue)
	s2, ok2 := seconds(dhcpv4.OptionRebindingTimeValue)
	g1, g2 := time.Duration(s1)*time.Second, time.Duration(s2)*time.Second
	if !ok1 {
		g1 = t1
	}
	if !ok2 {
		g2 = t2
	}
	if 0 < g1 && g1 < g2 && g2 < total {
		t1, t2 = g1, g2
	}
	return total, t1, t2
}

// optionReader reads options and collects what is wrong with them.
type optionReader struct {
	options  dhcpv4.Options
	warnings []error
}

func (o *optionReader) refuse(code uint8, format string, args ...any) {
	if len(o.warnings) == maxWarnings {
		return
	}
	o.warnings = append(o.warnings, fmt.Errorf("option %d: "+format, append([]any{code}, args...)...))
}

func (o *optionReader) mtu() int {
	code := dhcpv4.OptionInterfaceMTU.Code()
	v := o.options[code]
	switch {
	case v == nil:
		return 0
	case len(v) != 2 || binary.BigEndian.Uint16(v) < minMTU:
		o.refuse(code, "MTU %x", v)
		return 0
	}
	return int(binary.BigEndian.Uint16(v))
}

func (o *optionReader) broadcast(p netip.Prefix) netip.Addr {
	if p.Bits() >= 31 {
		return netip.Addr{}
	}
	code := dhcpv4.OptionBroadcastAddress.Code()
	if v := o.options[code]; v != nil {
		if len(v) == 4 {
			if a := netip.AddrFrom4([4]byte(v)); p.Contains(a) && a != p.Addr() {
				return a
			}
		}
		o.refuse(code, "broadcast address %x of %s", v, p)
	}
	return lastAddr(p)
}

// addresses reads a list of hosts, each once.
func (o *optionReader) addresses(code uint8) []netip.Addr {
	v := o.options[code]
	if v == nil {
		return nil
	}
	if len(v) == 0 || len(v)%4 != 0 {
		o.refuse(code, "addresses of %d bytes", len(v))
		return nil
	}
	var list []netip.Addr
	for ; len(v) > 0 && len(list) < maxServers; v = v[4:] {
		switch a := netip.AddrFrom4([4]byte(v)); {
		case !unicast(a):
			o.refuse(code, "address %s", a)
		case !slices.Contains(list, a):
			list = append(list, a)
		}
	}
	return list
}

// routes returns the default gateway and the other routes. Classless routes
// replace routers and static routes (RFC 3442), Microsoft's code for them
// counts when the standard one is missing or wrong.
func (o *optionReader) routes(p netip.Prefix) (gateway netip.Addr, routes []netcfg.Route) {
	routes, ok := o.classless(dhcpv4.OptionClasslessStaticRoute.Code())
	if !ok {
		routes, ok = o.classless(classlessMS)
	}
	if !ok {
		if routers := o.addresses(dhcpv4.OptionRouter.Code()); len(routers) > 0 {
			gateway = routers[0]
		}
		return gateway, o.static()
	}
	for i, r := range routes {
		if r.IsDefault() && r.Gateway.IsValid() {
			return r.Gateway, slices.DeleteFunc(slices.Delete(routes, i, i+1), netcfg.Route.IsDefault)
		}
	}
	return netip.Addr{}, routes
}

// classless reads RFC 3442 routes. A router of 0.0.0.0 means that the
// destination is on the link.
func (o *optionReader) classless(code uint8) ([]netcfg.Route, bool) {
	v := o.options[code]
	if v == nil {
		return nil, false
	}
	var routes []netcfg.Route
	for len(v) > 0 {
		width := int(v[0])
		size := (width + 7) / 8
		if width > 32 || len(v) < 1+size+4 {
			o.refuse(code, "classless route %x", v)
			return nil, false
		}
		var dst [4]byte
		copy(dst[:], v[1:1+size])
		r := netcfg.Route{Dst: netip.PrefixFrom(netip.AddrFrom4(dst), width).Masked()}
		if router := netip.AddrFrom4([4]byte(v[1+size:])); unicast(router) {
			r.Gateway = router
		} else if !router.IsUnspecified() {
			o.refuse(code, "router %s", router)
			return nil, false
		}
		if len(routes) < maxRoutes && !slices.Contains(routes, r) {
			routes = append(routes, r)
		}
		v = v[1+size+4:]
	}
	return routes, len(routes) > 0
}

// static reads option 33: pairs of a destination, a host or a classful
// network, and a router.
func (o *optionReader) static() []netcfg.Route {
	code := dhcpv4.OptionStaticRoutingTable.Code()
	v := o.options[code]
	if v == nil {
		return nil
	}
	if len(v) == 0 || len(v)%8 != 0 {
		o.refuse(code, "static routes of %d bytes", len(v))
		return nil
	}
	var routes []netcfg.Route
	for ; len(v) > 0 && len(routes) < maxRoutes; v = v[8:] {
		dst, router := netip.AddrFrom4([4]byte(v)), netip.AddrFrom4([4]byte(v[4:]))
		if !unicast(dst) || !unicast(router) {
			o.refuse(code, "route to %s by %s", dst, router)
			continue
		}
		p := netip.PrefixFrom(dst, classLength(dst))
		if p.Masked().Addr() != dst {
			p = netip.PrefixFrom(dst, 32)
		}
		routes = append(routes, netcfg.Route{Dst: p, Gateway: router})
	}
	return routes
}

// text returns an option's bytes without the NULs that some servers end it
// with.
func (o *optionReader) text(code uint8) string {
	return strings.TrimRight(string(o.options[code]), "\x00")
}

// domainName reads a name of a host or domain (RFC 1123, and the underscore that
// some networks use): what is not one might be meant for a shell, a file or a
// log.
func (o *optionReader) domainName(code uint8) string {
	s := strings.TrimSuffix(o.text(code), ".")
	if s == "" {
		return ""
	}
	if !netcfg.ValidName(s) {
		o.refuse(code, "%d bytes that are no host or domain name", len(s))
		return ""
	}
	return s
}

// searchList reads option 119 (RFC 3397).
func (o *optionReader) searchList() []string {
	code := dhcpv4.OptionDNSDomainSearchList.Code()
	v := o.options[code]
	var domains []string
	for at := 0; at < len(v) && len(domains) < maxDomains; {
		name, next, err := expandName(v, at)
		switch {
		case err != nil:
			o.refuse(code, "%w", err)
			return nil
		case !netcfg.ValidName(name):
			o.refuse(code, "%d bytes that are no domain name", len(name))
		case !slices.Contains(domains, name):
			domains = append(domains, name)
		}
		at = next
	}
	return domains
}

// expandName reads the name at v[at:] and says where the next begins. A
// pointer must go back, so that names end.
func expandName(v []byte, at int) (name string, next int, err error) {
	const pointer = 0xc0
	var labels []string
	size, limit := 0, at
	for {
		if at >= len(v) {
			return "", 0, errors.New("name without end")
		}
		n := int(v[at])
		switch {
		case n == 0:
			return strings.Join(labels, "."), max(next, at+1), nil
		case n&pointer == pointer:
			if at+1 >= len(v) {
				return "", 0, errors.New("half a pointer")
			}
			to := (n&^pointer)<<8 | int(v[at+1])
			if to >= limit {
				return "", 0, fmt.Errorf("pointer from %d to %d", at, to)
			}
			next = max(next, at+2)
			at, limit = to, to
			continue
		case n > maxLabel || at+1+n > len(v):
			return "", 0, fmt.Errorf("label of %d bytes", n)
		}
		if size += n + 1; size > maxName+1 {
			return "", 0, errors.New("name is too long")
		}
		labels = append(labels, string(v[at+1:at+1+n]))
		at += 1 + n
	}
}

// url reads a web address.
func (o *optionReader) url(code uint8) string {
	s := strings.TrimSpace(o.text(code))
	if s == "" {
		return ""
	}
	if !netcfg.ValidURL(s) {
		o.refuse(code, "%d bytes that are no web address", len(s))
		return ""
	}
	return s
}
