//go:build vm

package wifi

import (
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// states has the adapter go through these.
func (f *scripted) states(states ...string) {
	for _, state := range states {
		f.change(wpaAdapter, wpaLink, map[string]dbus.Variant{"State": dbus.MakeVariant(state)})
	}
}

// joining begins to connect, and returns when the supplicant is half way there. The
// channel gets the outcome.
func (s *session) joining(f *scripted, path dbus.ObjectPath) <-chan *dbus.Call {
	s.t.Helper()
	outcome := s.conn.Object("net.connman", path).Go("net.connman.Service.Connect", 0, make(chan *dbus.Call, 1)).Done
	select {
	case <-f.selected:
	case call := <-outcome:
		s.t.Fatalf("connecting: %v", call.Err)
	case <-time.After(patience):
		s.t.Fatal("no network was joined")
	}
	f.states("scanning", "authenticating", "associating")
	return outcome
}

// wantFailed waits for an attempt to connect to fail.
func (s *session) wantFailed(outcome <-chan *dbus.Call) {
	s.t.Helper()
	select {
	case call := <-outcome:
		if call.Err == nil {
			s.t.Error("connected")
		}
	case <-time.After(patience):
		s.t.Fatal("nobody hears how connecting went")
	}
}

// While a network is joined the supplicant gives reasons that are none, loses the
// network, or is another one all at once: whoever connects hears of it, and the next
// attempt succeeds.
func TestMidway(t *testing.T) {
	s, f := startBeside(t)
	hears := func(f *scripted) { f.onScan(func() { f.appear(0, "brittle", -50, nil) }) }
	hears(f)
	s.run()
	s.agent("Passphrase", "correct horse")
	path := s.path("brittle", "psk")
	s.wantSeen(path, true)
	succeed := func(f *scripted) {
		t.Helper()
		f.states("associated", "4way_handshake", "completed")
		s.wantState(path, "configuration", "ready")
		must(t, s.call(path, "net.connman.Service.Disconnect").Err)
	}
	variant := dbus.MakeVariant

	s.joining(f, path)
	for _, reason := range []any{"no number", int64(15), []int32{15}, map[string]dbus.Variant{}, int32(-1 << 31)} {
		f.change(wpaAdapter, wpaLink, map[string]dbus.Variant{"State": variant("disconnected"), "DisconnectReason": variant(reason),
			"AuthStatusCode": variant(reason), "AssocStatusCode": variant(reason), "CurrentBSS": variant(reason)})
		f.states("scanning", "authenticating", "associating")
	}
	succeed(f)

	outcome := s.joining(f, path)
	f.emit(wpaAdapter, wpaLink+".NetworkRemoved", wpaAdapter+"/Networks/0")
	f.states("disconnected", "inactive")
	s.wantFailed(outcome)
	s.joining(f, path)
	succeed(f)

	outcome = s.joining(f, path)
	_, err := f.conn.ReleaseName(wpaName)
	must(t, err)
	s.wantFailed(outcome)
	s.wantSeen(path, false)
	g := s.startScripted()
	hears(g)
	s.wantSeen(path, true)
	s.joining(g, path)
	f.states("associated", "4way_handshake", "completed") // as if it still were the supplicant
	var p map[string]dbus.Variant
	must(t, f.conn.Object("net.connman", path).Call("net.connman.Service.GetProperties", 0).Store(&p))
	if p["State"].Value() != "association" {
		t.Errorf("somebody who is not the supplicant made the state %v", p["State"])
	}
	succeed(g)
	s.wantQuiet()
}
