package wireguard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/core"
)

const (
	// lookEvery is how often the peers are looked at. The original resolves names
	// as often.
	lookEvery = 20 * time.Second
	// patience is how long a peer may owe an answer: WireGuard answers whatever
	// comes within ten seconds (KEEPALIVE_TIMEOUT), and tries again for five.
	patience = 15 * time.Second
	// resolveTimeout is how long names may take, all together.
	resolveTimeout = 20 * time.Second
	// soon is when we begin to look at a tunnel: Up should be on its way by then.
	soon = 100 * time.Millisecond
)

// attempt is a tunnel, from Connect to Ended.
type attempt struct {
	*Provider
	id     string
	config config
	report func(core.Event)

	// ctx is the tunnel's life: it ends with Stop.
	ctx    context.Context
	cancel context.CancelFunc

	busy     bool // something is under way
	again    bool // and the peers should be looked at behind it
	over     bool // it ends, as last says, once what is under way has seen it
	removing bool // and the link is being removed
	last     core.Ended

	index    int // of the link, 0 while there is none
	mtu      int // of the link
	ends     []end
	resolved time.Time // when names were resolved, on the loop's clock
	timer    *loop.Timer
}

// end is what is known of a peer, in the order of the settings.
type end struct {
	endpoint netip.AddrPort // invalid: not known
	way      way            // to the endpoint, when it was last outside the tunnel
	sent     int64
	received int64
	owing    time.Time // on the loop's clock: when it was first seen to owe an answer; zero if it doesn't
	failing  bool      // it has owed one for too long
}

// under has work done for the tunnel and its result told on the loop. One such
// thing is under way at a time.
func under[T any](a *attempt, label string, work func(context.Context) (T, error), done func(T, error)) {
	a.busy = true
	loop.Go(a.loop, label, func(ctx context.Context) (T, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(a.ctx, cancel)()
		return work(ctx)
	}, func(result T, err error) {
		a.busy = false
		done(result, err)
	})
}

// made is a link that was made.
type made struct {
	index     int
	endpoints []netip.AddrPort
	own       wgtypes.Key // the public key of our end
}

// begin resolves the peers' names and makes the link.
func (a *attempt) begin() {
	own, known := a.public[a.config.private]
	under(a, "make a WireGuard link", func(ctx context.Context) (made, error) {
		select {
		case <-a.cleaned:
		case <-ctx.Done():
			return made{}, ctx.Err()
		}
		key := make(chan wgtypes.Key, 1)
		if known {
			key <- own
		} else { // takes as long as to make a link
			go func() { key <- a.config.private.PublicKey() }()
		}
		endpoints, errs := a.find(ctx, nil, 0)
		if errs[0] != nil {
			return made{}, errs[0]
		}
		if ctx.Err() != nil {
			return made{}, ctx.Err()
		}
		index, err := a.kernel.create(a.id, a.config, endpoints)
		m := made{index, endpoints, <-key}
		return m, cmp.Or(err, a.config.foreign(m.own))
	}, a.begun)
}

func (a *attempt) begun(m made, err error) {
	a.index = m.index
	if err != nil || a.over {
		a.end(core.ConnectFailed, err)
		return
	}
	a.public[a.config.private] = m.own
	for _, endpoint := range m.endpoints {
		a.ends = append(a.ends, end{endpoint: endpoint})
	}
	a.resolved = a.loop.Now()
	a.log.Info("tunnel is there", "connection", a.id, "link", a.index, "peers", len(a.ends))
	a.mtu = a.config.firstMTU()
	a.timer = a.loop.After("watch over WireGuard", soon, func() { a.watch(); a.look() })
	a.tell()
}

// tell reports how the tunnel wants to be configured.
func (a *attempt) tell() {
	t := core.Tunnel{Index: a.index, DNS: a.config.dns}
	t.Routes, t.Split = a.config.routes()
	t.IPv4.Prefix, t.IPv6.Prefix = a.config.addresses.v4, a.config.addresses.v6
	for _, e := range a.ends {
		family := &t.IPv4
		if e.endpoint.Addr().Is6() {
			family = &t.IPv6
		}
		if e.endpoint.IsValid() && !family.Gateway.IsValid() {
			family.Gateway = e.endpoint.Addr()
		}
	}
	a.report(core.Up{Tunnel: t})
}

// watch has the peers looked at when something changes around the tunnel.
func (a *attempt) watch() {
	loop.Go(a.loop, "watch for WireGuard", func(ctx context.Context) (struct{}, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(a.ctx, cancel)()
		return struct{}{}, a.kernel.watch(ctx, func() { a.loop.Post("links changed", a.look) })
	}, func(_ struct{}, err error) {
		if !a.over {
			a.log.Warn("changes of links are seen late", "connection", a.id, "error", err)
		}
	})
}

func (a *attempt) lookLater() { a.timer = a.loop.After("look at WireGuard's peers", lookEvery, a.look) }

// Stop implements [core.Attempt].
func (a *attempt) Stop() {
	if !a.over {
		a.end(core.Stopped, nil)
	}
}

// end takes the tunnel down, once nothing is under way any more. What it is told
// first counts.
func (a *attempt) end(cause core.Cause, err error) {
	if !a.over {
		a.over, a.last = true, core.Ended{Cause: cause, Err: err}
		a.cancel()
		a.timer.Stop()
	}
	if a.busy || a.removing {
		return
	}
	a.removing = true
	under(a, "remove a WireGuard link", func(context.Context) (struct{}, error) {
		if a.index == 0 {
			return struct{}{}, nil
		}
		return struct{}{}, a.kernel.remove(a.index)
	}, func(_ struct{}, err error) {
		if err != nil {
			a.log.Error("a tunnel's link is left", "connection", a.id, "error", err)
		}
		a.report(a.last)
	})
}

// find resolves the peers' names, of those that are wanted. Known and own are
// the endpoints so far and the tunnel's link, once there is one.
func (a *attempt) find(ctx context.Context, known []end, own int) ([]netip.AddrPort, []error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found, errs := make([]netip.AddrPort, len(a.config.peers)), make([]error, len(a.config.peers))
	var all sync.WaitGroup
	for i, p := range a.config.peers {
		if p.endpoint.host == "" {
			continue
		}
		if address, err := netip.ParseAddr(p.endpoint.host); err == nil {
			found[i] = netip.AddrPortFrom(address.Unmap(), uint16(p.endpoint.port))
			continue
		}
		var last end
		if known != nil {
			last = known[i]
		}
		all.Go(func() {
			candidates, err := a.addresses(ctx, p.endpoint.host)
			if err != nil {
				errs[i] = fmt.Errorf("cannot resolve %s: %w", p.endpoint.host, err)
				return
			}
			found[i] = netip.AddrPortFrom(a.choose(candidates, last, own), uint16(p.endpoint.port))
		})
	}
	all.Wait()
	return found, errs
}

// addresses are those of a name.
func (a *attempt) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	candidates, err := a.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for i := range candidates {
		candidates[i] = candidates[i].Unmap()
	}
	candidates = slices.DeleteFunc(candidates, func(c netip.Addr) bool { return c.IsUnspecified() || c.IsMulticast() })
	if len(candidates) == 0 {
		return nil, errors.New("it has no address")
	}
	return candidates, nil
}

// choose takes the address that the peer has been at, unless it was silent there,
// and else the next one to which there is a way outside the tunnel.
func (a *attempt) choose(candidates []netip.Addr, last end, own int) netip.Addr {
	if len(candidates) == 1 {
		return candidates[0]
	}
	at := slices.Index(candidates, last.endpoint.Addr())
	if at >= 0 && !last.failing {
		return candidates[at]
	}
	for i := range candidates {
		next := candidates[(at+1+i)%len(candidates)]
		if w := a.kernel.way(next); w.link != 0 && w.link != own {
			return next
		}
	}
	return candidates[max(at, 0)]
}
