package netcfg

import (
	"net/netip"
	"slices"
)

// Addr is an address of a link.
type Addr struct {
	Prefix    netip.Prefix // the address itself with its prefix length, not masked
	Broadcast netip.Addr   // IPv4 only; invalid means none
	Peer      netip.Addr   // far end of a point-to-point link; invalid means none

	// Deprecated says that new connections should not use it (RFC 4862, 5.5.4).
	// IPv6 only, as is Temporaries.
	Deprecated bool
	// Temporaries has the kernel make temporary addresses beside it (RFC 8981),
	// if the link's IPv6Mode wants them.
	Temporaries bool
}

// Route is a route through a link.
type Route struct {
	Dst     netip.Prefix // masked; 0.0.0.0/0 or ::/0 is the default route
	Gateway netip.Addr   // invalid: the destination is on the link
	Src     netip.Addr   // preferred source address; invalid: the kernel chooses
	Metric  uint32       // lower wins
	Table   int          // routing table; 0 is the main table
	// Unreachable refuses what goes to Dst. Such a route of IPv6 belongs to the
	// loopback link; IPv4 has none here.
	Unreachable bool
}

// IsDefault reports whether r matches every address of its family.
func (r Route) IsDefault() bool { return r.Dst.IsValid() && r.Dst.Bits() == 0 }

// LinkConfig is all that one link should have, or has.
type LinkConfig struct {
	Addrs  []Addr
	Routes []Route
	MTU    int // bytes; 0 leaves the link's own
	// KeepIPv6 leaves what the link already has of IPv6 where it is, because
	// nobody knows yet whether it is to stay.
	KeepIPv6 bool
}

// Equal reports whether both say the same, order aside.
func (c LinkConfig) Equal(o LinkConfig) bool {
	return c.MTU == o.MTU && c.KeepIPv6 == o.KeepIPv6 && sameSet(c.Addrs, o.Addrs) && sameSet(c.Routes, o.Routes)
}

// Diff returns what to add to have, and what to take from it, to arrive at
// want.
func Diff[T comparable](have, want []T) (add, del []T) {
	for _, w := range want {
		if !slices.Contains(have, w) && !slices.Contains(add, w) {
			add = append(add, w)
		}
	}
	for _, h := range have {
		if !slices.Contains(want, h) {
			del = append(del, h)
		}
	}
	return add, del
}

func sameSet[T comparable](a, b []T) bool {
	add, del := Diff(a, b)
	return len(add) == 0 && len(del) == 0
}

// IPConfig is the addressing of one family as a server, the air or the user
// gave it: what a service shows as its IPv4 or IPv6.
type IPConfig struct {
	Address   netip.Prefix // the address with its prefix length; invalid: none
	Broadcast netip.Addr
	Gateway   netip.Addr // invalid: none
	Routes    []Route    // more specific routes, such as DHCP option 121's
	MTU       int        // bytes; 0: unknown
}

// Equal reports whether both say the same.
func (c IPConfig) Equal(o IPConfig) bool {
	return c.Address == o.Address && c.Broadcast == o.Broadcast && c.Gateway == o.Gateway &&
		c.MTU == o.MTU && slices.Equal(c.Routes, o.Routes)
}

// ProxyMethod says how programs find their proxy.
type ProxyMethod string

// The proxy methods, spelt as on the bus and in files.
const (
	ProxyDirect ProxyMethod = "direct"
	ProxyManual ProxyMethod = "manual"
	ProxyAuto   ProxyMethod = "auto"
)

// ProxyConfig is how to reach the web from a network.
type ProxyConfig struct {
	Method   ProxyMethod // "" means unknown
	URL      string      // of the PAC file, for auto
	Servers  []string    // for manual
	Excludes []string    // hosts reached directly, for manual
}

// Equal reports whether both say the same.
func (c ProxyConfig) Equal(o ProxyConfig) bool {
	return c.Method == o.Method && c.URL == o.URL &&
		slices.Equal(c.Servers, o.Servers) && slices.Equal(c.Excludes, o.Excludes)
}
