package ndisc

import (
	"cmp"
	"slices"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/netcfg"
)

// hear takes in an advertisement (RFC 4861, 6.3.4).
func (m *machine) hear(now time.Time, a advert) {
	m.hearRouter(now, a)
	for _, p := range a.prefixes {
		m.hearPrefix(now, p)
	}
	for _, r := range a.routes {
		entry := route{routeOption: r, router: a.router, until: after(now, r.lifetime)}
		m.routes = put(m.routes, entry, maxRoutes, func(o route) bool { return o.dst == r.dst && o.router == a.router })
	}
	for _, s := range a.servers {
		entry := server{addr: s.addr, until: after(now, s.lifetime)}
		m.servers = put(m.servers, entry, maxServers, func(o server) bool { return o.addr == s.addr })
	}
	for _, d := range a.domains {
		entry := domain{name: d.name, until: after(now, d.lifetime)}
		m.domains = put(m.domains, entry, maxDomains, func(o domain) bool { return o.name == d.name })
	}
}

// put replaces the entry that is the same, or appends one if there is room.
func put[T any](list []T, entry T, most int, same func(T) bool) []T {
	if i := slices.IndexFunc(list, same); i >= 0 {
		list[i] = entry
	} else if len(list) < most {
		list = append(list, entry)
	}
	return list
}

// hearRouter notes the sender. What it does not say this time is as it was.
func (m *machine) hearRouter(now time.Time, a advert) {
	r := router{addr: a.router}
	same := func(o router) bool { return o.addr == a.router }
	if i := slices.IndexFunc(m.routers, same); i >= 0 {
		r = m.routers[i]
	}
	r.preference, r.managed, r.other = a.preference, a.managed, a.other
	r.isDefault = now.Add(a.lifetime)
	r.known = now.Add(max(a.lifetime, unsureFor))
	r.hopLimit = cmp.Or(a.hopLimit, r.hopLimit)
	r.mtu = cmp.Or(a.mtu, r.mtu)
	r.portal = cmp.Or(a.portal, r.portal)
	m.routers = put(m.routers, r, maxRouters, same)
}

// hearPrefix notes a prefix. An advertisement, which anyone may forge, cannot
// end an address's valid life in less than two hours (RFC 4862, 5.5.3 e); what
// is only on the link ends at once.
func (m *machine) hearPrefix(now time.Time, o prefixOption) {
	same := func(p prefix) bool { return p.prefix == o.prefix }
	valid := after(now, o.valid)
	if i := slices.IndexFunc(m.prefixes, same); i >= 0 {
		old := m.prefixes[i]
		if o.autonomous && old.autonomous && o.valid <= twoHours && valid.Before(old.validUntil) {
			valid = now.Add(twoHours)
			if old.validUntil.Before(valid) {
				valid = old.validUntil
			}
		}
	}
	entry := prefix{prefixOption: o, preferredUntil: after(now, o.preferred), validUntil: valid}
	m.prefixes = put(m.prefixes, entry, maxPrefixes, same)
}

// info is what all routers together say now.
func (m *machine) info(now time.Time) core.RouterInfo {
	var info core.RouterInfo
	for _, r := range m.byPreference() {
		if r.isDefault.After(now) {
			info.Routers = append(info.Routers, core.Router{
				Address: r.addr, Preference: r.preference, Lifetime: r.isDefault.Sub(now),
			})
		}
		info.Managed = info.Managed || r.managed
		info.Other = info.Other || r.other
		info.HopLimit = cmp.Or(info.HopLimit, r.hopLimit)
		info.MTU = cmp.Or(info.MTU, r.mtu)
		info.Portal = cmp.Or(info.Portal, r.portal)
	}
	for _, p := range m.prefixes {
		info.Prefixes = append(info.Prefixes, core.RouterPrefix{
			Prefix: p.prefix, OnLink: p.onLink, Autonomous: p.autonomous,
			Preferred: left(now, p.preferredUntil), Valid: left(now, p.validUntil),
		})
	}
	info.Routes = m.routesByPreference()
	for _, s := range m.servers {
		addr := s.addr
		if addr.IsLinkLocalUnicast() {
			addr = addr.WithZone(m.link)
		}
		info.DNS.Servers = append(info.DNS.Servers, addr)
	}
	for _, d := range m.domains {
		info.DNS.Domains = append(info.DNS.Domains, d.name)
	}
	return info
}

// left is what remains of a lifetime, 0 when it is over.
func left(now, until time.Time) time.Duration {
	if until == forever {
		return core.Forever
	}
	return max(0, until.Sub(now))
}

// byPreference orders the routers, those heard first before their equals.
func (m *machine) byPreference() []router {
	return slices.SortedStableFunc(slices.Values(m.routers), func(a, b router) int {
		return cmp.Compare(b.preference, a.preference)
	})
}

// routesByPreference are the more specific routes. A router that names the
// whole of the Internet, which changes how much it is preferred as default
// router, is not followed in that: its header says enough.
func (m *machine) routesByPreference() (routes []netcfg.Route) {
	for _, r := range slices.SortedStableFunc(slices.Values(m.routes), func(a, b route) int {
		return cmp.Compare(b.preference, a.preference)
	}) {
		if r.dst.Bits() > 0 {
			routes = append(routes, netcfg.Route{Dst: r.dst, Gateway: r.router})
		}
	}
	return routes
}

// sameInfo reports whether both say the same but for lifetimes. Those run by
// themselves; that one of them is over is a difference.
func sameInfo(a, b core.RouterInfo) bool {
	sameRouter := func(a, b core.Router) bool { return a.Address == b.Address && a.Preference == b.Preference }
	samePrefix := func(a, b core.RouterPrefix) bool {
		return a.Prefix == b.Prefix && a.OnLink == b.OnLink && a.Autonomous == b.Autonomous &&
			(a.Preferred == 0) == (b.Preferred == 0)
	}
	return slices.EqualFunc(a.Routers, b.Routers, sameRouter) &&
		slices.EqualFunc(a.Prefixes, b.Prefixes, samePrefix) &&
		slices.Equal(a.Routes, b.Routes) && a.DNS.Equal(b.DNS) &&
		a.MTU == b.MTU && a.HopLimit == b.HopLimit && a.Portal == b.Portal &&
		a.Managed == b.Managed && a.Other == b.Other
}
