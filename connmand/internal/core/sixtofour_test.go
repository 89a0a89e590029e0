package core

import (
	"net/netip"
	"testing"

	"net.connman/pkg/netcfg"
)

// inTunnelWorld is a world where 6to4 is wanted and no router speaks on eth0.
func inTunnelWorld(t *testing.T, test func(*world)) {
	cfg := defaults()
	cfg.Enable6to4 = true
	inWorld6(t, cfg, func(w *world) {
		w.plug("eth0")
		w.do(func() { w.routers["eth0"].report(RoutersNoAnswer{}) })
		test(w)
	})
}

func (w *world) tunnelOpens() {
	w.t.Helper()
	if w.links.tunnelDone == nil {
		w.t.Fatal("no tunnel is wanted")
	}
	w.do(func() { w.links.tunnelDone(Link{Index: tunnelIndex, Name: "tun6to4"}, nil) })
}

// A public IPv4 address without IPv6 routers makes a tunnel, which counts as the
// service's IPv6 until a router speaks up.
func TestSixToFour(t *testing.T) {
	inTunnelWorld(t, func(w *world) {
		w.bind("eth0", lease("198.51.100.7/24", "198.51.100.1"))
		w.tunnelOpens()
		s := w.service("eth0")
		method, config, connected := s.IPv6()
		if method != IPv6To4 || config.Address.String() != "2002:c633:6407::1/64" || config.Gateway.String() != "::c058:6301" || !connected {
			t.Fatalf("shown %s %+v %v", method, config, connected)
		}
		if s.IPv6Configuration().Method != IPv6Auto {
			t.Fatal("the settings changed")
		}
		for _, r := range w.links.configs[tunnelIndex].Routes {
			if r.Metric < metricLow {
				t.Errorf("%v is in the way of a native route", r)
			}
		}
		if p := w.probes["eth0 ipv6"]; p != nil {
			t.Fatal("checked through the wrong link")
		}
		if p := w.probes["tun6to4 ipv6"]; p == nil || p.req.Source != config.Address.Addr() {
			t.Fatalf("probes %v", w.probes)
		}
		w.hear("eth0", routerInfo(announced6(home6)))
		if method, config, _ := s.IPv6(); w.links.tunnel.IsValid() || method != IPv6Auto || config.Address.Addr() != slaac6 {
			t.Fatalf("tunnel %v, shown %s %+v", w.links.tunnel, method, config)
		}
		w.wantState("eth0", Ready)
	})
}

// The tunnel follows the IPv4 address.
func TestSixToFourFollowsIPv4(t *testing.T) {
	inTunnelWorld(t, func(w *world) {
		w.bind("eth0", lease("198.51.100.7/24", "198.51.100.1"))
		w.tunnelOpens()
		w.bind("eth0", lease("198.51.100.8/24", "198.51.100.1"))
		if _, _, connected := w.service("eth0").IPv6(); connected || w.links.tunnel.String() != "198.51.100.8" {
			t.Fatalf("tunnel from %v, connected %v", w.links.tunnel, connected)
		}
		w.tunnelOpens()
		w.do(func() { w.dhcp["eth0"].report(DHCPLost{}) })
		w.wantState("eth0", Configuration)
		if w.links.tunnel.IsValid() {
			t.Fatal("still there without the address")
		}
		w.bind("eth0", lease("198.51.100.8/24", "198.51.100.1"))
		w.tunnelOpens()
		w.unplug("eth0")
		if w.links.tunnel.IsValid() || len(w.links.configs[tunnelIndex].Addrs) > 0 {
			t.Fatal("still there without the cable")
		}
	})
}

// One that cannot be had, or is not wanted, changes nothing.
func TestNoSixToFour(t *testing.T) {
	inTunnelWorld(t, func(w *world) {
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		if w.links.tunnel.IsValid() {
			t.Fatal("from a private address")
		}
		w.bind("eth0", lease("198.51.100.7/24", "198.51.100.1"))
		w.do(func() { w.links.tunnelDone(Link{}, errBroken) })
		w.wantState("eth0", Ready)
		w.bind("eth0", lease("198.51.100.8/24", "198.51.100.1"))
		w.tunnelOpens()
		w.do(func() { _ = w.service("eth0").SetIPv6(IPv6Settings{Method: IPv6Off}) })
		if w.links.tunnel.IsValid() {
			t.Fatal("though IPv6 is off")
		}
		w.wantState("eth0", Ready)
	})
}

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "198.51.100.7": true, "172.32.0.1": true, "100.128.0.1": true,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.3.4": false, "169.254.1.1": false,
		"127.0.0.1": false, "100.64.0.1": false, "224.0.0.1": false, "240.0.0.1": false, "0.1.2.3": false, "2001:db8::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if public(netip.Addr{}) || public((netcfg.IPConfig{}).Address.Addr()) {
		t.Error("no address")
	}
}
