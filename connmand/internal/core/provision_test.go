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

// A machine that is a USB gadget is provisioned like one with a cable, and
// connects, which gadgets do not by themselves.
func TestProvisionedGadget(t *testing.T) {
	cfg := defaults()
	cfg.DefaultEnabled = []Type{Gadget}
	inWorld(t, cfg, func(w *world) {
		w.do(func() {
			info := DeviceInfo{Type: Gadget, Link: Link{Index: 5, Name: "usb0", Addr: "\x02\x00\x00\x00\x00\x05"}}
			w.devices["usb0"] = w.m.AddDevice(info, poweredDevice{})
		})
		w.cable("usb0")
		address := netip.MustParsePrefix("10.0.0.60/24")
		spec := ServiceSpec{File: "usb", Entry: "x", IPv4: &IPv4Settings{Method: IPv4Manual, Address: address}}
		for _, kind := range []Type{Ethernet, Gadget} {
			spec.Type = kind
			w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
			if s := w.service("usb0"); s.Immutable() != (kind == Gadget) {
				t.Errorf("a group for %s: immutable %v", kind, s.Immutable())
			}
		}
		w.wantState("usb0", Ready)
		if addrs := w.links.configs[5].Addrs; len(addrs) != 1 || addrs[0].Prefix != address {
			t.Errorf("the link has %v", addrs)
		}
	})
}

// A file is reason enough to connect a cable where cables do not connect by
// themselves, until the user disconnects it; where they do, AutoConnect counts.
func TestProvisionedCableConnects(t *testing.T) {
	for _, tt := range []struct {
		byDefault []Type
		saved     bool // AutoConnect
		want      State
	}{
		{[]Type{Wifi}, false, Configuration},
		{[]Type{Ethernet}, false, Idle},
		{[]Type{Ethernet}, true, Configuration},
	} {
		cfg := defaults()
		cfg.DefaultAutoConnect = tt.byDefault
		store := &fakeStore{services: map[string]ServiceSettings{
			"ethernet_020000000002_cable": {AutoConnect: &tt.saved, ConfigFile: "office", ConfigEntry: "lan"},
		}}
		inWorldWith(t, cfg, store, func(w *world) {
			w.plug("eth0")
			spec := ServiceSpec{File: "office", Entry: "lan", Type: Ethernet}
			w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
			w.wantState("eth0", tt.want)
			w.do(func() { w.service("eth0").Disconnect(func(error) {}) })
			spec.SearchDomains = []string{"office.test"}
			w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
			w.wantState("eth0", Idle)
		})
	}
}

// What a file made of a service in an earlier run holds until the files have been
// read: nothing is undone for a moment.
func TestSavedProvisioningStaysUntilFilesAreRead(t *testing.T) {
	auto := false
	saved := ServiceSettings{
		AutoConnect: &auto, ConfigFile: "office", ConfigEntry: "lan",
		IPv4: IPv4Settings{Method: IPv4Manual, Address: netip.MustParsePrefix("10.0.0.60/24")},
	}
	store := &fakeStore{services: map[string]ServiceSettings{"ethernet_020000000002_cable": saved}}
	inWorldWith(t, defaults(), store, func(w *world) {
		w.plug("eth0")
		if s := w.service("eth0"); s.Settings().ConfigFile != "office" || *s.Settings().AutoConnect || s.IPv4Configuration().Method != IPv4Manual {
			t.Errorf("before the files were read: %+v", s.Settings())
		}
		spec := ServiceSpec{File: "office", Entry: "lan", Type: Ethernet, IPv4: &saved.IPv4}
		w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
		if s := w.service("eth0"); !s.Immutable() || *s.Settings().AutoConnect {
			t.Errorf("afterwards: immutable %v, %+v", s.Immutable(), s.Settings())
		}
		w.do(func() { w.m.SetSpecs(nil) })
		if s := w.service("eth0"); s.Immutable() || s.Settings().ConfigFile != "" {
			t.Errorf("without the file: immutable %v, %+v", s.Immutable(), s.Settings())
		}
	})
}
