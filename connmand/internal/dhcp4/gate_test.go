package dhcp4

import (
	"testing"
	"testing/synctest"
	"time"

	"net.connman/connmand/internal/core"
)

// crowd starts n clients in one turn.
func (b *bench) crowd(n int) (clients []core.DHCP4Client) {
	b.do(func() {
		for i := range n {
			link := core.Link{Index: 10 + i, Name: "eth", Addr: testMAC[:5] + core.HardwareAddr(rune(i))}
			clients = append(clients, b.clients.Start(core.DHCPRequest{Link: link}, func(e core.DHCPEvent) {
				b.events = append(b.events, e)
			}))
		}
	})
	return clients
}

// A crowd begins a few at a time, at the pace at which servers answer.
func TestCrowdBeginsAtTheServersPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		const n = 100
		b.crowd(n)
		if got := len(b.events); got != n {
			t.Errorf("%d leases without any time passing, want %d", got, n)
		}
	})
}

// Those whose links have no server keep nobody waiting for long.
func TestSilenceDoesNotKeepACrowdWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		b.wire.server = silent
		const n = 15 * gatePlaces
		b.crowd(n)
		if got := len(b.wire.sent); got != gatePlaces {
			t.Errorf("%d messages at once, want %d", got, gatePlaces)
		}
		b.run(14 * gateStay)
		if got := len(b.wire.sent); got != n {
			t.Errorf("%d messages after %v, want one of each", got, 14*gateStay)
		}
	})
}

// Who goes away makes room, inside the gate and before it, once.
func TestLeavingTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		b.wire.server = silent
		clients := b.crowd(3 * gatePlaces)
		b.do(func() {
			for _, c := range clients[:2*gatePlaces] {
				c.Stop(false)
				c.Stop(false)
			}
		})
		if got := len(b.wire.sent); got != 2*gatePlaces {
			t.Errorf("%d messages, want those of the first and the last %d clients", got, gatePlaces)
		}
		b.run(time.Minute)
		if g := b.clients.gate; g.inside != 0 || len(g.waiting) != 0 {
			t.Errorf("%d inside and %d waiting a minute later", g.inside, len(g.waiting))
		}
	})
}

// A stray message for a client that has not begun does not cost it its turn.
func TestWaitingClientHearsStrayMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		b.wire.server = silent
		b.crowd(gatePlaces + 1)
		b.do(func() { b.clients.handle([]inbound{{link: 10 + gatePlaces}}) })
		b.run(gateStay)
		if got := len(b.wire.sent); got != gatePlaces+1 {
			t.Errorf("%d messages, want one of each client", got)
		}
	})
}
