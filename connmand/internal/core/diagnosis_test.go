package core

import (
	"testing"
	"time"
)

// What a service waits for, as it goes through its life.
func TestWhy(t *testing.T) {
	inWorldWith(t, defaults(), known("known"), func(w *world) {
		a := w.radio()
		a.outcome = func(string, Credentials) error { return errBroken }
		n := a.hear("known", SecurityPSK)
		foreign, open := a.hear("foreign", SecurityPSK), a.hear("open", SecurityNone)
		want := func(n *Network, why string) {
			t.Helper()
			var got Diagnosis
			w.do(func() { w.m.Diagnose(func(all map[*Service]Diagnosis) { got = all[n.service] }) })
			if got.Why != why {
				t.Errorf("%s is %s and waits for %q, want %q", n.service.Name(), n.service.State(), got.Why, why)
			}
		}
		want(n, "the next attempt")
		want(foreign, "a passphrase")
		want(open, "the user to connect it")
		w.withAgent()
		w.connect(foreign)
		want(foreign, "the user's answer")
		w.say(Input{}, ErrAborted)
		a.outcome = func(string, Credentials) error { return nil }
		w.connect(open)
		want(open, "a DHCP server")
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		want(open, "")
		w.sleep(time.Hour)
		want(n, "other services to be gone")
		_ = w.setPowered(false)
		want(open, "its device to be switched on")
	})
}
