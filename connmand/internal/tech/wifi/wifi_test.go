package wifi

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/tech/techtest"
	"net.connman/pkg/api/properties"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	techtest.Suite(t, func(w *techtest.World) techtest.Hardware {
		r := newRadio(w)
		heard := map[string]bus.ObjectPath{}
		return techtest.Hardware{
			Type:   core.Wifi,
			Appear: func(name string) { r.plug(name) },
			Vanish: func(name string) { r.kernel.RemoveLink(r.links[name].Index) },
			SetNetwork: func(name string, there bool) {
				a := r.adapter(name)
				switch {
				case a == nil:
				case there && a.bsss[heard[name]] == nil:
					heard[name] = a.appear(accessPoint("home", -50))
				case !there:
					a.vanish(heard[name])
				}
			},
			On:   func(name string) bool { return r.adapter(name) != nil },
			Kill: r.kill, Revive: r.revive,
		}
	})
}

// wantState waits until nothing moves and compares the service's state.
func wantState(t *testing.T, r *radio, s *core.Service, want core.State) {
	t.Helper()
	synctest.Wait()
	r.w.Do(func() {
		if got := s.State(); got != want {
			t.Errorf("the service is %s, want %s", got, want)
		}
	})
}

// Somebody takes the adapter from the supplicant: it gets it back.
func TestSupplicantLosesAdapter(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		a := r.plug("wlan0")
		a.appear(accessPoint("home", -50))
		r.mu.Lock()
		delete(r.adapters, a.path)
		r.mu.Unlock()
		r.emit(rootPath, supplicant.InterfaceWpaSupplicant1, "InterfaceRemoved", bus.ObjectPath("/somebody/else"))
		r.emit(rootPath, supplicant.InterfaceWpaSupplicant1, "InterfaceRemoved", a.path)
		synctest.Wait()
		again := r.adapter("wlan0")
		if again == nil || again == a {
			t.Fatal("the supplicant does not have the adapter back")
		}
		again.appear(accessPoint("home", -50))
		s := r.service()
		w.Do(func() { s.Connect("", func(error) {}) })
		wantState(t, r, s, core.Configuration)
	})
}

// What appears on the air becomes services, named as the C implementation does;
// access points of one network are one service, as strong as the strongest.
func TestServices(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		r.selected = func(*fakeAdapter) {} // nobody is let in
		a := r.plug("wlan0")
		a.appear(accessPoint("one", -70, "wpa-psk"))
		a.appear(accessPoint("one", -40, "sae"))
		a.appear(accessPoint("one", -80, "wpa-psk", "sae"))
		a.appear(accessPoint("two", -20, "wpa-eap", "wpa-eap-sha256"))
		a.appear(accessPoint("two", -100))
		a.appear(accessPoint("air", -119, "owe"))
		a.appear(bus.Dict{{Key: "SSID", Value: []byte("old")}, {Key: "Privacy", Value: true}})
		a.appear(accessPoint("", -60, "wpa-psk"))
		a.appear(accessPoint("\x00\x00\x00", -60, "wpa-psk"))
		a.appear(bus.Dict{{Key: "SSID", Value: []byte("pals")}, {Key: "Mode", Value: "ad-hoc"}})
		a.appear(accessPoint("caf\xe9\x00\x1b[31m", -60))
		synctest.Wait()
		type view struct {
			name     string
			security core.Security
			strength uint8
		}
		want := map[string]view{
			"wifi_020000000077_6f6e65_managed_psk":                {"one", "psk", 80},
			"wifi_020000000077_74776f_managed_ieee8021x":          {"two", "ieee8021x", 100},
			"wifi_020000000077_74776f_managed_none":               {"two", "none", 20},
			"wifi_020000000077_616972_managed_none":               {"air", "none", 1},
			"wifi_020000000077_6f6c64_managed_wep":                {"old", "wep", 100},
			"wifi_020000000077_hidden_managed_psk":                {"", "psk", 60},
			"wifi_020000000077_636166e9001b5b33316d_managed_none": {"caf\ufffd\ufffd\x1b[31m", "none", 60},
		}
		w.Do(func() {
			for _, s := range w.Manager.Services() {
				got := view{s.Name(), core.Security(s.Security()[0]), s.Strength()}
				if got != want[s.ID()] {
					t.Errorf("%s is %q, want %q", s.ID(), got, want[s.ID()])
				}
				delete(want, s.ID())
			}
		})
		for id := range want {
			t.Errorf("no service %s", id)
		}
	})
}

// However many signals change, the order of services is made anew once for each
// scan, and by strength.
func TestOrderFollowsScans(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		r.selected = func(*fakeAdapter) {} // nobody is let in
		a := r.plug("wlan0")
		paths := make([]bus.ObjectPath, 500)
		for i := range paths {
			paths[i] = a.appear(accessPoint(fmt.Sprintf("net %03d", i), -90, "wpa-psk"))
		}
		r.emit(a.path, supplicant.InterfaceInterface, "ScanDone", true)
		synctest.Wait()
		orders := 0
		w.Changed = func(c core.Change) {
			if c.Kind == core.ServicesReordered {
				orders++
			}
		}
		for i, path := range paths {
			r.emit(path, properties.InterfaceProperties, "PropertiesChanged", supplicant.InterfaceBSS,
				bus.Dict{{Key: "Signal", Value: int16(-80 + i%50)}}, []string{})
			synctest.Wait()
		}
		r.emit(a.path, supplicant.InterfaceInterface, "ScanDone", true)
		synctest.Wait()
		w.Do(func() {
			all := w.Manager.Services()
			if len(all) != len(paths) || orders != 1 {
				t.Errorf("%d services, put into order %d times", len(all), orders)
			}
			if !slices.IsSortedFunc(all, func(a, b *core.Service) int { return int(b.Strength()) - int(a.Strength()) }) {
				t.Error("services are not in the order of their strength")
			}
		})
	})
}

// Values of other types than the supplicant's, at every door, do no harm.
func TestHostileSupplicant(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		a := r.plug("wlan0")
		values := []any{nil, int32(1), "text", []byte{1}, []string{"x"}, bus.Dict{}, bus.Dict{{Key: "KeyMgmt", Value: "x"}},
			bus.Dict{{Key: "MaxScanSSID", Value: "x"}}, bus.ObjectPath("/x"), []bus.ObjectPath{"/y", a.path + "/BSSs/9"}, true, bus.Variant{Value: "x"}}
		for _, v := range values {
			for _, key := range []string{"SSID", "Mode", "Privacy", "Signal", "WPA", "RSN", "State", "Capabilities", "BSSs"} {
				d := bus.Dict{{Key: key, Value: v}}
				path := a.path + "/BSSs/7"
				r.emit(a.path, supplicant.InterfaceInterface, "BSSAdded", path, d)
				r.emit(path, properties.InterfaceProperties, "PropertiesChanged", supplicant.InterfaceBSS, d, []string{})
				r.emit(a.path, properties.InterfaceProperties, "PropertiesChanged", supplicant.InterfaceInterface, d, []string{})
				r.emit(a.path, supplicant.InterfaceInterface, "BSSRemoved", path)
			}
			for _, member := range []string{"BSSAdded", "BSSRemoved", "ScanDone", "PropertiesChanged"} {
				r.emit(a.path, supplicant.InterfaceInterface, member, v)
				r.emit(a.path, properties.InterfaceProperties, member, v, v)
				r.emit(a.path, supplicant.InterfaceInterface, member)
				r.emit("/elsewhere", supplicant.InterfaceInterface, member, bus.ObjectPath("/elsewhere/1"), bus.Dict{})
			}
		}
		a.appear(bus.Dict{{Key: "SSID", Value: make([]byte, 33)}})
		a.appear(bus.Dict{{Key: "BSSs", Value: []bus.ObjectPath{"/"}}})
		synctest.Wait()
		w.Do(func() {
			if n := len(w.Manager.Services()); n != 0 {
				t.Errorf("%d services came of it", n)
			}
		})
		a.appear(accessPoint("fine", -50))
		wantState(t, r, r.service(), core.Configuration)
	})
}

// The supplicant is asked to scan at once, and then ever more seldom, until there
// is a connection; and again when it is lost.
func TestScansMoreAndMoreSeldom(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		r.plug("wlan0")
		begin := time.Now()
		want := []time.Duration{0, 3, 12, 39, 120, 363, 663, 963}
		for i, at := range want {
			w.Sleep(at*time.Second - time.Since(begin) + time.Millisecond)
			if got := r.count("Scan"); got != i+1 {
				t.Fatalf("%d scans after %v, want %d", got, time.Since(begin), i+1)
			}
		}
		a := r.adapter("wlan0")
		a.appear(accessPoint("home", -50))
		wantState(t, r, r.service(), core.Configuration)
		scans := r.count("Scan")
		w.Sleep(20 * time.Second)
		if got := r.count("Scan"); got != scans {
			t.Errorf("%d scans while connected", got-scans)
		}
	})
}

// A service that connects by itself tries for ever, whatever is wrong, and not
// too often: this is the attempts of a day.
func TestNeverGivesUp(t *testing.T) {
	spec := core.ServiceSpec{File: "f", Entry: "e", Type: core.Wifi,
		Wifi: &core.WifiSpec{SSID: "home", Security: "psk", Passphrase: "not that one"}}
	for name, c := range map[string]struct {
		try         func(a *fakeAdapter)
		failure     core.Failure
		least, most int
	}{
		"rejected": {func(a *fakeAdapter) {
			a.states("authenticating", "associating", "associated", "4way_handshake")
			a.end("DisconnectReason", 15)
		}, core.InvalidKey, 48, 70},
		"rejected by WPA3": {func(a *fakeAdapter) {
			a.states("authenticating")
			a.end("AuthStatusCode", 15)
		}, core.InvalidKey, 48, 70},
		"WPA3 does not answer": {func(a *fakeAdapter) { a.states("authenticating", "disconnected") }, core.ConnectFailed, 240, 300},
		"nobody answers":       {func(a *fakeAdapter) { a.states("scanning", "disconnected", "scanning") }, core.ConnectFailed, 240, 300},
	} {
		t.Run(name, func(t *testing.T) {
			techtest.Run(t, func(w *techtest.World) {
				r := newRadio(w)
				r.selected = c.try
				w.Do(func() { w.Manager.SetSpecs([]core.ServiceSpec{spec}) })
				r.plug("wlan0").appear(accessPoint("home", -50, "wpa-psk", "sae"))
				s := r.service()
				w.Sleep(24 * time.Hour)
				if n := r.count("SelectNetwork"); n < c.least || n > c.most {
					t.Errorf("%d attempts in a day, want %d to %d", n, c.least, c.most)
				}
				w.Do(func() {
					if s.State() == core.Failed && s.Failure() != c.failure {
						t.Errorf("the failure is %q, want %q", s.Failure(), c.failure)
					}
				})
				r.selected = newSupplicant(w).selected
				w.Do(func() { w.Manager.Resumed() })
				wantState(t, r, s, core.Configuration)
			})
		})
	}
}

// An access point that ends a handshake because it does not know the machine has said
// nothing of the passphrase: the same attempt goes on, at once. One that does so again
// is believed.
func TestForgottenMidway(t *testing.T) {
	for name, c := range map[string]struct {
		reason int32
		times  int
		want   core.State
		tries  int
	}{
		"once":                 {7, 1, core.Configuration, 2},
		"again":                {7, 2, core.Failed, 2},
		"it has left":          {3, 1, core.Configuration, 2},
		"wrong passphrase":     {15, 1, core.Failed, 1},
		"the supplicant's end": {-3, 1, core.Failed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			techtest.Run(t, func(w *techtest.World) {
				r := newRadio(w)
				in, times := r.selected, c.times
				r.selected = func(a *fakeAdapter) {
					if times--; times < 0 {
						in(a)
						return
					}
					a.states("authenticating", "associating", "associated", "4way_handshake")
					a.end("DisconnectReason", c.reason)
				}
				w.Do(func() {
					w.Manager.SetSpecs([]core.ServiceSpec{{File: "f", Entry: "e", Type: core.Wifi,
						Wifi: &core.WifiSpec{SSID: "home", Security: "psk", Passphrase: "the right one"}}})
				})
				r.plug("wlan0").appear(accessPoint("home", -50, "wpa-psk"))
				s := r.service()
				w.Sleep(time.Second)
				wantState(t, r, s, c.want)
				if n := r.count("SelectNetwork"); n != c.tries {
					t.Errorf("%d tries, want %d", n, c.tries)
				}
			})
		})
	}
}

// A server of 802.1X says no in its own way.
func TestServerRefuses(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		r.selected = func(a *fakeAdapter) {
			a.states("authenticating", "associating", "associated")
			w.Loop.Post("refused", func() {
				r.emit(a.path, supplicant.InterfaceInterface, "EAP", "started", "")
				r.emit(a.path, supplicant.InterfaceInterface, "EAP", "completion", "failure")
			})
		}
		w.Do(func() {
			w.Manager.SetSpecs([]core.ServiceSpec{{File: "f", Entry: "e", Type: core.Wifi,
				Wifi: &core.WifiSpec{SSID: "work", Security: "ieee8021x", EAP: "tls", Identity: "me"}}})
		})
		r.plug("wlan0").appear(accessPoint("work", -50, "wpa-eap"))
		s := r.service()
		w.Sleep(time.Minute)
		w.Do(func() {
			if s.State() != core.Failed || s.Failure() != core.InvalidKey {
				t.Errorf("state %s, failure %q", s.State(), s.Failure())
			}
		})
	})
}

// The supplicant sleeps over calls until there are others: it is woken.
func TestSupplicantSleepsOverCalls(t *testing.T) {
	for _, member := range []string{"GetAll", "AddNetwork", "SelectNetwork", "Scan"} {
		t.Run(member, func(t *testing.T) {
			techtest.Run(t, func(w *techtest.World) {
				r := newRadio(w)
				r.drowsy = map[string]bool{member: true}
				r.plug("wlan0").appear(accessPoint("home", -50))
				w.Sleep(2 * time.Second)
				wantState(t, r, r.service(), core.Configuration)
			})
		})
	}
}

// A lost connection is taken up again at once, but one that is thrown out again
// and again waits.
func TestThrownOut(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		a := r.plug("wlan0")
		a.appear(accessPoint("home", -50))
		s := r.service()
		wantState(t, r, s, core.Configuration)
		flood := r.selected
		r.selected = func(a *fakeAdapter) { flood(a); a.states("disconnected") }
		a.states("disconnected")
		w.Sleep(10 * time.Minute)
		if n := r.count("SelectNetwork"); n < 3 || n > 30 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		if n := len(r.adapter("wlan0").networks); n > 1 {
			t.Errorf("the supplicant still has %d networks", n)
		}
	})
}

// Keys are renewed while connected; a renewal that hangs is a lost connection.
func TestRenewalHangs(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		a := r.plug("wlan0")
		a.appear(accessPoint("home", -50, "owe"))
		s := r.service()
		wantState(t, r, s, core.Configuration)
		a.states("4way_handshake", "group_handshake", "completed")
		w.Sleep(2 * renewalTimeout)
		if n := r.count("SelectNetwork"); n != 1 {
			t.Errorf("%d attempts after a renewal", n)
		}
		a.states("4way_handshake")
		w.Sleep(2 * renewalTimeout)
		if n := r.count("SelectNetwork"); n != 2 {
			t.Errorf("%d attempts after one that hung", n)
		}
		wantState(t, r, s, core.Configuration)
	})
}

// In whatever state an adapter is pulled or the supplicant dies, nothing is left
// and the next time works.
func TestPulledInEveryState(t *testing.T) {
	states := []string{"scanning", "authenticating", "associating", "associated", "4way_handshake", "group_handshake", "completed"}
	for n := range len(states) + 1 {
		for _, pulled := range []bool{true, false} {
			techtest.Run(t, func(w *techtest.World) {
				r := newRadio(w)
				all := r.selected
				r.selected = func(a *fakeAdapter) { a.states(states[:n]...) }
				r.plug("wlan0").appear(accessPoint("home", -50))
				synctest.Wait()
				if pulled {
					r.kernel.RemoveLink(r.links["wlan0"].Index)
				} else {
					r.kill()
				}
				synctest.Wait()
				w.Do(func() {
					if len(w.Manager.Services()) != 0 {
						t.Errorf("after %d states a service stays", n)
					}
				})
				w.Sleep(time.Hour)
				r.selected = all
				var a *fakeAdapter
				if pulled {
					a = r.plug("wlan0")
				} else {
					r.revive()
					synctest.Wait()
					a = r.adapter("wlan0")
				}
				a.appear(accessPoint("home", -50))
				wantState(t, r, r.service(), core.Configuration)
			})
		}
	}
}

// An adapter that the supplicant has already is taken over; one that it cannot
// take leaves the technology off.
func TestPower(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		r.mu.Lock()
		_, _ = r.create(bus.Dict{{Key: "Ifname", Value: "wlan0"}})
		r.mu.Unlock()
		a := r.plug("wlan0")
		a.appear(accessPoint("home", -50))
		wantState(t, r, r.service(), core.Configuration)
		if n := r.count("GetInterface"); n != 1 {
			t.Errorf("asked %d times for what is there", n)
		}
		if !slices.Contains(r.calls, "RemoveAllNetworks") {
			t.Error("networks of somebody else stay")
		}
	})
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		r.refuse["CreateInterface"] = bus.Failed("no such driver")
		r.plug("wlan0")
		w.Do(func() {
			if w.Manager.Technology(core.Wifi).Powered() {
				t.Error("powered without a supplicant's adapter")
			}
		})
	})
}

// The access point gives the passphrase when its button was pressed, and that is
// what we join with.
func TestSetup(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		a := r.plug("wlan0")
		a.appear(append(accessPoint("home", -50, "wpa-psk"),
			bus.Entry{Key: "IEs", Value: []byte{0, 1, 'x', 221, 5, 0x00, 0x50, 0xf2, 0x04, 9}},
			bus.Entry{Key: "WPS", Value: bus.Dict{{Key: "Type", Value: "pbc"}}}))
		s := r.service()
		if got := s.Security(); !slices.Equal(got, []string{"psk", "wps", "wps_advertising"}) {
			t.Errorf("security %q", got)
		}
		for _, failure := range []func(){
			func() { r.emit(a.path, supplicant.InterfaceWPS, "Event", "pbc-overlap", bus.Dict{}) },
			func() {
				r.emit(a.path, supplicant.InterfaceWPS, "Credentials", bus.Dict{{Key: "Key", Value: "a text"}})
			},
			func() { r.emit(a.path, supplicant.InterfaceWPS, "Credentials", bus.Dict{}) },
			func() { // of a neighbour whose button was pressed, too
				r.emit(a.path, supplicant.InterfaceWPS, "Credentials", bus.Dict{
					{Key: "SSID", Value: []byte("next door")}, {Key: "Key", Value: []byte("from their router")}})
			},
			func() { w.Sleep(wpsTimeout) },
		} {
			w.Do(func() { s.Connect("", func(error) {}) })
			wantState(t, r, s, core.Association)
			failure()
			wantState(t, r, s, core.Failed)
		}
		w.Do(func() { s.Connect("", func(error) {}) })
		r.emit(a.path, supplicant.InterfaceWPS, "Credentials", bus.Dict{
			{Key: "SSID", Value: []byte("home")}, {Key: "Key", Value: []byte("from the router")}})
		wantState(t, r, s, core.Configuration)
		for _, profile := range a.networks {
			if psk, _ := profile.Get("psk"); psk != "from the router" {
				t.Errorf("joined with %v", psk)
			}
		}
	})
}

// FuzzElements gives a beacon any elements.
func FuzzElements(f *testing.F) {
	f.Add([]byte{0, 1, 'x', 221, 4, 0x00, 0x50, 0xf2, 0x04})
	f.Add([]byte{221, 4, 0x00, 0x50, 0xf2})
	f.Add([]byte{221})
	f.Add([]byte{221, 255})
	f.Add([]byte{221, 4, 0x00, 0x50, 0xf2, 0x01})
	f.Fuzz(func(_ *testing.T, elements []byte) { announcesSetup(elements) })
}

// Adapters keep the rules of the country that is known, also when they come
// later.
func TestCountry(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		first := r.plug("wlan0")
		if _, told := first.set["Country"]; told {
			t.Error("a country is told that nobody knows")
		}
		for _, country := range []string{"DE", "SE"} {
			w.Do(func() { r.bearer.SetCountry(country) })
			synctest.Wait()
			if got := first.set["Country"]; got != country {
				t.Errorf("the adapter is in %v, want %s", got, country)
			}
		}
		if got := r.plug("xlan1").set["Country"]; got != "SE" {
			t.Errorf("the next adapter is in %v", got)
		}
	})
}

// A network that moves from WPA2 to WPA3, all at once or access point by access
// point, is the same service all the time, and joined by what it offers.
func TestNetworkLearnsWPA3(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		changes := 0
		w.Changed = func(c core.Change) {
			if c.Kind == core.ServiceAdded || c.Kind == core.ServiceRemoved {
				changes++
			}
		}
		r := newRadio(w)
		a := r.plug("wlan0")
		before := a.appear(accessPoint("home", -50, "wpa-psk"))
		s := r.service()
		learn := func(path bus.ObjectPath, ways ...string) {
			r.emit(path, properties.InterfaceProperties, "PropertiesChanged", supplicant.InterfaceBSS,
				bus.Dict{{Key: "RSN", Value: bus.Dict{{Key: "KeyMgmt", Value: ways}}}}, []string{})
		}
		wantSame := func(step string) {
			t.Helper()
			if now := r.service(); now != s || s.ID() != "wifi_020000000077_686f6d65_managed_psk" || changes != 1 {
				t.Errorf("%s: %s, %d services came and went", step, now.ID(), changes-1)
			}
		}
		learn(before, "wpa-psk", "sae")
		wantSame("mixed mode")
		learn(before, "sae")
		wantSame("WPA3 alone")
		learn(before, "wpa-psk")
		after := a.appear(accessPoint("home", -40, "sae", "ft-sae"))
		wantSame("a second access point")
		a.vanish(before)
		wantSame("the old one switched off")
		learn(after, "sae", "wpa-psk-sha256")
		wantSame("mixed again")
	})
}
