package busapi

import (
	"errors"
	"fmt"
	"net/netip"

	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
	"net.connman/vpnd/internal/core"
)

// property returns a property's present value, nil for one that is not there.
func property(c *core.Connection, name string) any {
	t := c.Tunnel()
	switch name {
	case core.PropState:
		return string(c.State())
	case core.PropType:
		return c.Type()
	case core.PropName:
		return c.Name()
	case core.PropHost:
		return c.Host()
	case core.PropIndex:
		if c.Index() < 0 {
			return nil
		}
		return int32(c.Index())
	case core.PropDomain:
		return c.Domain()
	case core.PropImmutable:
		return c.Immutable()
	case core.PropSplitRouting:
		return c.SplitRouting()
	case core.PropIPv4:
		return addressDict(t.IPv4)
	case core.PropIPv6:
		return addressDict(t.IPv6)
	case core.PropNameservers:
		return addrTexts(t.DNS.Servers)
	case core.PropUserRoutes:
		return routeArray(c.UserRoutes())
	case core.PropServerRoutes:
		return routeArray(t.Routes)
	case core.PropMTU:
		if t.MTU <= 0 {
			return nil
		}
		return uint16(min(t.MTU, 0xffff))
	case core.PropPAC:
		if t.PAC == "" {
			return nil
		}
		return t.PAC
	}
	return c.Setting(name)
}

// order is the order in which clients have always seen the properties.
var order = []string{
	core.PropState, core.PropType, core.PropName, core.PropHost, core.PropIndex, core.PropDomain, core.PropImmutable,
	core.PropSplitRouting, core.PropIPv4, core.PropIPv6, core.PropNameservers, core.PropUserRoutes, core.PropServerRoutes,
	core.PropMTU, core.PropPAC,
}

// properties are all properties of a connection.
func properties(c *core.Connection) bus.Dict {
	d := make(bus.Dict, 0, 32)
	for _, name := range order {
		value := property(c, name)
		if value == nil || name == core.PropDomain && value == "" {
			continue
		}
		d = append(d, bus.Entry{Key: name, Value: value})
	}
	for _, v := range c.Shown() {
		d = append(d, bus.Entry{Key: v.Key, Value: v.Text.Reveal()})
	}
	return d
}

// addressDict describes one family, nil if the tunnel is not of it.
func addressDict(a core.Address) any {
	if !a.Prefix.IsValid() {
		return nil
	}
	d := bus.Dict{{Key: vpn.IPv4Address, Value: a.Prefix.Addr().String()}}
	if a.Prefix.Addr().Is4() {
		d = append(d, bus.Entry{Key: vpn.IPv4Netmask, Value: core.Netmask(a.Prefix.Bits())})
	} else {
		d = append(d, bus.Entry{Key: vpn.IPv6PrefixLength, Value: byte(a.Prefix.Bits())})
	}
	if a.Gateway.IsValid() {
		d = append(d, bus.Entry{Key: vpn.IPv4Gateway, Value: a.Gateway.String()})
	}
	if a.Peer.IsValid() {
		d = append(d, bus.Entry{Key: vpn.IPv4Peer, Value: a.Peer.String()})
	}
	return d
}

func addrTexts(addrs []netip.Addr) []string {
	texts := make([]string, 0, len(addrs))
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	return texts
}

const routesElem = "(a{sv})"

func routeArray(routes []core.Route) bus.Array {
	a := bus.Array{Elem: routesElem}
	for _, r := range routes {
		d := bus.Dict{
			{Key: vpn.RouteProtocolFamily, Value: int32(r.Family())},
			{Key: vpn.RouteNetwork, Value: r.Dst.Addr().String()},
			{Key: vpn.RouteNetmask, Value: r.Mask()},
		}
		if r.Gateway.IsValid() {
			d = append(d, bus.Entry{Key: vpn.RouteGateway, Value: r.Gateway.String()})
		}
		a.Items = append(a.Items, bus.Struct{d})
	}
	return a
}

// parseRoutes checks UserRoutes. An empty array of any type is none.
func parseRoutes(value any) ([]core.Route, error) {
	routes := []core.Route{}
	array, ok := value.(bus.Array)
	if !ok {
		if emptyArray(value) {
			return routes, nil
		}
		return nil, errors.New("not an array of routes")
	}
	if len(array.Items) == 0 {
		return routes, nil
	}
	if array.Elem != routesElem {
		return nil, errors.New("not an array of routes")
	}
	if len(array.Items) > core.MaxRoutes {
		return nil, fmt.Errorf("more than %d routes", core.MaxRoutes)
	}
	for i, item := range array.Items {
		r, err := parseRoute(item.(bus.Struct)[0].(bus.Dict)) // as Elem says
		if err != nil {
			return nil, fmt.Errorf("route %d: %w", i+1, err)
		}
		routes = append(routes, r)
	}
	return routes, nil
}

func emptyArray(value any) bool {
	switch v := value.(type) {
	case []string:
		return len(v) == 0
	case bus.Dict:
		return len(v) == 0
	}
	return false
}

func parseRoute(d bus.Dict) (core.Route, error) {
	var family int32
	texts := make(map[string]string)
	for _, e := range d {
		var ok bool
		switch e.Key {
		case vpn.RouteProtocolFamily:
			family, ok = e.Value.(int32)
		case vpn.RouteNetwork, vpn.RouteNetmask, vpn.RouteGateway:
			texts[e.Key], ok = e.Value.(string)
		default:
			ok = true
		}
		if !ok {
			return core.Route{}, fmt.Errorf("%s has the wrong type", e.Key)
		}
	}
	switch family {
	case '4', '6':
		family -= '0' // some clients send the digit
	case 0, 4, 6:
	default:
		return core.Route{}, errors.New("ProtocolFamily is neither 4 nor 6")
	}
	return core.ParseRoute(int(family), texts[vpn.RouteNetwork], texts[vpn.RouteNetmask], texts[vpn.RouteGateway])
}

func invalidProperty(err error) error { return fmt.Errorf("%w: %w", core.ErrInvalidProperty, err) }
