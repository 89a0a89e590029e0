package core

import (
	"net/netip"
	"testing"
	"time"
)

// Prefixes are asked for where a technology is remembered to tether and may.
func TestWhoAsksForPrefixes(t *testing.T) {
	for _, test := range []struct {
		name       string
		persistent bool
		may        []Type
		tethers    bool
		want       bool
	}{
		{"remembered", true, []Type{Wifi, Ethernet}, true, true},
		{"not remembered", true, []Type{Wifi, Ethernet}, false, false},
		{"may not", true, []Type{Wifi}, true, false},
		{"not resumed", false, []Type{Ethernet}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := defaults()
			cfg.PersistentTethering, cfg.Tethering = test.persistent, test.may
			inWorld6(t, cfg, func(w *world) {
				w.do(func() {
					w.m.global.Technologies[Ethernet] = TechnologySettings{Enable: true, Tethering: test.tethers}
				})
				w.plug("eth0")
				info := routerInfo()
				info.Managed = true
				w.hear("eth0", info)
				if got := w.dhcp6["eth0"].req.Prefixes; got != test.want {
					t.Errorf("asks for prefixes: %t", got)
				}
			})
		})
	}
}

// A service knows its prefixes and how long they may still be used.
func TestDelegatedPrefixes(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		info := routerInfo(announced6(home6))
		info.Managed = true
		w.hear("eth0", info)
		dhcp := w.dhcp6["eth0"]
		one, two := netip.MustParsePrefix("2001:db8:100::/56"), netip.MustParsePrefix("2001:db8:200::/56")
		w.do(func() {
			dhcp.report(DHCP6Bound{Lease: Lease6{Prefixes: []DelegatedPrefix{{one, time.Minute, time.Hour}, {two, 0, Forever}}}})
		})
		w.sleep(10 * time.Minute)
		s := w.service("eth0")
		var list []DelegatedPrefix
		w.do(func() { list = s.DelegatedPrefixes() })
		want := []DelegatedPrefix{{one, 0, 50 * time.Minute}, {two, 0, Forever}}
		if len(list) != 2 || list[0] != want[0] || list[1] != want[1] {
			t.Errorf("prefixes %v, want %v", list, want)
		}
		w.do(func() { dhcp.report(DHCP6Lost{}) })
		w.do(func() { list = s.DelegatedPrefixes() })
		if len(list) != 0 {
			t.Errorf("prefixes %v of a lease that is lost", list)
		}
	})
}

// What a server no longer lets the machine use is out of use at once, also while
// it is asked for again.
func TestLostLeaseIsTakenAway(t *testing.T) {
	inWorld6(t, defaults(), func(w *world) {
		w.plug("eth0")
		info := routerInfo()
		info.Managed = true
		w.hear("eth0", info)
		dhcp := w.dhcp6["eth0"]
		w.do(func() {
			dhcp.report(DHCP6Bound{Lease: Lease6{Addresses: []LeasedAddress{{netip.MustParseAddr("2001:db8:1::100"), time.Hour, time.Hour}}}})
		})
		if w.links.configs[2].KeepIPv6 {
			t.Error("an earlier run's addresses stay beside the lease")
		}
		w.do(func() { dhcp.report(DHCP6Lost{}) })
		w.wantAddrs("eth0", "")
		if w.links.configs[2].KeepIPv6 || dhcp.stopped {
			t.Errorf("address is kept: %t; client stopped: %t", w.links.configs[2].KeepIPv6, dhcp.stopped)
		}
	})
}
