package ipv4ll

import (
	"net/netip"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

// Claims runs link-local clients. It belongs to the loop.
type Claims struct {
	loop      *loop.Loop
	conflicts core.ConflictDetector
}

var _ core.LinkLocal = (*Claims)(nil)

// New returns a driver that has conflicts probe and defend its addresses.
func New(l *loop.Loop, conflicts core.ConflictDetector) *Claims {
	return &Claims{loop: l, conflicts: conflicts}
}

// claim is one running machine.
type claim struct {
	all     *Claims
	link    core.Link
	report  func(core.LinkLocalEvent)
	m       machine
	timer   *loop.Timer
	watch   core.ConflictWatch
	watched netip.Addr
	ended   bool
}

// Start begins to claim an address, which takes four to seven seconds when the
// first one is free.
func (d *Claims) Start(link core.Link, last netip.Addr, report func(core.LinkLocalEvent)) core.LinkLocalClient {
	c := &claim{all: d, link: link, report: report, m: newMachine(link)}
	c.step(begin{last})
	return c
}

// Stop gives the address up.
func (c *claim) Stop() {
	c.ended = true
	c.timer.Stop()
	c.unwatch()
}

func (c *claim) unwatch() {
	if c.watch != nil {
		c.watch.Stop()
		c.watch = nil
	}
}

func (c *claim) step(e event) {
	now := c.all.loop.Now()
	event := c.m.Step(now, e)
	c.timer.Stop()
	if !c.m.next.IsZero() {
		c.timer = c.all.loop.After("link-local", c.m.next.Sub(now), func() { c.step(tick{}) })
	}
	if event != nil {
		c.report(event)
	}
	if !c.ended {
		c.hold()
	}
}

// hold watches the machine's address.
func (c *claim) hold() {
	if c.m.address == c.watched {
		return
	}
	c.unwatch()
	if c.watched = c.m.address; !c.watched.IsValid() {
		return
	}
	c.watch = c.all.conflicts.Watch(c.link, c.watched, func(e core.ConflictEvent) {
		switch e := e.(type) {
		case core.AddressFree:
			c.step(free{})
		case core.AddressTaken:
			c.step(taken{e.Conflict})
		}
	})
}
