package link

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"net.connman/connmand/internal/kernel"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// How long to leave a link alone after something was put back, when somebody
// else takes it away again and again: from the first time on, doubling.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// target is what a link should have and how far that is.
type target struct {
	want        *netcfg.LinkConfig // nil: never said, nothing is touched
	done        func(error)        // of the newest Apply, until it is answered
	dirty       bool               // want is to be compared with what there is
	up          *bool              // the newest SetUp, until it is under way
	upDone      func(error)
	address     *string // the newest SetHardwareAddr, until it is under way
	addressDone func(error)
	ipv6        ipv6Target
	busy        *loop.Op // requests under way
	onEnd       func(error)

	placed    map[kernel.AddrKey]bool // what this run added and the kernel keeps no mark of
	inherited []kernel.Route          // unmarked routes of before this run
	ownMTU    int                     // before we changed it, 0 if we did not

	pause  time.Duration // the last one between two repairs
	rested time.Time     // when it ends
	timer  *loop.Timer   // runs until then, if there is something to repair
}

// Apply makes what the daemon owns on a link equal to want: only differences
// are asked of the kernel. done, which may be nil, is called once with the
// outcome, unless another Apply comes before: then it never is. What IPv6 lacks
// is no error there, see [Table.AwaitAddress]: it must not keep a service from
// IPv4. What fails is tried again later, and what somebody takes away is put
// back, until the next Apply.
func (t *Table) Apply(index int, want netcfg.LinkConfig, done func(error)) {
	l, ok := t.links[index]
	if !ok {
		t.answer(done, kernel.ErrNoLink)
		return
	}
	want.Addrs, want.Routes = slices.Clone(want.Addrs), slices.Clone(want.Routes)
	l.want, l.done, l.dirty = &want, done, true
	t.work(l)
}

// SetUp brings a link administratively up or down. done, which may be nil, is
// called once with the outcome, unless another SetUp comes before it began.
func (t *Table) SetUp(index int, up bool, done func(error)) {
	l, ok := t.links[index]
	if !ok {
		t.answer(done, kernel.ErrNoLink)
		return
	}
	l.up, l.upDone = &up, done
	t.work(l)
}

// SetHardwareAddr gives a link another hardware address, in binary, for which it is
// down for a moment. done is called once with the outcome, when the change was
// delivered, unless another SetHardwareAddr comes before it began.
func (t *Table) SetHardwareAddr(index int, addr string, done func(error)) {
	l, ok := t.links[index]
	if !ok {
		t.answer(done, kernel.ErrNoLink)
		return
	}
	l.address, l.addressDone = &addr, done
	t.work(l)
}

// answer calls done, never from within the call that it answers.
func (t *Table) answer(done func(error), err error) {
	if done != nil {
		t.loop.Post("link answer", func() { done(err) })
	}
}

// work starts what is to do next on l, unless something is under way.
func (t *Table) work(l *link) {
	switch {
	case l.busy != nil:
	case l.up != nil:
		t.turn(l)
	case l.address != nil:
		t.readdress(l)
	case l.ipv6.dirty:
		t.turnIPv6(l)
	case l.dirty:
		t.converge(l)
	}
}

// turn brings l up or down.
func (t *Table) turn(l *link) {
	up, done := *l.up, l.upDone
	l.up, l.upDone = nil, nil
	if l.Up == up {
		t.answer(done, nil)
		t.work(l)
		return
	}
	index := l.Index
	t.run(l, []step{{
		what: fmt.Sprintf("set up %t", up),
		do:   func(k kernel.Kernel) error { return k.SetUp(index, up) },
	}}, func(err error) {
		if done != nil {
			done(err)
		}
	})
}

// readdress gives l its new address. It must not stay down, whatever happens.
func (t *Table) readdress(l *link) {
	index, up, address, done := l.Index, l.Up, *l.address, l.addressDone
	l.address, l.addressDone = nil, nil
	t.run(l, []step{{
		what: "change hardware address",
		do: func(k kernel.Kernel) error {
			if !up {
				return k.SetHardwareAddr(index, address)
			}
			if err := k.SetUp(index, false); err != nil {
				return err
			}
			return errors.Join(k.SetHardwareAddr(index, address), k.SetUp(index, true))
		},
	}}, done)
}

// converge makes l what it should be.
func (t *Table) converge(l *link) {
	l.dirty = false
	want := l.want
	finish := func(err error) {
		if l.want != want {
			return // replaced
		}
		done := l.done
		l.done = nil
		if done == nil {
			if err != nil {
				t.log.Warn("cannot configure link", "link", l.Name, "error", err)
			}
			return
		}
		if err == nil && !l.Up && len(want.Routes) > 0 {
			err = fmt.Errorf("cannot add routes: %w", kernel.ErrLinkDown)
		}
		done(err)
	}
	steps := l.plan()
	if len(steps) == 0 {
		t.loop.Post("link answer", func() { finish(nil) })
		return
	}
	t.run(l, steps, finish)
}

// run takes the steps off the loop and waits for what they brought about to be
// delivered.
func (t *Table) run(l *link, steps []step, onEnd func(error)) {
	l.onEnd = onEnd
	l.busy = loop.GoIn(t.requests, "link", func(ctx context.Context) (outcome, error) {
		o, err := t.take(ctx, steps)
		if err != nil {
			return o, err
		}
		return o, t.kernel.Sync(ctx)
	}, func(o outcome, err error) {
		l.busy, l.onEnd = nil, nil
		for _, a := range o.added {
			l.notePlaced(a)
		}
		if o.surprised {
			t.kernel.Refresh()
		}
		if err = errors.Join(o.err, err); err != nil || o.ipv6 != nil {
			l.rest(t.loop.Now())
		}
		if o.ipv6 != nil {
			t.failedIPv6(l, o.ipv6)
		} else {
			l.ipv6.said = ""
		}
		onEnd(err)
		t.work(l)
		t.repair(l)
	})
}

// notePlaced notes an address that the kernel took from us. The kernel does not
// tell of changes while it looks for a duplicate.
func (l *link) notePlaced(a netcfg.Addr) {
	i := l.findAddr(a)
	if i < 0 {
		return
	}
	l.addrs[i].Deprecated, l.addrs[i].Temporaries = a.Deprecated, a.Temporaries
	if l.isOurs(l.addrs[i]) {
		return
	}
	if l.placed == nil {
		l.placed = make(map[kernel.AddrKey]bool)
	}
	l.placed[kernel.Key(a)] = true
}

func (t *Table) take(ctx context.Context, steps []step) (o outcome, err error) {
	for _, s := range steps {
		if ctx.Err() != nil {
			return o, ctx.Err()
		}
		o.note(s, s.do(t.kernel))
	}
	return o, nil
}

// outcome is what came of a series of steps.
type outcome struct {
	added     []netcfg.Addr
	surprised bool // the kernel has something else than we believe
	ipv6      error
	err       error // of everything else
}

func (o *outcome) note(s step, err error) {
	switch {
	case err == nil:
		if s.addr != nil {
			o.added = append(o.added, *s.addr)
		}
	case errors.Is(err, kernel.ErrExists), errors.Is(err, kernel.ErrNotFound):
		o.surprised = true
	case s.may:
	case s.ipv6:
		o.ipv6 = errors.Join(o.ipv6, err)
	default:
		o.err = errors.Join(o.err, err)
	}
}

// repair puts back what l lost, or tries again what failed: at once the first
// time, then after pauses that grow while it goes on.
func (t *Table) repair(l *link) {
	if l.want == nil || l.busy != nil || l.dirty || l.timer != nil {
		return
	}
	steps := l.plan()
	if len(steps) == 0 {
		return
	}
	now := t.loop.Now()
	if wait := l.rested.Sub(now); wait > 0 {
		l.timer = t.loop.After("link repair", wait, func() { l.timer = nil; t.repair(l) })
		return
	}
	l.rest(now)
	t.log.Info("link lacks configuration, applying it again", "link", l.Name, "first", steps[0].what, "steps", len(steps))
	l.dirty = true
	t.work(l)
}

// rest begins a pause, longer than the last one unless that ended long ago.
func (l *link) rest(now time.Time) {
	if now.Sub(l.rested) > lastPause {
		l.pause = 0
	}
	l.pause = min(max(firstPause, 2*l.pause), lastPause)
	l.rested = now.Add(l.pause)
}

// abandon ends all that goes on about a link that is gone.
func (t *Table) abandon(l *link) {
	l.busy.Cancel()
	l.timer.Stop()
	waiting := []func(error){l.onEnd, l.upDone, l.addressDone, l.done, l.ipv6.done}
	l.target = target{}
	for _, done := range waiting {
		t.answer(done, kernel.ErrNoLink)
	}
}

// adopt notes unmarked IPv4 routes that were there before us: those that an
// earlier daemon or the boot left, which named no owner.
func (t *Table) adopt() {
	for _, l := range t.links {
		for _, r := range l.routes {
			if r.Protocol == kernel.ProtocolBoot && r.Dst.Addr().Is4() && (r.IsDefault() || r.Dst.IsSingleIP()) {
				l.inherited = append(l.inherited, r)
			}
		}
	}
}

// setUpLoopback brings the loopback link up if nobody did; the kernel then
// gives it its addresses, and we do if somebody took the IPv4 one away.
func (t *Table) setUpLoopback() {
	lo, ok := t.links[kernel.LoopbackIndex]
	if !ok {
		return
	}
	failed := func(err error) {
		if err != nil {
			t.log.Error("cannot set up the loopback link", "error", err)
		}
	}
	if !lo.Up {
		t.SetUp(lo.Index, true, failed)
		return
	}
	home := netcfg.Addr{Prefix: netip.MustParsePrefix("127.0.0.1/8")}
	if !lo.has(kernel.Key(home)) {
		t.run(lo, []step{lo.addAddr(home)}, failed)
	}
}
