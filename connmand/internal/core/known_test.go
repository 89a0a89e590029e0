package core

import (
	"fmt"
	"net/netip"
	"testing"
)

// With the configuration's leave a network is known again through another
// adapter, until the user has it forgotten.
func TestSettingsFollowNetwork(t *testing.T) {
	const old, id = "wifi_020000000001_686f6d65_managed_psk", "wifi_020000000009_686f6d65_managed_psk"
	for _, follow := range []bool{true, false} {
		auto := true
		store := &fakeStore{services: map[string]ServiceSettings{old: {
			Favorite: true, AutoConnect: &auto, SSID: "home", Passphrase: "saved before",
			Nameservers: []string{"192.0.2.1"}, IPv4: IPv4Settings{LastAddress: netip.MustParseAddr("10.0.0.2")},
		}}}
		cfg := defaults()
		cfg.SettingsFollowNetwork = follow
		inWorldWith(t, cfg, store, func(w *world) {
			a := w.radio()
			n := a.hear("home", SecurityPSK)
			if !follow {
				if s := n.service; len(a.joined) != 0 || s.Favorite() || s.settings.Passphrase != "" {
					t.Errorf("attempts %v, favourite %t", a.joined, s.Favorite())
				}
				return
			}
			if got := fmt.Sprint(a.joined); got != "[home saved before]" {
				t.Fatalf("attempts %s", got)
			}
			if last := w.dhcp["wlan0"].req.Last; last.IsValid() {
				t.Errorf("asks for the other adapter's %s", last)
			}
			w.bind("wlan0", lease("10.0.0.3/24", "10.0.0.1"))
			if saved := store.services[id]; saved.Passphrase != "saved before" || len(saved.Nameservers) != 1 {
				t.Errorf("saved %+v", saved)
			}
			w.do(func() { _ = n.service.Remove() })
			if len(store.services) != 0 {
				t.Errorf("after it was forgotten: %v", store.services)
			}
		})
	}
}

// Where a network was found is remembered, to look there first.
func TestFrequencies(t *testing.T) {
	store := &fakeStore{services: map[string]ServiceSettings{
		"wifi_020000000009_6f6c64_managed_none": {Favorite: true, SSID: "old", Frequency: 5180},
	}}
	inWorldWith(t, defaults(), store, func(w *world) {
		a := w.radio()
		for _, mhz := range []int{2412, 5180, 0} {
			n := a.hear("home", SecurityNone)
			w.do(func() { n.SetAccessPoint(AccessPoint{Frequency: mhz}) })
			if n.service.State() == Idle {
				w.connect(n)
			}
			w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
			w.do(n.Remove)
		}
		if got := fmt.Sprint(w.m.Frequencies()); got != "[5180 2412]" {
			t.Errorf("frequencies %s", got)
		}
		if got := store.services["wifi_020000000009_686f6d65_managed_none"].Frequency; got != 5180 {
			t.Errorf("saved %d MHz", got)
		}
	})
}

// Which address a network sees, its file says, or else its settings, or else the
// configuration.
func TestAddressPolicy(t *testing.T) {
	for _, c := range []struct{ configured, saved, provisioned, want AddressPolicy }{
		{want: AddressPermanent},
		{configured: AddressStable, want: AddressStable},
		{configured: AddressStable, saved: AddressRandom, want: AddressRandom},
		{configured: AddressStable, saved: AddressRandom, provisioned: AddressPermanent, want: AddressPermanent},
	} {
		cfg := defaults()
		cfg.AddressPolicy = c.configured
		auto := true
		store := &fakeStore{services: map[string]ServiceSettings{
			"wifi_020000000009_686f6d65_managed_none": {Favorite: true, AutoConnect: &auto, SSID: "home", Address: c.saved},
		}}
		inWorldWith(t, cfg, store, func(w *world) {
			a := w.radio()
			var seen AddressPolicy
			a.outcome = func(_ string, c Credentials) error { seen = c.Address; return nil }
			if c.provisioned != "" {
				w.do(func() {
					w.m.SetSpecs([]ServiceSpec{{File: "f", Entry: "e", Type: Wifi,
						Wifi: &WifiSpec{SSID: "home", Security: "none", Address: c.provisioned}}})
				})
			}
			a.hear("home", SecurityNone)
			if seen != c.want {
				t.Errorf("%+v: seen %q", c, seen)
			}
		})
	}
}

// A file that names the adapter by its own address is about it whichever address
// it shows.
func TestProvisionedByPermanentAddress(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		w.do(func() {
			info := a.device.Info()
			info.Permanent, info.Link.Addr = info.Link.Addr, "\x06\x01\x02\x03\x04\x05"
			a.device.Update(info)
			w.m.SetSpecs([]ServiceSpec{{File: "f", Entry: "e", Type: Wifi, MAC: info.Permanent,
				Wifi: &WifiSpec{SSID: "home", Security: "none"}}})
		})
		if s := a.hear("home", SecurityNone).service; !s.Immutable() {
			t.Error("the file is not about the service")
		}
	})
}
