package wireguard

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/vpnd/internal/core"
)

// sight is what a look at the tunnel shows.
type sight struct {
	peers map[wgtypes.Key]state
	ways  map[wgtypes.Key]way // to where the peers are
	mtu   int                 // the link's, from now on
}

// look looks at the peers. It also finds out when the link was removed behind
// our back.
func (a *attempt) look() {
	if a.over {
		return
	}
	if a.busy {
		a.again = true
		return
	}
	a.timer.Stop()
	a.again = false
	index, mtu := a.index, a.mtu
	under(a, "look at WireGuard's peers", func(context.Context) (s sight, err error) {
		if s.peers, err = a.kernel.peers(index); err != nil {
			return s, err
		}
		s.ways = map[wgtypes.Key]way{}
		for key, p := range s.peers {
			s.ways[key] = a.kernel.way(p.endpoint.Addr())
		}
		s.mtu = a.config.fit(mtu, index, s.ways)
		if s.mtu != mtu {
			if err := a.kernel.setMTU(index, s.mtu); err != nil {
				a.log.Warn("a tunnel's packets may not fit their way", "connection", a.id, "error", err)
				s.mtu = mtu
			}
		}
		return s, nil
	}, a.seen)
}

// firstMTU is the link's MTU until the ways to the peers are known.
func (c config) firstMTU() int { return cmp.Or(c.mtu, maxLinkMTU) }

// fit is the MTU with which packets pass all ways outside the tunnel without
// fragments, unless the settings have one; the present one if there is no way.
func (c config) fit(present, own int, ways map[wgtypes.Key]way) int {
	if c.mtu != 0 {
		return c.mtu
	}
	best := 0
	for _, w := range ways {
		if w.link != own && w.mtu != 0 && (best == 0 || w.mtu < best) {
			best = w.mtu
		}
	}
	if best == 0 {
		return present
	}
	return max(min(best-overhead, maxLinkMTU), minMTU6)
}

func (a *attempt) seen(s sight, err error) {
	switch {
	case a.over:
		a.end(core.Stopped, nil)
	case errors.Is(err, errGone):
		a.end(core.ConnectFailed, err)
	case err != nil:
		a.log.Warn("cannot tell how a tunnel is", "connection", a.id, "error", err)
		a.settle()
	case a.note(s):
		a.move()
	default:
		a.settle()
	}
}

// note takes down what was seen and says whether a peer's name should be resolved
// again. A peer that was heard elsewhere than before has moved by itself.
func (a *attempt) note(s sight) (resolve bool) {
	a.mtu = s.mtu
	moved := false
	for i := range a.ends {
		e, p := &a.ends[i], a.config.peers[i]
		now, way := s.peers[p.public], s.ways[p.public]
		if now.endpoint.IsValid() && now.endpoint != e.endpoint {
			a.log.Info("peer has moved", "connection", a.id, "peer", i+1, "from", e.endpoint, "to", now.endpoint)
			e.endpoint = now.endpoint
			e.way = way
			moved = true
		}
		lost := a.listen(i, now) || !e.endpoint.IsValid()
		other := false
		if way.link != 0 && way.link != a.index {
			other = e.way.link != 0 && e.way != way
			e.way = way
		}
		resolve = resolve || p.endpoint.host != "" && (other || lost && a.loop.Now().Sub(a.resolved) >= lookEvery)
	}
	if moved {
		a.tell()
	}
	return resolve
}

// listen notes whether a peer answers and says if it is asked in vain. Only one
// that we send to can fail to answer: a tunnel that nobody uses is silent.
func (a *attempt) listen(i int, now state) (inVain bool) {
	e := &a.ends[i]
	asked, answered := now.sent != e.sent, now.received != e.received
	e.sent, e.received = now.sent, now.received
	was := e.failing
	switch {
	case answered:
		e.owing = time.Time{}
	case asked && e.owing.IsZero():
		e.owing = a.loop.Now()
	}
	e.failing = !e.owing.IsZero() && a.loop.Now().Sub(e.owing) >= patience
	if e.failing && !was {
		a.log.Warn("peer does not answer", "connection", a.id, "peer", i+1, "endpoint", e.endpoint)
	} else if was && !e.failing {
		a.log.Info("peer answers", "connection", a.id, "peer", i+1, "endpoint", e.endpoint)
	}
	return e.failing && asked
}

// move finds out where the peers are and tells the kernel.
func (a *attempt) move() {
	a.resolved = a.loop.Now()
	index := a.index
	known := append([]end(nil), a.ends...)
	under(a, "resolve WireGuard's peers", func(ctx context.Context) ([]netip.AddrPort, error) {
		found, errs := a.find(ctx, known, index)
		for i, p := range a.config.peers {
			if ctx.Err() != nil || !found[i].IsValid() || found[i] == known[i].endpoint {
				continue
			}
			if err := a.kernel.move(index, p.public, found[i]); err != nil {
				errs = append(errs, err)
				found[i] = netip.AddrPort{}
			}
		}
		return found, errors.Join(errs...)
	}, a.moved)
}

func (a *attempt) moved(found []netip.AddrPort, err error) {
	if a.over {
		a.end(core.Stopped, nil)
		return
	}
	if err != nil {
		a.log.Info("cannot find all peers", "connection", a.id, "error", err)
	}
	changed := false
	for i := range a.ends {
		if e := &a.ends[i]; found[i].IsValid() && found[i] != e.endpoint {
			a.log.Info("peer is elsewhere now", "connection", a.id, "peer", i+1, "from", e.endpoint, "to", found[i])
			e.endpoint, e.way = found[i], way{}
			changed = true
		}
	}
	if changed {
		a.tell()
	}
	a.settle()
}

// settle ends a look.
func (a *attempt) settle() {
	if a.again {
		a.look()
		return
	}
	a.lookLater()
}
