package core

import (
	"errors"
	"net/netip"
	"testing"
)

func TestProvisioningAppliesChangesAndEnds(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		s := w.service("eth0")
		spec := ServiceSpec{
			File: "office", Entry: "lan", Type: Ethernet, DeviceName: "eth0",
			IPv4:        &IPv4Settings{Method: IPv4Manual, Address: netip.MustParsePrefix("10.0.0.60/24"), Gateway: netip.MustParseAddr("10.0.0.1")},
			Nameservers: []string{"10.0.0.2"},
		}
		w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
		w.sleep(dnsInterval)
		if !s.Immutable() || w.links.configs[2].Addrs[0].Prefix.Addr().String() != "10.0.0.60" {
			t.Fatalf("immutable %v, link %v", s.Immutable(), w.links.configs[2])
		}
		if got := w.dns[0].DNS.Servers[0].String(); got != "10.0.0.2" {
			t.Fatalf("name server %s", got)
		}
		if got := s.Settings().Nameservers; len(got) != 0 {
			t.Fatalf("the file's name servers pass for the user's: %v", got)
		}
		w.do(func() {
			if err := s.SetIPv4(IPv4Settings{Method: IPv4DHCP}); !errors.Is(err, ErrNotSupported) {
				t.Errorf("changing an immutable service: %v", err)
			}
		})
		applied := w.links.applied
		w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
		if w.links.applied != applied {
			t.Fatal("the same specification again touched the link")
		}
		w.do(func() { w.m.SetSpecs(nil) })
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		if s.Immutable() || s.IPv4Configuration().Method != IPv4DHCP || w.store.services[s.ID()].ConfigFile != "" {
			t.Fatal("the specification outlived its file")
		}
	})
}

// A group that names no link is about one service, not about every cable.
func TestUnspecificGroupTakesOneService(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		w.online("eth1", "10.1.0.7/24", "10.1.0.1")
		w.do(func() {
			w.m.SetSpecs([]ServiceSpec{
				{File: "any", Entry: "x", Type: Ethernet, Timeservers: []string{"t.test"}},
				{File: "eth0", Entry: "y", Type: Ethernet, DeviceName: "eth0"},
			})
		})
		if got := w.service("eth1").Settings(); got.ConfigFile != "any" {
			t.Fatalf("eth1 was made by %q", got.ConfigFile)
		}
		if got := w.service("eth0").Settings(); got.ConfigFile != "eth0" {
			t.Fatalf("eth0 was made by %q", got.ConfigFile)
		}
	})
}
