package kerneltest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"net.connman/connmand/internal/kernel"
	"net.connman/pkg/netcfg"
)

// Lab is a kernel to test and the hands on it. Each test gets a fresh one.
type Lab struct {
	Kernel kernel.Kernel
	// AddLink makes a link that is down and returns its index.
	AddLink func(name string) int
	// RemoveLink makes a link go away.
	RemoveLink func(index int)
	// SetCarrier plugs the link's cable in or out.
	SetCarrier func(index int, on bool)
	// Put adds an address as another program would.
	Put func(index int, a netcfg.Addr)
}

// patience is how long an event may take.
const patience = 10 * time.Second

// Suite tests the kernels that open returns. A kernel's Run ends with the test.
func Suite(t *testing.T, open func(t *testing.T) Lab) {
	for name, test := range map[string]func(*testing.T, Lab, *watcher){
		"snapshot":        snapshot,
		"link lifecycle":  linkLifecycle,
		"addresses":       addresses,
		"marking":         marking,
		"peer":            peer,
		"routes":          routes,
		"routes by twos":  routesByTwos,
		"no such link":    noSuchLink,
		"route link down": routeLinkDown,
		"refresh":         refresh,
		"sysctl":          sysctl,
		"IPv6 addresses":  ipv6Addresses,
		"route replaced":  routeReplaced,
		"route refuses":   routeRefuses,
	} {
		t.Run(name, func(t *testing.T) {
			lab := open(t)
			test(t, lab, watch(t, lab.Kernel))
		})
	}
}

// watcher collects what a kernel delivers.
type watcher struct {
	t      *testing.T
	kernel kernel.Kernel
	events chan []kernel.Event
	seen   []kernel.Event
}

func watch(t *testing.T, k kernel.Kernel) *watcher {
	w := &watcher{t: t, kernel: k, events: make(chan []kernel.Event, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx, func(e []kernel.Event) { w.events <- e }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	await(w, func(kernel.Resync) bool { return true })
	return w
}

// synced returns the events up to now that are of type E.
func synced[E kernel.Event](w *watcher) []E {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.kernel.Sync(ctx); err != nil {
		w.t.Fatalf("Sync: %v", err)
	}
	var found []E
	for {
		select {
		case events := <-w.events:
			w.seen = append(w.seen, events...)
			continue
		default:
		}
		break
	}
	for _, e := range w.seen {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	w.seen = nil
	return found
}

// await waits for an event of type E for which match holds.
func await[E kernel.Event](w *watcher, match func(E) bool) E {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		for i, e := range w.seen {
			if e, ok := e.(E); ok && match(e) {
				w.seen = w.seen[i+1:]
				return e
			}
		}
		w.seen = nil
		select {
		case w.seen = <-w.events:
		case <-deadline:
			w.t.Fatalf("no %T in time", *new(E))
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fails(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func addr(s string) netcfg.Addr { return netcfg.Addr{Prefix: netip.MustParsePrefix(s)} }

// upLink makes a link with a carrier and the address 10.9.0.2/24.
func upLink(t *testing.T, lab Lab) int {
	t.Helper()
	index := lab.AddLink("lab0")
	ok(t, lab.Kernel.SetUp(index, true))
	lab.SetCarrier(index, true)
	ok(t, lab.Kernel.AddAddr(index, addr("10.9.0.2/24")))
	return index
}

func snapshot(t *testing.T, lab Lab, w *watcher) {
	index := upLink(t, lab)
	gw := netcfg.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.9.0.1"), Metric: 7}
	ok(t, lab.Kernel.AddRoute(index, gw))
	synced[kernel.Event](w)
	lab.Kernel.Refresh()
	s := await(w, func(kernel.Resync) bool { return true })
	if !slices.ContainsFunc(s.Links, func(l kernel.Link) bool {
		return l.Name == "lo" && l.Index == kernel.LoopbackIndex && l.Type == kernel.TypeLoopback
	}) {
		t.Errorf("no loopback link among %+v", s.Links)
	}
	if !slices.ContainsFunc(s.Links, func(l kernel.Link) bool {
		return l.Name == "lab0" && l.Index == index && l.Up && l.Carrier && len(l.HardwareAddr) == 6 && l.MTU == 1500
	}) {
		t.Errorf("no lab0 that is up among %+v", s.Links)
	}
	if want := (kernel.Addr{Index: index, Addr: addr("10.9.0.2/24"), Protocol: kernel.Protocol}); !slices.Contains(s.Addrs, want) {
		t.Errorf("no %+v among %+v", want, s.Addrs)
	}
	if want := []kernel.Route{{Index: index, Route: gw, Protocol: kernel.Protocol}}; !slices.Equal(s.Routes, want) {
		t.Errorf("routes are %+v, want %+v", s.Routes, want)
	}
}

func linkLifecycle(t *testing.T, lab Lab, w *watcher) {
	index := lab.AddLink("lab0")
	is := func(up, carrier bool) func(kernel.LinkChanged) bool {
		return func(e kernel.LinkChanged) bool {
			return e.Link.Index == index && e.Link.Up == up && e.Link.Carrier == carrier
		}
	}
	await(w, is(false, false))
	ok(t, lab.Kernel.SetUp(index, true))
	lab.SetCarrier(index, true)
	await(w, is(true, true))
	lab.SetCarrier(index, false)
	await(w, is(true, false))
	lab.SetCarrier(index, true)
	await(w, is(true, true))
	ok(t, lab.Kernel.SetMTU(index, 1400))
	await(w, func(e kernel.LinkChanged) bool { return e.Link.MTU == 1400 })
	const address = "\x02\x00\x00\x00\x00\x77"
	ok(t, lab.Kernel.SetHardwareAddr(index, address))
	await(w, func(e kernel.LinkChanged) bool { return e.Link.HardwareAddr == address })
	ok(t, lab.Kernel.SetUp(index, false))
	await(w, is(false, false))
	lab.RemoveLink(index)
	await(w, func(e kernel.LinkRemoved) bool { return e.Index == index })
	if late := synced[kernel.LinkChanged](w); slices.ContainsFunc(late, func(e kernel.LinkChanged) bool { return e.Link.Index == index }) {
		t.Errorf("a link that is gone changed: %+v", late)
	}
}

func addresses(t *testing.T, lab Lab, w *watcher) {
	index := lab.AddLink("lab0")
	a := addr("10.9.0.2/24")
	a.Broadcast = netip.MustParseAddr("10.9.0.255")
	want := kernel.Addr{Index: index, Addr: a, Protocol: kernel.Protocol}
	ok(t, lab.Kernel.AddAddr(index, a))
	if got := synced[kernel.AddrChanged](w); !slices.Equal(got, []kernel.AddrChanged{{Addr: want}}) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	ok(t, lab.Kernel.AddAddr(index, a)) // once more does no harm
	ok(t, lab.Kernel.DelAddr(index, a))
	if got := synced[kernel.AddrRemoved](w); !slices.Equal(got, []kernel.AddrRemoved{{Addr: want}}) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	fails(t, lab.Kernel.DelAddr(index, a), kernel.ErrNotFound)
}

func marking(t *testing.T, lab Lab, w *watcher) {
	index := lab.AddLink("lab0")
	a := addr("10.9.0.2/24")
	lab.Put(index, a)
	await(w, func(e kernel.AddrChanged) bool { return e.Addr.Index == index && e.Addr.Protocol == 0 })
	ok(t, lab.Kernel.AddAddr(index, a))
	await(w, func(e kernel.AddrChanged) bool {
		return e.Addr == kernel.Addr{Index: index, Addr: a, Protocol: kernel.Protocol}
	})
}

func peer(t *testing.T, lab Lab, w *watcher) {
	index := lab.AddLink("lab0")
	a := addr("10.9.0.2/32")
	a.Peer = netip.MustParseAddr("10.9.9.9")
	ok(t, lab.Kernel.AddAddr(index, a))
	await(w, func(e kernel.AddrChanged) bool { return e.Addr.Addr == a })
	ok(t, lab.Kernel.DelAddr(index, a))
	await(w, func(e kernel.AddrRemoved) bool { return e.Addr.Addr == a })
}

func routes(t *testing.T, lab Lab, w *watcher) {
	index := upLink(t, lab)
	for _, r := range []netcfg.Route{
		{Dst: netip.MustParsePrefix("10.10.0.1/32")},
		{Dst: netip.MustParsePrefix("10.11.0.0/16"), Gateway: netip.MustParseAddr("10.10.0.1"), Metric: 3},
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.9.0.1"), Src: netip.MustParseAddr("10.9.0.2"), Metric: 8},
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.9.0.1"), Table: 1000},
	} {
		want := kernel.Route{Index: index, Route: r, Protocol: kernel.Protocol}
		ok(t, lab.Kernel.AddRoute(index, r))
		if got := synced[kernel.RouteAdded](w); !slices.Equal(got, []kernel.RouteAdded{{Route: want}}) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		fails(t, lab.Kernel.AddRoute(index, r), kernel.ErrExists)
		if got := synced[kernel.RouteAdded](w); len(got) > 0 {
			t.Fatalf("a route was added twice: %+v", got)
		}
		if !r.Gateway.IsValid() {
			continue // the next goes through it
		}
		ok(t, lab.Kernel.DelRoute(want))
		if got := synced[kernel.RouteRemoved](w); !slices.Equal(got, []kernel.RouteRemoved{{Route: want}}) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		fails(t, lab.Kernel.DelRoute(want), kernel.ErrNotFound)
	}
}

// A changed gateway: the new route is there before the old one goes.
func routesByTwos(t *testing.T, lab Lab, w *watcher) {
	index := upLink(t, lab)
	one := netcfg.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.9.0.1")}
	two := one
	two.Gateway = netip.MustParseAddr("10.9.0.9")
	ok(t, lab.Kernel.AddRoute(index, one))
	ok(t, lab.Kernel.AddRoute(index, two))
	ok(t, lab.Kernel.DelRoute(kernel.Route{Index: index, Route: one, Protocol: kernel.Protocol}))
	synced[kernel.Event](w)
	lab.Kernel.Refresh()
	s := await(w, func(kernel.Resync) bool { return true })
	if want := []kernel.Route{{Index: index, Route: two, Protocol: kernel.Protocol}}; !slices.Equal(s.Routes, want) {
		t.Fatalf("routes are %+v, want %+v", s.Routes, want)
	}
}

func noSuchLink(t *testing.T, lab Lab, _ *watcher) {
	const index = 12345
	r := netcfg.Route{Dst: netip.MustParsePrefix("10.10.0.1/32")}
	fails(t, lab.Kernel.AddAddr(index, addr("10.9.0.2/24")), kernel.ErrNoLink)
	fails(t, lab.Kernel.DelAddr(index, addr("10.9.0.2/24")), kernel.ErrNoLink)
	fails(t, lab.Kernel.AddRoute(index, r), kernel.ErrNoLink)
	fails(t, lab.Kernel.SetUp(index, true), kernel.ErrNoLink)
	fails(t, lab.Kernel.SetMTU(index, 1400), kernel.ErrNoLink)
	fails(t, lab.Kernel.SetHardwareAddr(index, "\x02\x00\x00\x00\x00\x77"), kernel.ErrNoLink)
}

func routeLinkDown(t *testing.T, lab Lab, w *watcher) {
	index := upLink(t, lab)
	r := netcfg.Route{Dst: netip.MustParsePrefix("10.10.0.1/32")}
	ok(t, lab.Kernel.AddRoute(index, r))
	ok(t, lab.Kernel.SetUp(index, false))
	synced[kernel.Event](w)
	lab.Kernel.Refresh()
	s := await(w, func(kernel.Resync) bool { return true })
	if len(s.Routes) != 0 {
		t.Errorf("routes of a link that is down: %+v", s.Routes)
	}
	fails(t, lab.Kernel.AddRoute(index, r), kernel.ErrLinkDown)
}

func refresh(t *testing.T, lab Lab, w *watcher) {
	index := lab.AddLink("lab0")
	await(w, func(e kernel.LinkChanged) bool { return e.Link.Index == index })
	lab.Kernel.Refresh()
	await(w, func(e kernel.Resync) bool {
		return slices.ContainsFunc(e.Links, func(l kernel.Link) bool { return l.Index == index })
	})
	ok(t, lab.Kernel.SetUp(index, true))
	await(w, func(e kernel.LinkChanged) bool { return e.Link.Index == index && e.Link.Up })
}

func sysctl(t *testing.T, lab Lab, _ *watcher) {
	lab.AddLink("lab0.7")
	ok(t, lab.Kernel.SetSysctl(kernel.IPv4, "lab0.7", "rp_filter", "2"))
	ok(t, lab.Kernel.LoosenFilter("lab0.7"))
	if lab.Kernel.LoosenFilter("nolink0") == nil {
		t.Error("loosened the filter of a link that is not there")
	}
	if lab.Kernel.SetSysctl(kernel.IPv4, "nolink0", "rp_filter", "2") == nil {
		t.Error("set rp_filter of a link that is not there")
	}
	ok(t, lab.Kernel.SetSysctl(kernel.IPv6, "lab0.7", "accept_ra", "0"))
	for link, want := range map[string]string{"lab0.7": "0", "default": "1"} {
		if got, err := lab.Kernel.Sysctl(kernel.IPv6, link, "accept_ra"); err != nil || got != want {
			t.Errorf("accept_ra of %s is %q, %v", link, got, err)
		}
	}
	if _, err := lab.Kernel.Sysctl(kernel.IPv6, "lab0.7", "no_such_key"); !errors.Is(err, kernel.ErrNotFound) {
		t.Errorf("a setting that is not there: %v", err)
	}
}

// ipv6Addresses changes what an address is for without taking it away.
func ipv6Addresses(t *testing.T, lab Lab, w *watcher) {
	index := lab.AddLink("lab0")
	ok(t, lab.Kernel.SetUp(index, true))
	lab.SetCarrier(index, true)
	a := netcfg.Addr{Prefix: netip.MustParsePrefix("2001:db8::5/64")}
	ok(t, lab.Kernel.AddAddr(index, a))
	await(w, func(e kernel.AddrChanged) bool { return e.Addr.Addr == a && !e.Addr.Tentative })
	for _, step := range []struct{ deprecated, temporaries bool }{{true, true}, {false, true}, {false, false}} {
		a.Deprecated, a.Temporaries = step.deprecated, step.temporaries
		ok(t, lab.Kernel.AddAddr(index, a))
		await(w, func(e kernel.AddrChanged) bool {
			return e.Addr.Addr == a && !e.Addr.Temporary && e.Addr.Index == index
		})
	}
	ok(t, lab.Kernel.DelAddr(index, a))
	await(w, func(e kernel.AddrRemoved) bool { return e.Addr.Prefix == a.Prefix })
}

// routeReplaced puts one router in the place of another.
func routeReplaced(t *testing.T, lab Lab, w *watcher) {
	index := lab.AddLink("lab0")
	ok(t, lab.Kernel.SetUp(index, true))
	ok(t, lab.Kernel.AddAddr(index, netcfg.Addr{Prefix: netip.MustParsePrefix("2001:db8::5/64")}))
	ok(t, lab.Kernel.AddRoute(index, netcfg.Route{Dst: netip.MustParsePrefix("2001:db8::/64"), Metric: 256}))
	route := netcfg.Route{Dst: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("2001:db8::a"), Metric: 1056}
	ok(t, lab.Kernel.AddRoute(index, route))
	route.Gateway = netip.MustParseAddr("2001:db8::b")
	ok(t, lab.Kernel.ReplaceRoute(index, route))
	await(w, func(e kernel.RouteAdded) bool { return e.Replaced && e.Route.Route == route })
	ok(t, lab.Kernel.DelRoute(kernel.Route{Index: index, Route: route, Protocol: kernel.Protocol}))
	await(w, func(e kernel.RouteRemoved) bool { return e.Route.Route == route })
}

// A route that refuses is the loopback link's.
func routeRefuses(t *testing.T, lab Lab, w *watcher) {
	ok(t, lab.Kernel.SetUp(kernel.LoopbackIndex, true))
	r := netcfg.Route{Dst: netip.MustParsePrefix("::/0"), Metric: 7, Unreachable: true}
	want := kernel.Route{Index: kernel.LoopbackIndex, Route: r, Protocol: kernel.Protocol}
	ok(t, lab.Kernel.AddRoute(kernel.LoopbackIndex, r))
	await(w, func(e kernel.RouteAdded) bool { return e.Route == want })
	lab.Kernel.Refresh()
	await(w, func(e kernel.Resync) bool { return slices.Contains(e.Routes, want) })
	ok(t, lab.Kernel.DelRoute(want))
	await(w, func(e kernel.RouteRemoved) bool { return e.Route == want })
}
