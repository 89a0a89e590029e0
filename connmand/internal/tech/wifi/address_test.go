package wifi

import (
	"testing"
	"testing/synctest"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/tech/techtest"
)

// provisionAddress has a network of a file see an address of this kind.
func provisionAddress(w *techtest.World, ssid string, policy core.AddressPolicy) {
	w.Do(func() {
		w.Manager.SetSpecs([]core.ServiceSpec{{File: "f", Entry: "e", Type: core.Wifi,
			Wifi: &core.WifiSpec{SSID: ssid, Security: "none", Address: policy}}})
	})
}

// Networks see the address that they are to see, and services keep their names.
func TestAddressPolicy(t *testing.T) {
	const own = "\x02\x00\x00\x00\x00w"
	for _, c := range []struct {
		policy        core.AddressPolicy
		first, second string
	}{
		{"", own, own},
		{core.AddressPermanent, own, own},
		{core.AddressStable, "\x02homew", "\x02homew"},
		{core.AddressRandom, "\x06rand1", "\x06rand2"},
	} {
		techtest.Run(t, func(w *techtest.World) {
			r := newRadio(w)
			provisionAddress(w, "home", c.policy)
			a := r.plug("wlan0")
			a.appear(accessPoint("home", -50))
			s := r.service()
			link := func() string { return r.kernel.Link(r.links["wlan0"].Index).HardwareAddr }
			wantState(t, r, s, core.Configuration)
			if link() != c.first || s.ID() != "wifi_020000000077_686f6d65_managed_none" {
				t.Errorf("%s: %s sees %q, want %q", c.policy, s.ID(), link(), c.first)
			}
			w.Do(func() {
				if got := s.Device(); got.Link.Addr != core.HardwareAddr(c.first) || got.Permanent != own {
					t.Errorf("%s: the device is %+v", c.policy, got)
				}
			})
			w.Do(func() { s.Disconnect(func(error) {}) })
			w.Do(func() { s.Connect("", func(error) {}) })
			if wantState(t, r, s, core.Configuration); link() != c.second {
				t.Errorf("%s: later sees %q, want %q", c.policy, link(), c.second)
			}
			off := ""
			w.Do(func() { w.Manager.Technology(core.Wifi).SetPowered(false, func(error) { off = link() }) })
			if synctest.Wait(); off != own {
				t.Errorf("%s: switched off it is %q", c.policy, off)
			}
		})
	}
}

// Where the address cannot be changed, the network gets to see none.
func TestAddressStays(t *testing.T) {
	for name, hinder := range map[string]func(*radio){
		"refused": func(r *radio) {
			r.kernel.Fail(func(request string) error {
				if len(request) > 12 && request[:12] == "set hardware" {
					return kernel.ErrPermission
				}
				return nil
			})
		},
		"unknown": func(r *radio) { r.nameless = true },
	} {
		techtest.Run(t, func(w *techtest.World) {
			r := newRadio(w)
			hinder(r)
			provisionAddress(w, "home", core.AddressRandom)
			a := r.plug("wlan0")
			a.appear(accessPoint("home", -50))
			s := r.service()
			wantState(t, r, s, core.Failed)
			if n := r.count("SelectNetwork"); n != 0 {
				t.Errorf("%s: joined %d times", name, n)
			}
		})
	}
}

// A supplicant that forgets what it heard while the adapter was off for a moment
// does not make services come and go; what is gone indeed goes with the next scan.
func TestSupplicantForgets(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		gone := 0
		w.Changed = func(c core.Change) {
			if c.Kind == core.ServiceRemoved {
				gone++
			}
		}
		r := newRadio(w)
		a := r.plug("wlan0")
		r.kernel.Fail(func(request string) error {
			if len(request) > 12 && request[:12] == "set hardware" {
				a.forget()
			}
			return nil
		})
		provisionAddress(w, "home", core.AddressStable)
		a.appear(accessPoint("work", -60, "wpa-psk"))
		a.appear(accessPoint("home", -50))
		synctest.Wait()
		a.appear(accessPoint("home", -50))
		synctest.Wait()
		if gone != 0 || r.count("SelectNetwork") != 1 {
			t.Errorf("%d services gone, joined %d times", gone, r.count("SelectNetwork"))
		}
		w.Do(func() { w.Manager.Technology(core.Wifi).Scan(func(error) {}) })
		synctest.Wait()
		if s := r.service(); s.Name() != "home" || gone != 1 {
			t.Errorf("%s is left, %d services gone", s.Name(), gone)
		}
	})
}
