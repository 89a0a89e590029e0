package wifi

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/tech/techtest"
	"net.connman/pkg/api/properties"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
)

// An adapter that is switched on looks first where known networks were.
func TestKnownFrequenciesFirst(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		for _, f := range []int{5180, 0, 2412, 5180, 2437, 5500, 5745} {
			w.Known = append(w.Known, core.KnownNetwork{SSID: "x", Frequency: f})
		}
		r := newRadio(w)
		a := r.plug("wlan0")
		synctest.Wait()
		if got := a.scansFrom(0); got != "[5180+2412+2437+5500]" {
			t.Errorf("scanned %s", got)
		}
		w.Sleep(quickPause)
		if got := a.scansFrom(1); got != "[all]" {
			t.Errorf("then scanned %s", got)
		}
		w.Sleep(firstScan)
		if got := a.scansFrom(2); got != "[all]" {
			t.Errorf("at last scanned %s", got)
		}
	})
}

// Between scans of all channels those are looked at where known networks were, so
// that what was lost is found soon; but ever more seldom.
func TestGlances(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		w.Known = []core.KnownNetwork{{SSID: "x", Frequency: 2437}}
		r := newRadio(w)
		a := r.plug("wlan0")
		synctest.Wait()
		w.Sleep(quickPause + (3+9+27)*time.Second + time.Millisecond)
		const want = "[2437 all all 2437 2437 all 2437 2437 2437 2437 2437 2437 2437 2437 all]"
		if got := a.scansFrom(0); got != want {
			t.Errorf("scanned %s, want %s", got, want)
		}
		before := r.count("Scan")
		w.Sleep(24 * time.Hour)
		if perHour := (r.count("Scan") - before) / 24; perHour < 60 || perHour > 12*(1+glances) {
			t.Errorf("%d scans in an hour", perHour)
		}
	})
}

// While the supplicant scans by itself it takes no orders: that scan is waited for.
func TestScansByItself(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		a := r.plug("wlan0")
		synctest.Wait()
		unanswered := errors.New("no answer yet")
		result := unanswered
		scan := func() {
			w.Do(func() { w.Manager.Technology(core.Wifi).Scan(func(err error) { result = err }) })
			synctest.Wait()
		}
		r.refuse["Scan"] = &bus.Error{Name: supplicant.InterfaceErrorScanError}
		a.states("scanning")
		scan()
		if result != unanswered {
			t.Fatalf("answered %v before the scan was over", result)
		}
		r.emit(a.path, supplicant.InterfaceInterface, "ScanDone", true)
		synctest.Wait()
		if result != nil {
			t.Errorf("answered %v", result)
		}
		a.states("inactive")
		scan()
		if result == nil {
			t.Error("no error though nobody scans")
		}
	})
}

// A network that was heard long ago is looked for on its own channels before it is
// joined: the supplicant would look on all.
func TestLookBeforeJoining(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		a := r.plug("wlan0")
		r.selected = func(*fakeAdapter) {}
		a.appear(accessPoint("home", -50))
		s := r.service()
		for _, c := range []struct {
			since time.Duration
			want  string
		}{{fresh + time.Second, "[2412]"}, {0, "[]"}, {fresh + time.Second, "[2412]"}} {
			w.Do(func() { s.Disconnect(func(error) {}) })
			w.Do(func() { r.bearer.adapters[r.links["wlan0"].Index].scans.pause() })
			w.Sleep(c.since)
			before, joined := r.count("Scan"), r.count("SelectNetwork")
			w.Do(func() { s.Connect("", func(error) {}) })
			synctest.Wait()
			if got := a.scansFrom(before); got != c.want {
				t.Errorf("%v after the last scan scanned %s, want %s", c.since, got, c.want)
			}
			if r.count("SelectNetwork") != joined+1 {
				t.Errorf("%v after the last scan the network was not joined", c.since)
			}
		}
	})
}

// The access point in use is the one that counts, else the strongest.
func TestAccessPoint(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		a := r.plug("wlan0")
		a.appear(accessPoint("home", -50))
		weak := a.appear(accessPoint("home", -90))
		s := r.service()
		want := func(signal int16) {
			t.Helper()
			synctest.Wait()
			w.Do(func() {
				w.Manager.Diagnose(func(all map[*core.Service]core.Diagnosis) {
					d := all[s]
					bssid := core.HardwareAddr([]byte{2, 0, 0, 0, 1, byte(signal)})
					if d.AccessPoint != (core.AccessPoint{BSSID: bssid, Frequency: 2412}) {
						t.Errorf("access point %x, want %x", d.AccessPoint.BSSID, bssid)
					}
				})
			})
		}
		want(-50)
		r.emit(a.path, properties.InterfaceProperties, "PropertiesChanged",
			supplicant.InterfaceInterface, bus.Dict{{Key: "CurrentBSS", Value: weak}}, []string{})
		want(-90)
		r.emit(a.path, properties.InterfaceProperties, "PropertiesChanged",
			supplicant.InterfaceInterface, bus.Dict{{Key: "CurrentBSS", Value: bus.ObjectPath("/")}}, []string{})
		want(-50)
	})
}

// How fast the connection is, the supplicant says.
func TestRate(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		a := r.plug("wlan0")
		a.appear(accessPoint("home", -50))
		synctest.Wait()
		rate := func() (mbits int) {
			w.Do(func() {
				for _, n := range r.bearer.adapters[r.links["wlan0"].Index].networks {
					n.Rate(func(m int) { mbits = m })
				}
			})
			synctest.Wait()
			return mbits
		}
		if got := rate(); got != 54 {
			t.Errorf("%d Mbit/s", got)
		}
		r.refuse["SignalPoll"] = bus.ErrNoReply
		if got := rate(); got != 0 {
			t.Errorf("%d Mbit/s without an answer", got)
		}
	})
}
