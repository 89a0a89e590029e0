package fake

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"net.connman/connmand/internal/kernel"
	"net.connman/pkg/netcfg"
)

// Kernel is a network namespace in memory. It begins with a loopback link that
// is down.
type Kernel struct {
	mu      sync.Mutex
	links   map[int]kernel.Link
	addrs   []kernel.Addr
	routes  []kernel.Route
	next    int
	sysctls map[sysctl]string
	writes  []string
	fail    func(request string) error
	queue   []kernel.Event
	wake    chan struct{}
	syncs   []chan struct{}
}

var _ kernel.Kernel = (*Kernel)(nil)

// New returns a namespace with its loopback link.
func New() *Kernel {
	lo := kernel.Link{Index: kernel.LoopbackIndex, Name: "lo", Type: kernel.TypeLoopback, HardwareAddr: "\x00\x00\x00\x00\x00\x00", MTU: 65536}
	return &Kernel{
		links:   map[int]kernel.Link{lo.Index: lo},
		next:    lo.Index,
		sysctls: make(map[sysctl]string),
		wake:    make(chan struct{}, 1),
	}
}

// Run implements [kernel.Kernel].
func (k *Kernel) Run(ctx context.Context, deliver func([]kernel.Event)) error {
	k.Refresh()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.wake:
		}
		k.mu.Lock()
		events, syncs := k.queue, k.syncs
		k.queue, k.syncs = nil, nil
		k.mu.Unlock()
		if len(events) > 0 {
			deliver(events)
		}
		for _, done := range syncs {
			close(done)
		}
	}
}

// Sync implements [kernel.Kernel].
func (k *Kernel) Sync(ctx context.Context) error {
	done := make(chan struct{})
	k.mu.Lock()
	k.syncs = append(k.syncs, done)
	k.tell()
	k.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Refresh implements [kernel.Kernel].
func (k *Kernel) Refresh() {
	k.mu.Lock()
	defer k.mu.Unlock()
	links := slices.SortedFunc(maps.Values(k.links), func(a, b kernel.Link) int { return a.Index - b.Index })
	k.queue = nil // older than the snapshot
	k.tell(kernel.Resync{Snapshot: kernel.Snapshot{
		Links: links, Addrs: slices.Clone(k.addrs), Routes: slices.Clone(k.routes),
	}})
}

// tell queues events and wakes Run.
func (k *Kernel) tell(events ...kernel.Event) {
	k.queue = append(k.queue, events...)
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// AddAddr implements [kernel.Kernel].
func (k *Kernel) AddAddr(index int, a netcfg.Addr) error {
	return k.request(fmt.Sprintf("add address %s on %d", a.Prefix, index), func() error {
		return k.putAddr(kernel.Addr{Index: index, Addr: a, Protocol: kernel.Protocol})
	})
}

func (k *Kernel) putAddr(a kernel.Addr) error {
	if _, ok := k.links[a.Index]; !ok {
		return kernel.ErrNoLink
	}
	i := k.findAddr(a.Index, a.Addr)
	if i < 0 {
		k.addrs = append(k.addrs, a)
	} else {
		a.Broadcast = k.addrs[i].Broadcast
		k.addrs[i] = a
	}
	k.tell(kernel.AddrChanged{Addr: a})
	return nil
}

func (k *Kernel) findAddr(index int, a netcfg.Addr) int {
	return slices.IndexFunc(k.addrs, func(h kernel.Addr) bool {
		return h.Index == index && kernel.Key(h.Addr) == kernel.Key(a)
	})
}

// DelAddr implements [kernel.Kernel].
func (k *Kernel) DelAddr(index int, a netcfg.Addr) error {
	return k.request(fmt.Sprintf("delete address %s on %d", a.Prefix, index), func() error {
		if _, ok := k.links[index]; !ok {
			return kernel.ErrNoLink
		}
		i := k.findAddr(index, a)
		if i < 0 {
			return kernel.ErrNotFound
		}
		gone := k.addrs[i]
		k.addrs = slices.Delete(k.addrs, i, i+1)
		k.tell(kernel.AddrRemoved{Addr: gone})
		last := !slices.ContainsFunc(k.addrs, func(h kernel.Addr) bool {
			return h.Index == index && h.Prefix.Addr().Is4()
		})
		k.forget(func(r kernel.Route) bool {
			return r.Dst.Addr().Is4() && (r.Index == index && last || r.Src == gone.Prefix.Addr())
		})
		return nil
	})
}

// forget drops routes without telling, as the kernel does.
func (k *Kernel) forget(gone func(kernel.Route) bool) {
	k.routes = slices.DeleteFunc(slices.Clone(k.routes), gone)
}

// AddRoute implements [kernel.Kernel].
func (k *Kernel) AddRoute(index int, r netcfg.Route) error {
	return k.request(fmt.Sprintf("add route %s via %s metric %d on %d", r.Dst, r.Gateway, r.Metric, index), func() error {
		return k.putRoute(kernel.Route{Index: index, Route: r, Protocol: kernel.Protocol})
	})
}

// ReplaceRoute implements [kernel.Kernel].
func (k *Kernel) ReplaceRoute(index int, r netcfg.Route) error {
	return k.request(fmt.Sprintf("replace route %s via %s metric %d on %d", r.Dst, r.Gateway, r.Metric, index), func() error {
		return k.supersede(kernel.Route{Index: index, Route: r, Protocol: kernel.Protocol})
	})
}

func (k *Kernel) putRoute(r kernel.Route) error {
	l, ok := k.links[r.Index]
	switch {
	case !ok:
		return kernel.ErrNoLink
	case !l.Up:
		return kernel.ErrLinkDown
	case slices.Contains(k.routes, r):
		return kernel.ErrExists
	case r.Gateway.IsValid() && !k.onLink(r.Index, r.Gateway):
		return fmt.Errorf("gateway %s is not on the link", r.Gateway)
	}
	k.routes = append(k.routes, r)
	k.tell(kernel.RouteAdded{Route: r})
	return nil
}

func (k *Kernel) onLink(index int, gateway netip.Addr) bool {
	return slices.ContainsFunc(k.addrs, func(a kernel.Addr) bool {
		return a.Index == index && a.Prefix.Masked().Contains(gateway)
	}) || slices.ContainsFunc(k.routes, func(r kernel.Route) bool {
		return r.Index == index && !r.Gateway.IsValid() && r.Dst.Contains(gateway)
	})
}

// DelRoute implements [kernel.Kernel].
func (k *Kernel) DelRoute(r kernel.Route) error {
	return k.request(fmt.Sprintf("delete route %s via %s metric %d on %d", r.Dst, r.Gateway, r.Metric, r.Index), func() error {
		if _, ok := k.links[r.Index]; !ok {
			return kernel.ErrNoLink
		}
		i := slices.Index(k.routes, r)
		if i < 0 {
			return kernel.ErrNotFound
		}
		k.routes = slices.Delete(k.routes, i, i+1)
		k.tell(kernel.RouteRemoved{Route: r})
		return nil
	})
}

// SetUp implements [kernel.Kernel].
func (k *Kernel) SetUp(index int, up bool) error {
	return k.request(fmt.Sprintf("set up %t on %d", up, index), func() error {
		return k.change(index, func(l *kernel.Link) {
			l.Up = up
			l.Carrier = l.Carrier && up || up && index == kernel.LoopbackIndex
			l.Running = l.Carrier
		})
	})
}

// SetHardwareAddr implements [kernel.Kernel].
func (k *Kernel) SetHardwareAddr(index int, addr string) error {
	return k.request(fmt.Sprintf("set hardware address %x on %d", addr, index), func() error {
		return k.change(index, func(l *kernel.Link) { l.HardwareAddr = addr })
	})
}

// SetMTU implements [kernel.Kernel].
func (k *Kernel) SetMTU(index int, mtu int) error {
	return k.request(fmt.Sprintf("set MTU %d on %d", mtu, index), func() error {
		return k.change(index, func(l *kernel.Link) { l.MTU = mtu })
	})
}

// AddTunnel implements [kernel.Kernel].
func (k *Kernel) AddTunnel(name string, local netip.Addr) (index int, err error) {
	err = k.request(fmt.Sprintf("add tunnel %s from %s", name, local), func() error {
		k.next++
		index = k.next
		k.links[index] = kernel.Link{Index: index, Name: name, Kind: "sit", MTU: 1480}
		k.tell(kernel.LinkChanged{Link: k.links[index]})
		return nil
	})
	return index, err
}

// DelLink implements [kernel.Kernel].
func (k *Kernel) DelLink(name string) error {
	return k.request("delete link "+name, func() error {
		for index, l := range k.links {
			if l.Name == name {
				k.removeLink(index)
				return nil
			}
		}
		return kernel.ErrNoLink
	})
}

// SetSysctl implements [kernel.Kernel].
func (k *Kernel) SetSysctl(f kernel.Family, link, key, value string) error {
	return k.request(fmt.Sprintf("set %s %s of %s to %s", f, key, link, value), func() error {
		for _, l := range k.links {
			if l.Name == link {
				k.sysctls[sysctl{f, link, key}] = value
				return nil
			}
		}
		return kernel.ErrNoLink
	})
}

// sysctl names a setting of a link.
type sysctl struct {
	family    kernel.Family
	link, key string
}

// sysctlDefaults are the settings that nobody changed.
var sysctlDefaults = map[string]string{
	"accept_ra": "1", "autoconf": "1", "use_tempaddr": "0", "disable_ipv6": "0", "mtu": "1500", "hop_limit": "64",
	"rp_filter": "0", "promote_secondaries": "0",
}

// Sysctl implements [kernel.Kernel].
func (k *Kernel) Sysctl(f kernel.Family, link, key string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if value, ok := k.sysctls[sysctl{f, link, key}]; ok {
		return value, nil
	}
	if value, ok := sysctlDefaults[key]; ok {
		return value, nil
	}
	return "", kernel.ErrNotFound
}

// LoosenFilter implements [kernel.Kernel]: the fake's filters are loose.
func (k *Kernel) LoosenFilter(link string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.links {
		if l.Name == link {
			return nil
		}
	}
	return kernel.ErrNoLink
}

func (k *Kernel) change(index int, edit func(*kernel.Link)) error {
	l, ok := k.links[index]
	if !ok {
		return kernel.ErrNoLink
	}
	was := l
	edit(&l)
	if l == was {
		return nil
	}
	k.links[index] = l
	k.tell(kernel.LinkChanged{Link: l})
	if was.Up && !l.Up {
		k.forget(func(r kernel.Route) bool { return r.Index == index && r.Dst.Addr().Is4() })
	}
	if !was.Up && l.Up && index == kernel.LoopbackIndex && len(k.addrs) == 0 {
		return k.putAddr(kernel.Addr{Index: index, Addr: netcfg.Addr{Prefix: netip.MustParsePrefix("127.0.0.1/8")}})
	}
	return nil
}

// request runs one change under the lock and records it.
func (k *Kernel) request(what string, do func() error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writes = append(k.writes, what)
	var err error
	if k.fail != nil {
		err = k.fail(what)
	}
	if err == nil {
		err = do()
	}
	if err != nil {
		return fmt.Errorf("cannot %s: %w", what, err)
	}
	return nil
}
