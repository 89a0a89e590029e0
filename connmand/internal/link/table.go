package link

import (
	"log/slog"
	"maps"
	"slices"

	"net.connman/connmand/internal/kernel"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// Event is one of the events below.
type Event interface{ event() }

type (
	// Added reports a link that is new to the observer.
	Added struct{ Link kernel.Link }
	// Changed reports a link that is no longer what it was.
	Changed struct{ Old, Link kernel.Link }
	// Removed reports a link that is gone, as it was at the end.
	Removed struct{ Link kernel.Link }
)

func (Added) event()   {}
func (Changed) event() {}
func (Removed) event() {}

// requestPlaces is how many links are asked of the kernel at a time. It takes one
// request after the other; the rest are on their way to it or back.
const requestPlaces = 4

// Table knows all links. Its methods are for the loop.
type Table struct {
	loop     *loop.Loop
	kernel   kernel.Kernel
	log      *slog.Logger
	links    map[int]*link
	watchers []func(Event)
	untold   []Event // of this Deliver: told when all of it is taken in
	synced   bool    // the first snapshot is there
	awaits   []*await

	tunnels  *loop.Queue // opens and closes them, one after the other
	requests *loop.Queue // what is asked of the kernel, all links' in one line
}

// link is one link: what it is, what it has and what it should have.
type link struct {
	kernel.Link
	addrs  []kernel.Addr
	routes []kernel.Route // in the order in which the kernel told of them
	target
}

// New returns a table that is empty until Deliver brings a snapshot.
func New(l *loop.Loop, k kernel.Kernel, log *slog.Logger) *Table {
	return &Table{loop: l, kernel: k, log: log, links: make(map[int]*link), requests: loop.NewQueue(l, requestPlaces), tunnels: loop.NewQueue(l, 1)}
}

// Watch calls observe for every link that there is and then for every event, in
// order.
func (t *Table) Watch(observe func(Event)) {
	for _, index := range slices.Sorted(maps.Keys(t.links)) {
		observe(Added{t.links[index].Link})
	}
	t.watchers = append(t.watchers, observe)
}

// Observed returns what the link has: addresses, and the routes that do not
// follow from them by themselves.
func (t *Table) Observed(index int) netcfg.LinkConfig {
	l, ok := t.links[index]
	if !ok {
		return netcfg.LinkConfig{}
	}
	c := netcfg.LinkConfig{MTU: l.MTU}
	for _, a := range l.addrs {
		c.Addrs = append(c.Addrs, a.Addr)
	}
	for _, r := range l.routes {
		c.Routes = append(c.Routes, r.Route)
	}
	return c
}

// Deliver takes in what the kernel reported.
func (t *Table) Deliver(events []kernel.Event) {
	lost := make(map[int]bool) // links that may have less than before
	for _, e := range events {
		switch e := e.(type) {
		case kernel.Resync:
			t.resync(e.Snapshot)
			for index := range t.links {
				lost[index] = true
			}
		case kernel.LinkChanged:
			if t.putLink(e.Link) {
				lost[e.Link.Index] = true
			}
		case kernel.LinkRemoved:
			t.dropLink(e.Index)
		case kernel.AddrChanged:
			t.putAddr(e.Addr)
		case kernel.AddrRemoved:
			t.dropAddr(e.Addr)
			lost[e.Addr.Index] = true
		case kernel.RouteAdded:
			if e.Replaced {
				lost[t.dropReplaced(e.Route)] = true
			}
			t.putRoute(e.Route)
		case kernel.RouteRemoved:
			t.dropRoute(e.Route)
			lost[e.Route.Index] = true
		}
	}
	t.tell()
	t.answerAwaits()
	for _, index := range slices.Sorted(maps.Keys(lost)) {
		if l, ok := t.links[index]; ok {
			t.repair(l)
		}
	}
}

// tell reports what Deliver found. Observers may call the table.
func (t *Table) tell() {
	events := t.untold
	t.untold = nil
	for _, e := range events {
		for _, observe := range t.watchers {
			observe(e)
		}
	}
}

// resync replaces everything by s.
func (t *Table) resync(s kernel.Snapshot) {
	present := make(map[int]bool, len(s.Links))
	for _, l := range s.Links {
		present[l.Index] = true
	}
	for _, index := range slices.Sorted(maps.Keys(t.links)) {
		if !present[index] {
			t.dropLink(index)
		}
	}
	for _, l := range t.links {
		l.addrs, l.routes = nil, nil
	}
	for _, l := range s.Links {
		t.putLink(l)
	}
	for _, a := range s.Addrs {
		t.putAddr(a)
	}
	for _, r := range s.Routes {
		t.putRoute(r)
	}
	for _, l := range t.links {
		maps.DeleteFunc(l.placed, func(k kernel.AddrKey, _ bool) bool { return !l.has(k) })
	}
	if !t.synced {
		t.synced = true
		t.adopt()
		t.setUpLoopback()
	}
}

// putLink notes a link. It reports whether the link was brought up or down,
// which takes its IPv4 routes away without a word.
func (t *Table) putLink(now kernel.Link) (turned bool) {
	l, ok := t.links[now.Index]
	if ok && l.Kind != now.Kind {
		t.dropLink(now.Index) // another link that got the number of one that went
		ok = false
	}
	if !ok {
		t.links[now.Index] = &link{Link: now}
		t.untold = append(t.untold, Added{now})
		return false
	}
	old := l.Link
	if old == now {
		return false
	}
	l.Link = now
	if old.Up && !now.Up {
		l.forget(func(kernel.Route) bool { return true })
	}
	t.untold = append(t.untold, Changed{old, now})
	return old.Up != now.Up
}

func (t *Table) dropLink(index int) {
	l, ok := t.links[index]
	if !ok {
		return
	}
	delete(t.links, index)
	t.awaits = slices.DeleteFunc(t.awaits, func(a *await) bool { return a.link == l })
	t.abandon(l)
	t.untold = append(t.untold, Removed{l.Link})
}

func (t *Table) putAddr(a kernel.Addr) {
	l, ok := t.links[a.Index]
	if !ok {
		return
	}
	if i := l.findAddr(a.Addr); i >= 0 {
		l.addrs[i] = a
	} else {
		l.addrs = append(l.addrs, a)
	}
}

func (t *Table) dropAddr(a kernel.Addr) {
	l, ok := t.links[a.Index]
	if !ok {
		return
	}
	i := l.findAddr(a.Addr)
	if i < 0 {
		return
	}
	l.addrs = slices.Delete(l.addrs, i, i+1)
	delete(l.placed, kernel.Key(a.Addr))
	address := a.Prefix.Addr()
	if !address.Is4() {
		return
	}
	if !slices.ContainsFunc(l.addrs, func(a kernel.Addr) bool { return a.Prefix.Addr().Is4() }) {
		l.forget(func(kernel.Route) bool { return true })
	}
	for _, other := range t.links {
		other.forget(func(r kernel.Route) bool { return r.Src == address })
	}
}

func (t *Table) putRoute(r kernel.Route) {
	if l, ok := t.links[r.Index]; ok && !slices.Contains(l.routes, r) {
		l.routes = append(l.routes, r)
	}
}

func (t *Table) dropRoute(r kernel.Route) {
	if l, ok := t.links[r.Index]; ok {
		l.routes = slices.DeleteFunc(l.routes, func(h kernel.Route) bool { return h == r })
	}
}

// dropReplaced forgets the route whose place r took and returns its link's
// index. With several to choose from the kernel has to say what is left.
func (t *Table) dropReplaced(r kernel.Route) int {
	var rivals []kernel.Route
	for _, l := range t.links {
		for _, h := range l.routes {
			if kernel.SameKey(h.Route, r.Route) {
				rivals = append(rivals, h)
			}
		}
	}
	switch len(rivals) {
	case 0:
		return 0
	case 1:
		t.dropRoute(rivals[0])
		return rivals[0].Index
	}
	t.kernel.Refresh()
	return 0
}

func (l *link) findAddr(a netcfg.Addr) int {
	return slices.IndexFunc(l.addrs, func(h kernel.Addr) bool { return kernel.Key(h.Addr) == kernel.Key(a) })
}

func (l *link) has(k kernel.AddrKey) bool {
	return slices.ContainsFunc(l.addrs, func(h kernel.Addr) bool { return kernel.Key(h.Addr) == k })
}

// forget drops IPv4 routes that went without a word.
func (l *link) forget(gone func(kernel.Route) bool) {
	l.routes = slices.DeleteFunc(l.routes, func(r kernel.Route) bool { return r.Dst.Addr().Is4() && gone(r) })
}
