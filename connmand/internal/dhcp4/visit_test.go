package dhcp4

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"net.connman/connmand/internal/core"
)

const routerMAC = core.HardwareAddr("\x02\x00\x00\x00\x00\x99")

// routedServer gives leases that name a router.
func routedServer(s sent) [][]byte {
	kinds := map[kind]kind{discover: offer, request: ack}
	if kinds[s.kind()] == 0 {
		return nil
	}
	router := dhcpv4.OptRouter(netip.MustParseAddr("10.0.0.1").AsSlice())
	return [][]byte{s.answer(kinds[s.kind()], serverOne, addrOne, leaseTime(time.Hour), router)}
}

// neighbours answer for routers.
type neighbours struct {
	at    core.HardwareAddr // who answers, "" for nobody
	asked []string
}

func (n *neighbours) find(b *bench) func(core.Link, netip.Addr, core.HardwareAddr, func(core.HardwareAddr)) func() {
	return func(_ core.Link, who netip.Addr, at core.HardwareAddr, found func(core.HardwareAddr)) func() {
		n.asked = append(n.asked, fmt.Sprintf("%s at %x", who, string(at)))
		cancelled := false
		if n.at != "" {
			b.loop.Post("neighbour", func() {
				if !cancelled {
					found(n.at)
				}
			})
		}
		return func() { cancelled = true }
	}
}

// A network that the machine comes back to is recognized by its router, and the
// lease is used before any server says a word; another network is not.
func TestRouterRecognized(t *testing.T) {
	for name, c := range map[string]struct {
		network string
		router  core.HardwareAddr
		release bool
		away    time.Duration
		want    bool
	}{
		"back":               {network: "home", router: routerMAC, want: true},
		"another network":    {network: "work", router: routerMAC},
		"another router":     {network: "home", router: "\x02\x00\x00\x00\x00\x98"},
		"no router":          {network: "home"},
		"lease is given up":  {network: "home", router: routerMAC, release: true},
		"lease has expired":  {network: "home", router: routerMAC, away: 48 * time.Hour},
		"a cable, who knows": {network: "", router: routerMAC},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, "", false)
				b.wire.server = routedServer
				n := &neighbours{at: routerMAC}
				b.clients.cfg.Find = n.find(b)
				first := "home"
				if c.network == "" {
					first = ""
				}
				client := b.start(core.DHCPRequest{Link: testLink, Network: first})
				b.run(time.Second)
				b.do(func() { client.Stop(c.release) })
				b.run(c.away)
				b.wire.server = silent
				n.at, b.events = c.router, nil
				b.start(core.DHCPRequest{Link: testLink, Network: c.network, Last: addrOne})
				bound, got := core.DHCPBound{}, false
				if len(b.events) > 0 {
					bound, got = b.events[0].(core.DHCPBound)
				}
				if got != c.want || got && bound.Lease.IP.Address.Addr() != addrOne {
					t.Errorf("events %v, want a lease at once: %t; asked %v", b.events, c.want, n.asked)
				}
				if last := b.wire.sent[len(b.wire.sent)-1]; last.kind() != request {
					t.Errorf("the server was asked with %v", last.kind())
				}
			})
		})
	}
}

// What is used before it is confirmed is given up when the server says no.
func TestRecognizedButRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		b.wire.server = routedServer
		n := &neighbours{at: routerMAC}
		b.clients.cfg.Find = n.find(b)
		client := b.start(core.DHCPRequest{Link: testLink, Network: "home"})
		b.run(time.Second)
		b.do(func() { client.Stop(false) })
		b.wire.server = silent
		b.events = nil
		b.start(core.DHCPRequest{Link: testLink, Network: "home", Last: addrOne})
		b.wire.server = nakAll
		b.run(time.Minute)
		if len(b.events) < 2 {
			t.Fatalf("events %v", b.events)
		}
		_, bound := b.events[0].(core.DHCPBound)
		_, lost := b.events[1].(core.DHCPLost)
		if !bound || !lost {
			t.Errorf("events %v, want a lease and its loss", b.events)
		}
	})
}

// Not every network is remembered for ever.
func TestVisitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "", false)
		b.wire.server = routedServer
		n := &neighbours{at: routerMAC}
		b.clients.cfg.Find = n.find(b)
		for i := range 2 * maxVisits {
			client := b.start(core.DHCPRequest{Link: testLink, Network: fmt.Sprint(i)})
			b.run(time.Second)
			b.do(func() { client.Stop(false) })
		}
		_, newest := b.clients.visits[fmt.Sprint(2*maxVisits-1)]
		if len(b.clients.visits) != maxVisits || !newest {
			t.Errorf("%d remembered, the newest: %t", len(b.clients.visits), newest)
		}
	})
}
