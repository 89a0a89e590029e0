package core

import (
	"math/rand/v2"
	"testing"
	"time"

	"net.connman/pkg/logx"
)

// known are a store's settings of networks that were used before.
func known(ssids ...string) *fakeStore {
	store := &fakeStore{services: map[string]ServiceSettings{}}
	for _, ssid := range ssids {
		auto := true
		n := Network{device: &Device{info: DeviceInfo{Type: Wifi}}, info: networkInfo(ssid, Wireless{SSID: ssid, Security: SecurityPSK})}
		store.services[n.ServiceID()] = ServiceSettings{
			Favorite: true, AutoConnect: &auto, SSID: ssid, Passphrase: logx.Secret("saved for " + ssid),
		}
	}
	return store
}

// A service whose retry is due keeps out of the way of those that are connected,
// and is tried as soon as they are gone.
func TestRetryKeepsOutOfTheWay(t *testing.T) {
	inWorldWith(t, defaults(), known("bad", "good"), func(w *world) {
		a := w.radio()
		a.outcome = func(ssid string, _ Credentials) error {
			if ssid == "bad" {
				return errBroken
			}
			return nil
		}
		bad := a.hear("bad", SecurityPSK)
		good := a.hear("good", SecurityPSK)
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		w.sleep(time.Hour)
		if !good.service.State().Connected() || len(a.joined) != 2 {
			t.Fatalf("state %s, attempts %v", good.service.State(), a.joined)
		}
		a.outcome = func(string, Credentials) error { return nil }
		w.do(good.Remove)
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		if !bad.service.State().Connected() {
			t.Errorf("state %s, attempts %v", bad.service.State(), a.joined)
		}
	})
}

// After sleep everything is looked at anew, at once.
func TestResumed(t *testing.T) {
	inWorldWith(t, defaults(), known("home"), func(w *world) {
		a := w.radio()
		a.outcome = func(string, Credentials) error { return ErrRejected }
		n := a.hear("home", SecurityPSK)
		w.sleep(2 * time.Hour)
		attempts, scans := len(a.joined), a.scans
		a.outcome = func(string, Credentials) error { return nil }
		w.do(w.m.Resumed)
		if len(a.joined) != attempts+1 || a.scans != scans+1 {
			t.Errorf("%d attempts, %d scans at once", len(a.joined)-attempts, a.scans-scans)
		}
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		w.probed("wlan0", ProbeResult{Online: true})
		if n.service.State() != Online {
			t.Fatalf("state %s", n.service.State())
		}
		w.do(w.m.Resumed)
		if !w.probing("wlan0") {
			t.Error("a way to the Internet from before the sleep is taken for granted")
		}
	})
}

// Whatever happens to a service that connects by itself, it is connected again
// once nothing is in its way any more.
func TestNeverTerminal(t *testing.T) {
	for seed := range uint64(60) {
		inWorldWith(t, defaults(), known("home", "work"), func(w *world) {
			r := rand.New(rand.NewPCG(seed, 0))
			w.m.log = quietLog()
			w.m.ports.Radios = &fakeRadios{w: w}
			a := w.radio()
			outcomes := []error{nil, ErrRejected, errBroken, ErrTimeout}
			a.outcome = func(string, Credentials) error { return outcomes[r.IntN(len(outcomes))] }
			networks := map[string]*Network{}
			hear := func(ssid string) {
				if networks[ssid] == nil {
					networks[ssid] = a.hear(ssid, SecurityPSK)
				}
			}
			hear("home")
			hear("work")
			for range 40 {
				ssid := []string{"home", "work"}[r.IntN(2)]
				n := networks[ssid]
				switch r.IntN(9) {
				case 0:
					hear(ssid)
				case 1:
					if n != nil {
						w.do(n.Remove)
						delete(networks, ssid)
					}
				case 2:
					if n != nil {
						w.do(n.Left)
					}
				case 3:
					if d := w.dhcp["wlan0"]; d != nil && !d.stopped {
						w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
					}
				case 4:
					if n != nil && n.service != nil {
						w.connect(n)
					}
				case 5:
					on := r.IntN(2) == 0
					w.do(func() { w.m.SetRadio(Wifi, Radio{Switches: 1, Hard: on}) })
				case 6:
					on := r.IntN(2) == 0
					w.do(func() { w.m.SetOfflineMode(on) })
				case 7:
					w.do(w.m.Resumed)
				case 8:
					w.sleep(time.Duration(r.IntN(int(10 * time.Minute))))
				}
			}
			// The world is good again.
			a.outcome = func(string, Credentials) error { return nil }
			w.do(func() { w.m.SetOfflineMode(false); w.m.SetRadio(Wifi, Radio{Switches: 1}) })
			hear("home")
			connected := func() bool {
				for _, n := range networks {
					if n.service != nil && n.service.State().Connected() {
						return true
					}
				}
				return false
			}
			for waited := time.Duration(0); !connected(); waited += time.Minute {
				if waited > lastRejectedRetry {
					t.Fatalf("seed %d: %s is %s after %v", seed, "home", networks["home"].service.State(), waited)
				}
				w.sleep(time.Minute)
				if d := w.dhcp["wlan0"]; d != nil && !d.stopped {
					w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
				}
			}
		})
	}
}
