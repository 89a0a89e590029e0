package resolved

import (
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/resolve1"
	"net.connman/pkg/bus"
	"net.connman/pkg/netcfg"
)

const (
	busName = "org.freedesktop.resolve1"
	path    = bus.ObjectPath("/org/freedesktop/resolve1")
)

// Values of struct in_addr's family, as the interface counts them (Linux).
const (
	familyIPv4 = int32(2)
	familyIPv6 = int32(10)
)

// Client tells systemd-resolved what it should know. Its methods are for the
// loop.
type Client struct {
	conn    *bus.Conn
	log     *slog.Logger
	running bool
	want    []setup
	told    map[int]*setup // by index; nil for what an earlier instance was told
	trouble string         // what was logged last
}

// setup is all that is said of one link.
type setup struct {
	index   int
	servers []netip.Addr
	names   map[netip.Addr]string
	domains []string
	hosts   []string // asked here, but not searched
	tls     netcfg.DNSOverTLS
	route   bool // names that no link claims are asked here
	mdns    bool
}

// New returns a client on conn.
func New(conn *bus.Conn, log *slog.Logger) *Client {
	return &Client{conn: conn, log: log, told: map[int]*setup{}}
}

// Watch calls fn with whether systemd-resolved runs: once when that is known,
// and whenever it changes.
func (c *Client) Watch(fn func(running bool)) {
	c.conn.WatchName(busName, func(owner string) {
		c.running = owner != ""
		for index := range c.told {
			c.told[index] = nil
		}
		fn(c.running)
		c.tell()
	})
}

// Set makes the links known, in service order: names that none of them claims
// go to the first that has a server and is not split. A link that is no longer
// among them is given back.
func (c *Client) Set(links []core.LinkDNS) {
	c.want = make([]setup, 0, len(links))
	routed := false
	for _, l := range links {
		route := !routed && !l.Split && len(l.DNS.Servers) > 0
		routed = routed || route
		c.want = append(c.want, setup{
			index: l.Link.Index, servers: l.DNS.Servers, names: l.DNS.Names, domains: l.DNS.Domains, hosts: l.Hosts,
			tls: l.DNS.TLS, route: route, mdns: l.MDNS,
		})
	}
	c.tell()
}

// tell sends what is wanted and not yet said.
func (c *Client) tell() {
	if !c.running {
		return
	}
	for index := range c.told {
		if !slices.ContainsFunc(c.want, func(s setup) bool { return s.index == index }) {
			delete(c.told, index)
			c.call(resolve1.ManagerRevertLinkCall(busName, path, int32(index)))
		}
	}
	for _, want := range c.want {
		c.tellLink(c.told[want.index], want)
		c.told[want.index] = &want
	}
}

// tellLink sends the difference between told, nil if nothing is known, and
// want.
func (c *Client) tellLink(told *setup, want setup) {
	index, all := int32(want.index), told == nil
	if all || !slices.Equal(told.servers, want.servers) || !maps.Equal(told.names, want.names) {
		if len(want.names) > 0 {
			c.call(resolve1.ManagerSetLinkDNSExCall(busName, path, index, namedAddresses(want.servers, want.names)))
		} else {
			c.call(resolve1.ManagerSetLinkDNSCall(busName, path, index, addresses(want.servers)))
		}
	}
	// Without our wish its own configuration holds.
	if all && want.tls != "" || !all && told.tls != want.tls {
		c.call(resolve1.ManagerSetLinkDNSOverTLSCall(busName, path, index, tlsMode(want.tls)))
	}
	if all || !slices.Equal(told.domains, want.domains) || !slices.Equal(told.hosts, want.hosts) {
		c.call(resolve1.ManagerSetLinkDomainsCall(busName, path, index, names(want.domains, want.hosts)))
	}
	if all || told.route != want.route {
		c.call(resolve1.ManagerSetLinkDefaultRouteCall(busName, path, index, want.route))
	}
	if all || told.mdns != want.mdns {
		mode := "no"
		if want.mdns {
			mode = "yes"
		}
		c.call(resolve1.ManagerSetLinkMulticastDNSCall(busName, path, index, mode))
	}
}

// addresses are servers as the interface has them: family and bytes. The link
// says the zone of link-local ones.
func addresses(servers []netip.Addr) bus.Array {
	list := bus.Array{Elem: "(iay)"}
	for _, s := range servers {
		list.Items = append(list.Items, bus.Struct{family(s), s.AsSlice()})
	}
	return list
}

// namedAddresses are servers with their ports, of which 0 is the usual one, and
// the names that they must prove.
func namedAddresses(servers []netip.Addr, names map[netip.Addr]string) bus.Array {
	list := bus.Array{Elem: "(iayqs)"}
	for _, s := range servers {
		list.Items = append(list.Items, bus.Struct{family(s), s.AsSlice(), uint16(0), names[s]})
	}
	return list
}

func family(s netip.Addr) int32 {
	if s.Is4() {
		return familyIPv4
	}
	return familyIPv6
}

// tlsMode is a mode as systemd-resolved spells it.
func tlsMode(mode netcfg.DNSOverTLS) string {
	if mode == netcfg.Strict {
		return "yes"
	}
	return string(mode)
}

// names are domains that are searched, and names that are only claimed.
func names(searched, claimed []string) bus.Array {
	list := bus.Array{Elem: "(sb)"}
	for _, d := range searched {
		list.Items = append(list.Items, bus.Struct{d, false})
	}
	for _, d := range claimed {
		list.Items = append(list.Items, bus.Struct{d, true})
	}
	return list
}

// call sends a call without starting who is not there, and logs a refusal
// unless it is the last one again: a link that is just going is refused, too.
func (c *Client) call(m bus.MethodCall) {
	m.NoAutoStart = true
	c.conn.Call(m, func(_ []any, err error) {
		if err == nil || !c.running || errors.Is(err, bus.ErrDisconnected) {
			return
		}
		if text := err.Error(); text != c.trouble {
			c.trouble = text
			c.log.Warn("systemd-resolved refuses", "what", m.Member, "err", err)
		}
	})
}
