package dnsproxy

import "net.connman/pkg/netcfg"

// configure takes over a plan. Servers that stay keep what is known of them.
func (e *engine) configure(p *plan) {
	old := e.plan
	e.plan = p
	gone := e.upstreams
	e.upstreams = map[target]*upstream{}
	e.routes = make([][]*upstream, len(p.routes))
	for i, r := range p.routes {
		for _, t := range r.targets[:min(len(r.targets), maxServers)] {
			u := e.upstreams[t]
			if u == nil {
				if u = gone[t]; u == nil {
					u = &upstream{target: t, retired: map[*socket]bool{}}
				}
				delete(gone, t)
				e.upstreams[t] = u
			}
			e.routes[i] = append(e.routes[i], u)
		}
	}
	if old == nil || old.config.CacheBytes != p.config.CacheBytes {
		e.resizeCache()
	}
	for _, f := range append([]*flight(nil), e.flights.active...) {
		e.reroute(f)
	}
	for _, u := range gone {
		u.close(e)
	}
	for t := range e.upstreams {
		if t.tls != netcfg.ClearText {
			return
		}
	}
	e.relay.Rest()
}

// reroute asks anew, and others, if the plan knows another way for the name.
func (e *engine) reroute(f *flight) {
	name := f.key[:f.q.nameEnd()-headerLen]
	route, search := e.plan.route(name), e.plan.searches(name, &f.q)
	epoch := e.plan.routes[route].epoch
	if search {
		epoch = e.plan.searched
	}
	if epoch == f.epoch {
		if f.search != noSearch {
			route = e.plan.route(e.plan.search[f.search])
		}
		f.route = route
		f.tried, f.refused = 0, 0 // others may stand in now
		return
	}
	f.epoch, f.route = epoch, route
	f.apology, f.staleAt = nil, never
	e.begin(f, search)
}

// resizeCache replaces the cache by an empty one.
func (e *engine) resizeCache() {
	if e.cache != nil {
		e.cache.close()
		e.cache = nil
	}
	bytes := e.plan.config.CacheBytes
	if bytes == 0 {
		bytes = DefaultCacheBytes
	}
	if bytes < 0 {
		return
	}
	c, err := newCache(bytes)
	if err != nil {
		e.log.Warn("DNS answers are not kept: " + err.Error())
		return
	}
	e.cache = c
}
