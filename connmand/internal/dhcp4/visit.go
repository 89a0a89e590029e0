package dhcp4

import (
	"net/netip"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/leasefile"
)

// maxVisits bounds how many networks are remembered.
const maxVisits = 16

// visit is what is remembered of a network that was left without giving the lease
// back. Whether the machine is there again its router tells, in far less time than
// a DHCP server needs (RFC 4436).
type visit struct {
	lease  *leasefile.Lease
	router netip.Addr
	at     core.HardwareAddr // the router's
}

// learn finds out who the router is, as soon as a lease names one.
func (c *client) learn(e core.DHCPEvent) {
	bound, ok := e.(core.DHCPBound)
	router := bound.Lease.IP.Gateway
	if !ok || c.network == "" || c.all.cfg.Find == nil || !router.IsValid() || router == c.visit.router && c.visit.at != "" {
		return
	}
	c.forget()
	c.visit.router, c.visit.at = router, ""
	c.search = c.all.cfg.Find(c.link, router, "", func(at core.HardwareAddr) { c.visit.at = at })
}

// remember keeps the lease of a network that is left.
func (c *client) remember() {
	if c.visit.lease == nil || c.visit.at == "" {
		return
	}
	all := c.all.visits
	all[c.network] = c.visit
	if len(all) <= maxVisits {
		return
	}
	oldest := c.network
	for network, v := range all {
		if v.lease.Asked.Before(all[oldest].lease.Asked) {
			oldest = network
		}
	}
	delete(all, oldest)
}

// recognize asks the router whether this is the network that it seems to be: then
// its lease is used at once, while the server confirms it.
func (c *client) recognize(last netip.Addr) {
	v, known := c.all.visits[c.network]
	if !known || c.all.cfg.Find == nil {
		return
	}
	delete(c.all.visits, c.network)
	c.search = c.all.cfg.Find(c.link, v.router, v.at, func(at core.HardwareAddr) {
		held, err := restore(*v.lease, c.link.Addr, last, c.now())
		if at != v.at || err != nil {
			return
		}
		c.visit = v
		c.step(recognized{held})
	})
}

// forget ends a search.
func (c *client) forget() {
	if c.search != nil {
		c.search()
		c.search = nil
	}
}
