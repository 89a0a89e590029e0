package fake

import (
	"slices"

	"net.connman/connmand/internal/kernel"
)

// What follows is for tests: what others do to the kernel, and what was asked
// of it.

// AddLink makes a link like l and returns it with its index.
func (k *Kernel) AddLink(l kernel.Link) kernel.Link {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next++
	l.Index = k.next
	if l.MTU == 0 {
		l.MTU = 1500
	}
	k.links[l.Index] = l
	k.tell(kernel.LinkChanged{Link: l})
	return l
}

// ChangeLink lets edit change a link.
func (k *Kernel) ChangeLink(index int, edit func(*kernel.Link)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.change(index, edit)
}

// Link returns a link as it is now.
func (k *Kernel) Link(index int) kernel.Link {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.links[index]
}

// SetCarrier plugs the cable in or out.
func (k *Kernel) SetCarrier(index int, on bool) {
	k.ChangeLink(index, func(l *kernel.Link) { l.Carrier, l.Running = on && l.Up, on && l.Up })
}

// RemoveLink makes a link go away.
func (k *Kernel) RemoveLink(index int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removeLink(index)
}

func (k *Kernel) removeLink(index int) {
	delete(k.links, index)
	k.addrs = slices.DeleteFunc(slices.Clone(k.addrs), func(a kernel.Addr) bool { return a.Index == index })
	k.forget(func(r kernel.Route) bool { return r.Index == index })
	k.tell(kernel.LinkRemoved{Index: index})
}

// Put adds an address as somebody else would.
func (k *Kernel) Put(a kernel.Addr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.putAddr(a)
}

// PutRoute adds a route as somebody else would.
func (k *Kernel) PutRoute(r kernel.Route) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.putRoute(r)
}

// Supersede puts r in the place of the first route of its destination,
// metric and table, as `ip route replace` does.
func (k *Kernel) Supersede(r kernel.Route) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.supersede(r)
}

func (k *Kernel) supersede(r kernel.Route) error {
	for i, h := range k.routes {
		if kernel.SameKey(h.Route, r.Route) {
			k.routes = slices.Clone(k.routes)
			k.routes[i] = r
			k.tell(kernel.RouteAdded{Route: r, Replaced: true})
			return nil
		}
	}
	return k.putRoute(r)
}

// Flush deletes all addresses of a link, as `ip addr flush` does.
func (k *Kernel) Flush(index int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.addrs {
		if a.Index == index {
			k.tell(kernel.AddrRemoved{Addr: a})
		}
	}
	k.addrs = slices.DeleteFunc(slices.Clone(k.addrs), func(a kernel.Addr) bool { return a.Index == index })
	k.forget(func(r kernel.Route) bool { return r.Index == index && r.Dst.Addr().Is4() })
}

// Fail makes requests fail for which fail returns an error; nil ends that.
func (k *Kernel) Fail(fail func(request string) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = fail
}

// Writes returns what was asked since the last call, in words.
func (k *Kernel) Writes() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	writes := k.writes
	k.writes = nil
	return writes
}

// Addrs returns the addresses of a link.
func (k *Kernel) Addrs(index int) []kernel.Addr {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(k.addrs), func(a kernel.Addr) bool { return a.Index != index })
}

// Routes returns the routes out of a link.
func (k *Kernel) Routes(index int) []kernel.Route {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(k.routes), func(r kernel.Route) bool { return r.Index != index })
}
