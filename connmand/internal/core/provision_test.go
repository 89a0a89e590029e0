package core

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"net.connman/pkg/logx"
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

// Provisioned networks need no user.
func TestProvisionedWireless(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.do(func() {
			w.m.SetSpecs([]ServiceSpec{
				{File: "f", Entry: "a", Type: Wifi, Wifi: &WifiSpec{SSID: "home", Security: "psk", Passphrase: "from the file"}},
				{File: "f", Entry: "b", Type: Wifi, Wifi: &WifiSpec{SSID: "lair", Security: "none", Hidden: true}},
			})
		})
		a := w.radio()
		a.hear("home", SecurityNone) // another one of that name
		n := a.hear("home", SecurityPSK)
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		if !n.service.Immutable() || fmt.Sprint(a.joined) != "[home from the file]" {
			t.Errorf("immutable %t, attempts %v", n.service.Immutable(), a.joined)
		}
		if saved := w.store.services[n.service.ID()]; saved.Passphrase != "" {
			t.Error("the file's passphrase was copied")
		}
		if fmt.Sprint(w.m.HiddenSSIDs()) != "[lair]" {
			t.Errorf("asks for %v", w.m.HiddenSSIDs())
		}
	})
}

// A passphrase that a file changes serves at once: the network is joined anew, and
// does not wait for its turn when the old one was wrong. With the file goes the way in.
func TestProvisionedAnew(t *testing.T) {
	provision := func(w *world, passphrase logx.Secret) {
		w.do(func() {
			w.m.SetSpecs([]ServiceSpec{{File: "f", Entry: "a", Type: Wifi,
				Wifi: &WifiSpec{SSID: "home", Security: "psk", Passphrase: passphrase}}})
		})
	}
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		a.outcome = func(string, Credentials) error { return ErrRejected }
		n := a.hear("home", SecurityPSK)
		s := n.service
		provision(w, "tiny")
		if len(a.joined) != 0 || s.Why() != "a passphrase" {
			t.Errorf("attempts %v with what cannot be one; waits for %s", a.joined, s.Why())
		}
		provision(w, "out of date")
		w.sleep(2 * time.Hour)
		attempts := len(a.joined)
		a.outcome = func(string, Credentials) error { return nil }
		provision(w, "the right one")
		if len(a.joined) != attempts+1 {
			t.Fatalf("%d attempts at once, %s", len(a.joined)-attempts, s.Why())
		}
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		provision(w, "the next one")
		if last := a.joined[len(a.joined)-1]; last != "home the next one" {
			t.Fatalf("state %s after %s", s.State(), last)
		}
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		attempts = len(a.joined)
		provision(w, "the next one")
		w.do(func() { w.m.SetSpecs(nil) })
		w.sleep(time.Hour)
		if _, stored := w.store.services[s.ID()]; stored || s.State() != Idle || s.Favorite() || s.Immutable() || len(a.joined) != attempts {
			t.Errorf("without the file: %s, favorite %t, immutable %t, attempts %v", s.State(), s.Favorite(), s.Immutable(), a.joined[attempts:])
		}
	})
}

// A hidden network that a file names anew is looked for at once.
func TestProvisionedHiddenIsSought(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		spec := ServiceSpec{File: "f", Entry: "b", Type: Wifi, Wifi: &WifiSpec{SSID: "lair", Security: "none", Hidden: true}}
		w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
		w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
		if got := fmt.Sprint(a.scanned); got != "[lair]" {
			t.Errorf("scanned for %s, want once for lair", got)
		}
	})
}
