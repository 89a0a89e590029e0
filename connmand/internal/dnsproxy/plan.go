package dnsproxy

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"time"

	"net.connman/pkg/netcfg"
)

// plan is a Config made ready for look-ups. It is immutable.
type plan struct {
	config  Config
	routes  []route        // the first one is for all names without another
	domains map[string]int // lower-case name on the wire → index of its route
	search  [][]byte       // names on the wire to try behind single labels
	// searched is the epoch of answers that were found by search.
	searched uint32
	hosts    [][]byte // lower-case names of this machine on the wire
	maxTTL   uint32   // seconds
	minTTL   uint32
}

// route says who is asked for the names of a domain.
type route struct {
	targets []target // in this order
	// own is how many of the targets belong to the first scope; the others
	// only stand in for them.
	own int
	// epoch is the same for as long as the answers of the route hold.
	epoch uint32
}

// target is a server, the link to reach it by, and how it is asked.
type target struct {
	addr netip.AddrPort
	link string
	tls  netcfg.DNSOverTLS
	name string // what its certificate must be for; "" without TLS
}

// newPlan prepares c. A route that is what it was in old keeps its epoch;
// others take new ones from next on.
func newPlan(c Config, old *plan, next *uint32) *plan {
	p := &plan{config: c, routes: make([]route, 1), domains: map[string]int{}}
	if c.MaxTTL == 0 {
		c.MaxTTL = DefaultMaxTTL
	}
	p.maxTTL = uint32(min(max(c.MaxTTL, 0)/time.Second, 1<<31-1))
	p.minTTL = min(uint32(max(c.MinTTL, 0)/time.Second), p.maxTTL)
	for _, s := range c.Scopes {
		if !s.Split {
			p.routes[0].extend(s)
		}
		domains := s.Domains
		if s.Split {
			domains = slices.Concat(s.Domains, s.Search)
		}
		for _, d := range domains {
			p.addDomain(d, s)
		}
		for _, d := range s.Search {
			if w, ok := wireName(d); ok && len(w) > 1 {
				p.search = append(p.search, w)
			}
		}
	}
	if len(p.routes[0].targets) == 0 {
		p.routes[0].extend(c.Fallback)
	}
	for _, h := range []string{c.Hostname, c.Hostname + "." + c.Domain} {
		if w, ok := wireName(h); ok && len(w) > 1 && c.Hostname != "" {
			p.hosts = append(p.hosts, w)
		}
	}
	p.setEpochs(old, next)
	return p
}

func (p *plan) addDomain(domain string, s Scope) {
	name, ok := wireName(strings.TrimPrefix(strings.TrimPrefix(domain, "~"), "*."))
	if !ok || len(s.Servers) == 0 {
		return
	}
	i, known := p.domains[string(name)]
	if !known {
		i = len(p.routes)
		p.routes = append(p.routes, route{})
		p.domains[string(name)] = i
	}
	p.routes[i].extend(s)
}

// extend appends a scope's servers that are not there yet. None stands in for a
// server that is strict without being so itself: whoever keeps the strict one
// from answering would get to read the question.
func (r *route) extend(s Scope) {
	strict := r.own > 0 && r.targets[0].tls == netcfg.Strict
	for _, a := range s.Servers {
		t := target{addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), link: s.Link, tls: s.TLS, name: s.Names[a.Addr()]}
		if t.tls != netcfg.Strict && t.tls != netcfg.Opportunistic {
			t.tls, t.name = netcfg.ClearText, ""
		}
		if a.Addr().IsValid() && !a.Addr().IsUnspecified() && !slices.Contains(r.targets, t) && (!strict || t.tls == netcfg.Strict) {
			r.targets = append(r.targets, t)
		}
	}
	if r.own == 0 {
		r.own = len(r.targets)
	}
}

// sameSource reports whether answers by both routes are worth the same.
func (r *route) sameSource(o *route) bool {
	return slices.Equal(r.targets[:r.own], o.targets[:o.own])
}

func (p *plan) setEpochs(old *plan, next *uint32) {
	changed := old == nil || len(p.domains) != len(old.domains)
	set := func(r, was *route) {
		if was != nil && r.sameSource(was) {
			r.epoch = was.epoch
			return
		}
		changed = true
		*next++
		r.epoch = *next
	}
	for name, i := range p.domains {
		set(&p.routes[i], old.named([]byte(name)))
	}
	set(&p.routes[0], old.named(nil))
	if changed || !slices.EqualFunc(p.search, old.search, bytes.Equal) {
		*next++
		p.searched = *next
	} else {
		p.searched = old.searched
	}
}

// named returns the route of exactly this name, the default one for nil, or
// nil.
func (p *plan) named(name []byte) *route {
	if p == nil {
		return nil
	}
	if name == nil {
		return &p.routes[0]
	}
	if i, ok := p.domains[string(name)]; ok {
		return &p.routes[i]
	}
	return nil
}

// route returns the index of the route for a lower-case name on the wire: that
// of the longest domain that it belongs to.
func (p *plan) route(name []byte) int {
	if len(p.domains) == 0 {
		return 0
	}
	for {
		if i, ok := p.domains[string(name)]; ok {
			return i
		}
		if name[0] == 0 {
			return 0
		}
		name = name[1+int(name[0]):]
	}
}

// searches reports whether a question for a name of a single label tries the
// search domains. A client that checks signatures would not believe what comes
// of it.
func (p *plan) searches(name []byte, q *query) bool {
	return len(p.search) > 0 && (q.qtype == typeA || q.qtype == typeAAAA) && q.class == classIN && !q.do &&
		name[0] != 0 && int(name[0])+2 == len(name)
}

// wireName returns a name of text in lower case as it is on the wire. Domains
// come of DHCP and configuration, as bytes without escapes.
func wireName(s string) (name []byte, ok bool) {
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return []byte{0}, true
	}
	for l := range strings.SplitSeq(s, ".") {
		if len(l) == 0 || len(l) > 63 {
			return nil, false
		}
		name = append(name, byte(len(l)))
		for i := range len(l) {
			name = append(name, lower(l[i]))
		}
	}
	name = append(name, 0)
	return name, len(name) <= maxName
}
