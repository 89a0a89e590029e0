package link

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"net.connman/connmand/internal/kernel"
	"net.connman/pkg/netcfg"
)

// step is one request to the kernel.
type step struct {
	what string
	do   func(kernel.Kernel) error
	addr *netcfg.Addr // that it adds
	ipv6 bool         // it is about IPv6
	may  bool         // it may fail without harm
}

// plan returns the steps from what the link has to what it should have. New
// addresses and routes come before old ones go, so that connections live on.
func (l *link) plan() []step {
	if l.want == nil {
		return nil
	}
	steps := l.planMTU(nil)
	for _, a := range l.want.Addrs {
		if !l.hasOurs(a) {
			steps = append(steps, l.addAddr(a))
		}
	}
	var replaced []netcfg.Route
	if l.Up {
		for _, r := range inOrder(l.want.Routes) {
			switch {
			case slices.Contains(l.routes, l.owned(r)):
			case l.replaces(r):
				replaced = append(replaced, r)
				steps = append(steps, l.replaceRoute(r))
			default:
				steps = append(steps, l.addRoute(r)...)
			}
		}
	}
	isReplaced := func(r kernel.Route) bool {
		return slices.ContainsFunc(replaced, func(n netcfg.Route) bool { return kernel.SameKey(n, r.Route) })
	}
	for _, r := range l.routes {
		if l.staleRoute(r) && !isReplaced(r) {
			steps = append(steps, delRoute(r))
		}
	}
	for _, a := range l.addrs {
		if l.staleAddr(a) {
			steps = append(steps, l.delAddr(a)...)
		}
	}
	return steps
}

// planMTU adds the step to the wanted MTU as far as the link can have it, or
// back to the link's own.
func (l *link) planMTU(steps []step) []step {
	mtu := l.want.MTU
	if mtu == 0 {
		mtu = l.ownMTU
	} else {
		mtu = max(mtu, l.MinMTU)
		if l.MaxMTU > 0 {
			mtu = min(mtu, l.MaxMTU)
		}
	}
	if mtu == 0 || mtu == l.MTU {
		return steps
	}
	if l.ownMTU == 0 {
		l.ownMTU = l.MTU
	}
	index := l.Index
	return append(steps, step{
		what: fmt.Sprintf("set MTU %d", mtu),
		do:   func(k kernel.Kernel) error { return k.SetMTU(index, mtu) },
	})
}

// hasOurs reports whether the link has a, known as ours and for good. The
// kernel cannot change the broadcast address of one that is there, so it does
// not count.
func (l *link) hasOurs(a netcfg.Addr) bool {
	i := l.findAddr(a)
	if i < 0 || !l.isOurs(l.addrs[i]) || l.addrs[i].Temporary {
		return false
	}
	has := l.addrs[i].Addr
	return has.Deprecated == a.Deprecated && has.Temporaries == a.Temporaries
}

// isOurs reports whether we put a on the link. Kernels before 5.18 keep no
// mark, so what this run added is remembered too.
func (l *link) isOurs(a kernel.Addr) bool {
	return a.Protocol == kernel.Protocol || l.placed[kernel.Key(a.Addr)]
}

func (l *link) staleAddr(a kernel.Addr) bool {
	return l.isOurs(a) && !l.kept(a.Prefix.Addr()) && !slices.ContainsFunc(l.want.Addrs, func(w netcfg.Addr) bool {
		return kernel.Key(w) == kernel.Key(a.Addr)
	})
}

// kept reports whether what concerns the address stays, wanted or not.
func (l *link) kept(a netip.Addr) bool { return l.want.KeepIPv6 && a.Is6() }

func (l *link) staleRoute(r kernel.Route) bool {
	if l.kept(r.Dst.Addr()) {
		return false
	}
	if r.Protocol == kernel.Protocol {
		return !slices.Contains(l.want.Routes, r.Route)
	}
	return slices.Contains(l.inherited, r) && l.leadsWhere(r)
}

// leadsWhere reports whether an unmarked route that was there before us leads
// to a gateway that we use: then we have our own route in its place.
func (l *link) leadsWhere(r kernel.Route) bool {
	return slices.ContainsFunc(l.want.Routes, func(w netcfg.Route) bool {
		return w.Gateway.IsValid() &&
			(r.Gateway == w.Gateway || !r.Gateway.IsValid() && r.Dst.Addr() == w.Gateway)
	})
}

// replaces reports whether r is to take the place of a route of ours. Only IPv6
// needs that: IPv4 routes stand side by side, and the older one is used.
func (l *link) replaces(r netcfg.Route) bool {
	return r.Dst.Addr().Is6() && slices.ContainsFunc(l.routes, func(h kernel.Route) bool {
		return h.Protocol == kernel.Protocol && kernel.SameKey(h.Route, r)
	})
}

func (l *link) replaceRoute(r netcfg.Route) step {
	index := l.Index
	return step{
		what: describe("replace", r),
		do:   func(k kernel.Kernel) error { return k.ReplaceRoute(index, r) },
		ipv6: true,
	}
}

func (l *link) owned(r netcfg.Route) kernel.Route {
	return kernel.Route{Index: l.Index, Route: r, Protocol: kernel.Protocol}
}

// inOrder sorts routes so that each gateway is reachable before a route goes
// through it, and the default route comes last.
func inOrder(routes []netcfg.Route) []netcfg.Route {
	return slices.SortedStableFunc(slices.Values(routes), func(a, b netcfg.Route) int {
		return cmp.Or(
			cmp.Compare(truth(a.Gateway.IsValid()), truth(b.Gateway.IsValid())),
			cmp.Compare(truth(a.IsDefault()), truth(b.IsDefault())))
	})
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (l *link) addAddr(a netcfg.Addr) step {
	index := l.Index
	return step{
		what: "add address " + a.Prefix.String(),
		do:   func(k kernel.Kernel) error { return k.AddAddr(index, a) },
		addr: &a,
		ipv6: a.Prefix.Addr().Is6(),
	}
}

// delAddr deletes an address. The kernel would delete the others of its subnet
// with it, unless told to promote one of them.
func (l *link) delAddr(a kernel.Addr) []step {
	index, name := l.Index, l.Name
	del := step{
		what: "delete address " + a.Prefix.String(),
		do:   func(k kernel.Kernel) error { return k.DelAddr(index, a.Addr) },
		ipv6: a.Prefix.Addr().Is6(),
	}
	if !a.Prefix.Addr().Is4() || !l.sharesSubnet(a.Prefix) {
		return []step{del}
	}
	return []step{{
		what: "promote secondary addresses",
		do:   func(k kernel.Kernel) error { return k.SetSysctl(kernel.IPv4, name, "promote_secondaries", "1") },
		may:  true,
	}, del}
}

func (l *link) sharesSubnet(p netip.Prefix) bool {
	same := func(o netip.Prefix) bool { return o != p && o.Masked() == p.Masked() }
	return slices.ContainsFunc(l.want.Addrs, func(w netcfg.Addr) bool { return same(w.Prefix) }) ||
		slices.ContainsFunc(l.addrs, func(h kernel.Addr) bool { return same(h.Prefix) })
}

// addRoute adds a route. A default route that yields to another link's is for
// sockets bound to this one: their answers must not be taken for spoofed.
func (l *link) addRoute(r netcfg.Route) []step {
	index, name := l.Index, l.Name
	add := step{
		what: describe("add", r),
		do:   func(k kernel.Kernel) error { return k.AddRoute(index, r) },
		ipv6: r.Dst.Addr().Is6(),
	}
	if !r.IsDefault() || r.Metric == 0 || !r.Dst.Addr().Is4() {
		return []step{add}
	}
	return []step{{
		what: "loosen reverse path filter",
		do:   func(k kernel.Kernel) error { return k.LoosenFilter(name) },
		may:  true,
	}, add}
}

func delRoute(r kernel.Route) step {
	return step{
		what: describe("delete", r.Route),
		do:   func(k kernel.Kernel) error { return k.DelRoute(r) },
		ipv6: r.Dst.Addr().Is6(),
	}
}

func describe(verb string, r netcfg.Route) string {
	what := verb + " route " + r.Dst.String()
	if r.Gateway.IsValid() {
		what += " via " + r.Gateway.String()
	}
	return fmt.Sprintf("%s metric %d", what, r.Metric)
}
