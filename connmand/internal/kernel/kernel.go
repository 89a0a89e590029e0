package kernel

import (
	"context"
	"errors"
	"net/netip"

	"net.connman/pkg/netcfg"
)

// Protocol is what addresses (IFA_PROTO, since Linux 5.18) and routes
// (rtm_protocol) that this daemon makes are marked with.
const Protocol = 67

// Protocols of other owners, from linux/rtnetlink.h.
const (
	ProtocolBoot     = 3 // made without naming an owner
	ProtocolStatic   = 4
	ProtocolRA       = 9
	ProtocolDHCP     = 16
	protocolRedirect = 1
)

// Link types (ARPHRD_*), from linux/if_arp.h.
const (
	TypeEther    = 1
	TypeLoopback = 772
)

// LoopbackIndex is the index of the loopback link in every network namespace.
const LoopbackIndex = 1

// Link is a network interface.
type Link struct {
	Index        int
	Name         string
	Kind         string // of a virtual link: "veth", "bridge", "vlan", …; "" for hardware
	DevType      string // DEVTYPE of its uevent: "wlan", "wwan", "gadget", …; often ""
	Type         uint16 // ARPHRD_*
	HardwareAddr string // in binary, "" if it has none
	Permanent    string // the hardware's own, in binary, "" when it is not known
	Up           bool   // administratively up
	Carrier      bool   // the cable is in, the peer is there (IFF_LOWER_UP)
	Running      bool   // ready for traffic (IFF_RUNNING): carrier, and not dormant
	Slave        bool   // part of a bond (IFF_SLAVE)
	MTU          int
	MinMTU       int    // what MTU may be set to; 0 when unknown
	MaxMTU       int    // likewise
	Master       int    // index of the bridge, bond, … that has the link, 0 for none
	Parent       int    // index of the link below, as a VLAN has one; of a veth its peer; 0 for none
	VLAN         uint16 // identifier of a link of kind "vlan"
}

// Wireless reports whether the link is a Wi-Fi station or access point.
func (l Link) Wireless() bool { return l.DevType == "wlan" }

// Addr is an address on a link.
type Addr struct {
	Index int
	netcfg.Addr
	Protocol  uint8 // IFA_PROTO, 0 when unknown
	Temporary bool  // its lifetime ends unless somebody renews it
	Tentative bool  // not to be used: the kernel still looks for a duplicate
	Duplicate bool  // not to be used: another machine has it
}

// Route is a unicast route out of one link, or one that refuses.
type Route struct {
	Index int
	netcfg.Route
	Protocol uint8
}

// Snapshot is all that there is at one moment.
type Snapshot struct {
	Links  []Link
	Addrs  []Addr
	Routes []Route
}

// Event is one of the events below.
type Event interface{ event() }

type (
	// Resync replaces all that was reported before. It is the first event, and
	// comes again when events were lost.
	Resync struct{ Snapshot }
	// LinkChanged reports a new link or one that changed.
	LinkChanged struct{ Link Link }
	// LinkRemoved says that a link is gone, with its addresses and routes.
	LinkRemoved struct{ Index int }
	// AddrChanged reports a new address or one that changed.
	AddrChanged struct{ Addr Addr }
	// AddrRemoved says that an address is gone.
	AddrRemoved struct{ Addr Addr }
	// RouteAdded reports a route. With Replaced it took the place of the first
	// route of the same destination, metric and table, of which no RouteRemoved
	// tells.
	RouteAdded struct {
		Route    Route
		Replaced bool
	}
	// RouteRemoved says that a route is gone. The kernel does not tell of IPv4
	// routes that go because their link goes down, their source address goes or
	// the last IPv4 address of their link goes.
	RouteRemoved struct{ Route Route }
)

func (Resync) event()       {}
func (LinkChanged) event()  {}
func (LinkRemoved) event()  {}
func (AddrChanged) event()  {}
func (AddrRemoved) event()  {}
func (RouteAdded) event()   {}
func (RouteRemoved) event() {}

// What requests fail with, beside the kernel's own words.
var (
	ErrNoLink     = errors.New("no such link")
	ErrLinkDown   = errors.New("link is down")
	ErrExists     = errors.New("exists already")
	ErrNotFound   = errors.New("not there")
	ErrPermission = errors.New("no permission")
	ErrNoIPv6     = errors.New("IPv6 is switched off in the kernel")
	ErrNoTunnel   = errors.New("the kernel has no tunnels of IPv6 in IPv4 (module sit)")
)

// Kernel is what this package offers; [Netlink] is the real one.
type Kernel interface {
	// Run delivers events in order, many at a time when there are many, until
	// ctx ends. The slice belongs to the receiver. Call it once.
	Run(ctx context.Context, deliver func([]Event)) error
	// Sync returns once all that happened before the call was delivered.
	Sync(ctx context.Context) error
	// Refresh asks for a Resync. It may be called from any goroutine.
	Refresh()

	// AddAddr adds an address marked as ours, or marks one that is there and
	// makes it permanent. Without a broadcast address the address gets none. An
	// IPv6 address brings no route to its prefix.
	AddAddr(index int, a netcfg.Addr) error
	// DelAddr deletes an address, whoever made it.
	DelAddr(index int, a netcfg.Addr) error
	// AddRoute adds a route marked as ours. Routes that differ only in gateway
	// or link stand side by side: the older one is used.
	AddRoute(index int, r netcfg.Route) error
	// ReplaceRoute adds an IPv6 route in the place of one to the same
	// destination with the same metric, without a moment between. IPv6 routes
	// side by side would share the traffic.
	ReplaceRoute(index int, r netcfg.Route) error
	// DelRoute deletes exactly the route r.
	DelRoute(r Route) error
	// SetUp brings a link administratively up or down.
	SetUp(index int, up bool) error
	// SetHardwareAddr gives a link another hardware address, in binary. Most
	// links have to be down for it.
	SetHardwareAddr(index int, addr string) error
	// SetMTU sets the largest packet, in bytes.
	SetMTU(index int, mtu int) error
	// AddTunnel makes a link that sends IPv6 packets in IPv4 packets from local
	// to where their addresses say (6to4, RFC 3056), or to the IPv4 address in
	// their gateway's. It fails with ErrNoTunnel if the kernel has no such.
	AddTunnel(name string, local netip.Addr) (index int, err error)
	// DelLink deletes a virtual link.
	DelLink(name string) error
	// SetSysctl writes a per-interface setting, such as IPv6's "accept_ra".
	SetSysctl(f Family, link, key, value string) error
	// Sysctl reads a per-interface setting. "all" and "default" are links here.
	// It fails with ErrNotFound when the kernel has no such setting.
	Sysctl(f Family, link, key string) (string, error)
	// LoosenFilter has a link accept packets whose way back leads through
	// another link, where the kernel is set to refuse them (rp_filter 1, RFC
	// 3704's strict mode). Otherwise it does nothing.
	LoosenFilter(link string) error
}

// Family says which of a link's sysctl trees is meant.
type Family string

// The families, named as in /proc/sys/net.
const (
	IPv4 Family = "ipv4"
	IPv6 Family = "ipv6"
)

// AddrKey is what makes an address the same address to the kernel; the
// broadcast address is not part of it.
type AddrKey struct {
	Prefix netip.Prefix
	Peer   netip.Addr
}

// Key returns what identifies a among the addresses of its link.
func Key(a netcfg.Addr) AddrKey { return AddrKey{a.Prefix, a.Peer} }
