package core

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"net.connman/pkg/netcfg"
)

// Forever is a lifetime without end, all ones on the wire.
const Forever = time.Duration(1<<63 - 1)

// RouterDiscoveryRequest says where to look for routers.
type RouterDiscoveryRequest struct {
	Link Link
}

// Router is a default router.
type Router struct {
	Address    netip.Addr    // link-local, without a zone
	Preference int           // 1 high, 0 medium, -1 low (RFC 4191)
	Lifetime   time.Duration // from the moment of the report, above zero
}

// RouterPrefix is a prefix that routers announce.
type RouterPrefix struct {
	Prefix     netip.Prefix  // masked
	OnLink     bool          // hosts of the prefix are on the link
	Autonomous bool          // hosts make addresses of it (RFC 4862)
	Preferred  time.Duration // from the moment of the report; 0: deprecated
	Valid      time.Duration // above zero, at least Preferred
}

// RouterInfo is what all routers of a link say together. It holds values that
// were checked: see the ndisc package for what is refused.
type RouterInfo struct {
	Routers  []Router // the one to use first
	Prefixes []RouterPrefix
	Routes   []netcfg.Route // more specific routes (RFC 4191)
	DNS      netcfg.DNSConfig
	MTU      int    // bytes; 0: not said
	HopLimit int    // 0: not said
	Portal   string // URL of a captive portal's API (RFC 8910)
	Managed  bool   // addresses are to be had by DHCPv6
	Other    bool   // other configuration is
}

// RouterEvent is one of the events below.
type RouterEvent interface{ routerEvent() }

type (
	// RoutersSeen reports what routers say, at first and whenever it changed;
	// also what is left when something ran out.
	RoutersSeen struct{ Info RouterInfo }
	// RoutersNoAnswer says that no router answered a whole round of
	// solicitations. Advertisements are still listened for.
	RoutersNoAnswer struct{}
)

func (RoutersSeen) routerEvent()     {}
func (RoutersNoAnswer) routerEvent() {}

// RouterDiscovery finds routers (RFC 4861).
type RouterDiscovery interface {
	Start(req RouterDiscoveryRequest, report func(RouterEvent)) RouterDiscoveryClient
}

// RouterDiscoveryClient is one running discovery.
type RouterDiscoveryClient interface{ Stop() }

// DUID names this machine to DHCPv6 servers (RFC 8415, 11) in its binary form.
type DUID string

// duidEpoch is where the time of a DUID-LLT counts from.
var duidEpoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// NewDUID makes a DUID of the type "link-layer address plus time" for an
// Ethernet address. It is to be kept: two calls make two machines.
func NewDUID(addr HardwareAddr, now time.Time) DUID {
	const linkLayerTime, ethernet = 1, 1
	d := binary.BigEndian.AppendUint16(nil, linkLayerTime)
	d = binary.BigEndian.AppendUint16(d, ethernet)
	d = binary.BigEndian.AppendUint32(d, uint32(now.Sub(duidEpoch)/time.Second))
	return DUID(append(d, addr...))
}

// The length of a DUID in bytes: its type and something (RFC 8415, 11.1).
const (
	MinDUID = 3
	MaxDUID = 130
)

// ParseDUID reads a DUID in hexadecimal digits, as it is kept in files.
func ParseDUID(s string) (DUID, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return "", err
	}
	if len(b) < MinDUID || len(b) > MaxDUID {
		return "", fmt.Errorf("%d bytes", len(b))
	}
	return DUID(b), nil
}

// String returns the DUID in hexadecimal digits.
func (d DUID) String() string { return hex.EncodeToString([]byte(d)) }

// DHCP6Request says what a client should ask for.
type DHCP6Request struct {
	Link Link
	DUID DUID
	// Stateful asks for an address; otherwise the client only wants to know
	// servers and domains.
	Stateful bool
	// Prefixes asks for the delegation of prefixes.
	Prefixes bool
	// Last is the address of an earlier lease, which servers are asked for
	// again; invalid: none.
	Last netip.Addr
}

// LeasedAddress is an address that a DHCPv6 server gave. It says nothing of
// which other addresses are on the link.
type LeasedAddress struct {
	Address   netip.Addr
	Preferred time.Duration // from the moment of the report; 0: deprecated
	Valid     time.Duration // above zero, at least Preferred
}

// DelegatedPrefix is a prefix that a DHCPv6 server left to this machine, for
// the networks behind it.
type DelegatedPrefix struct {
	Prefix    netip.Prefix  // masked
	Preferred time.Duration // from the moment of the report; 0: deprecated
	Valid     time.Duration // above zero, at least Preferred
}

// Lease6 is what DHCPv6 gave. It holds values that were checked: see the dhcp6
// package for what is refused.
type Lease6 struct {
	Addresses   []LeasedAddress   // none of a stateless client
	Prefixes    []DelegatedPrefix // none of a client that did not ask for them
	DNS         netcfg.DNSConfig
	Timeservers []string
	Portal      string // option 103, URL of a captive portal's API (RFC 8910)
}

// DHCP6Event is one of the events below.
type DHCP6Event interface{ dhcp6Event() }

type (
	// DHCP6Bound reports a lease, new, renewed or changed, also by an address
	// becoming deprecated. It replaces all that was reported before.
	DHCP6Bound struct{ Lease Lease6 }
	// DHCP6Lost says that the lease with all its addresses is gone: expired,
	// refused, declined or of another link. The client tries on by itself.
	DHCP6Lost struct{}
	// DHCP6NoAnswer says that no server answered for half a minute or none
	// had an address. The client tries on by itself, more and more slowly.
	DHCP6NoAnswer struct{}
)

func (DHCP6Bound) dhcp6Event()    {}
func (DHCP6Lost) dhcp6Event()     {}
func (DHCP6NoAnswer) dhcp6Event() {}

// DHCP6 runs DHCPv6 clients, one on a link at most. The link needs a
// link-local address that has passed duplicate address detection; until it has
// one, clients wait for it by trying again.
type DHCP6 interface {
	Start(req DHCP6Request, report func(DHCP6Event)) DHCP6Client
}

// DHCP6Client is one running client.
type DHCP6Client interface {
	// Decline tells the server that another machine uses an address of the
	// lease. The lease is given up and reported as lost.
	Decline(address netip.Addr)
	// Stop ends the client; release gives the lease back to its server.
	Stop(release bool)
}
