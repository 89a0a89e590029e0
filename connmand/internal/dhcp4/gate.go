package dhcp4

import (
	"time"

	"net.connman/pkg/loop"
)

// How many clients begin together, and how long one keeps its place when
// nobody answers it.
const (
	gatePlaces = 4
	gateStay   = 20 * time.Millisecond
)

// gate lets clients begin a few at a time. Where hundreds of links lead to one
// switch, each broadcast comes out of every port: all of them at once overflow
// the queues on the way, and what is lost is sent again into the same flood.
// It also keeps a crowd of links from holding the loop.
type gate struct {
	loop    *loop.Loop
	inside  int
	waiting []*pass
}

// pass is a client's way through the gate.
type pass struct {
	gate  *gate
	begin func()
	stay  *loop.Timer // while inside
	left  bool
}

// enter calls begin as soon as there is a place.
func (g *gate) enter(begin func()) *pass {
	p := &pass{gate: g, begin: begin}
	if g.inside < gatePlaces {
		g.admit(p)
	} else {
		g.waiting = append(g.waiting, p)
	}
	return p
}

func (g *gate) admit(p *pass) {
	g.inside++
	p.stay = g.loop.After("dhcp gate", gateStay, p.leave)
	p.begin()
}

// leave gives up the place, or the wait for one, for somebody else.
func (p *pass) leave() {
	if p == nil || p.left {
		return
	}
	p.left = true
	if p.stay == nil {
		return
	}
	p.stay.Stop()
	p.gate.inside--
	p.gate.loop.Post("dhcp gate", p.gate.next)
}

func (g *gate) next() {
	for g.inside < gatePlaces && len(g.waiting) > 0 {
		p := g.waiting[0]
		g.waiting = g.waiting[1:]
		if !p.left {
			g.admit(p)
		}
	}
}
