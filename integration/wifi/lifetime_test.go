//go:build vm

package wifi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// The adapter is pulled at any moment, and put back: what was known is there
// again, and connected by itself if it had been connected once.
func TestPulled(t *testing.T) {
	s := start(t)
	s.accessPoint("wlan1", pskNetwork("Attic", "correct horse"))
	path := s.path("Attic", "psk")
	t.Cleanup(func() { s.silent.Store(false) })
	s.wantSeen(path, true)
	again := func(when string, pull func(t *testing.T, s *session)) {
		t.Run(when, func(t *testing.T) {
			s := s.in(t)
			pull(t, s)
			must(t, s.pull(0))
			s.wantSeen(path, false)
			s.silent.Store(false)
			must(t, s.plug(0))
			s.wantSeen(path, true)
		})
	}
	again("idle", func(*testing.T, *session) {})
	again("scanning", func(t *testing.T, s *session) {
		s.conn.Object("net.connman", "/net/connman/technology/wifi").Go("net.connman.Technology.Scan", 0, nil)
	})
	s.join("Attic", "psk")
	again("ready", func(*testing.T, *session) {})
	s.connected("Attic", "psk")
	again("scanning for a known network", func(t *testing.T, s *session) {
		s.call("/net/connman/technology/wifi", "net.connman.Technology.Scan")
	})
	s.connected("Attic", "psk")
	again("association", func(t *testing.T, s *session) {
		must(t, s.call(path, "net.connman.Service.Disconnect").Err)
		recorder := s.follow()
		s.conn.Object("net.connman", path).Go("net.connman.Service.Connect", 0, nil)
		ctx, cancel := s.patient()
		defer cancel()
		_, err := recorder.Wait(ctx, 0, func(m *dbus.Message) bool { // it does not last until the daemon is asked
			return signalled(m, path, "State") && m.Body[1].(dbus.Variant).Value() == "association"
		})
		must(t, err)
	})
	s.connected("Attic", "psk")
	again("configuration", func(t *testing.T, s *session) {
		must(t, s.call(path, "net.connman.Service.Disconnect").Err)
		s.silent.Store(true)
		s.conn.Object("net.connman", path).Go("net.connman.Service.Connect", 0, nil)
		s.wantState(path, "configuration")
	})
	s.connected("Attic", "psk")
}

// A passphrase that has served before is not given up because it is rejected once;
// when it counts as wrong it is tried on, and it is one day the right one again.
func TestPassphraseChanges(t *testing.T) {
	s := start(t)
	ap := s.accessPoint("wlan1", pskNetwork("Fickle", "correct horse"))
	path := s.join("Fickle", "psk")
	recorder := s.follow()
	ap.stop()
	ap.start(pskNetwork("Fickle", "another horse"))
	s.eventually("the service's error", "invalid-key", func() (any, error) {
		p, err := s.properties(path, "Service")
		return p["Error"].Value(), err
	})
	failures := 0
	went := s.states(recorder, path)
	for _, state := range went {
		if state == "failure" {
			failures++
		}
	}
	if failures < 2 {
		t.Errorf("the passphrase counts as wrong after %v", went)
	}
	settings, err := os.ReadFile(s.machine.Path("/var/lib/connman/" + filepath.Base(string(path)) + "/settings"))
	if err != nil || !strings.Contains(string(settings), "Passphrase=correct horse\n") {
		t.Errorf("the passphrase is forgotten: %v\n%s", err, settings)
	}
	ap.stop()
	ap.start(pskNetwork("Fickle", "correct horse"))
	s.connected("Fickle", "psk")
}

const pin = "12345670"

// The agent names the PIN that the access point was told: that gives us the
// passphrase, which is saved.
func TestPIN(t *testing.T) {
	s := start(t)
	ap := s.accessPoint("wlan1", pskNetwork("Label", "correct horse")+
		"wps_state=2\neap_server=1\nconfig_methods=label display keypad\n")
	path := s.path("Label", "psk")
	s.wantSeen(path, true)
	asked := s.agent("WPS", pin)
	ap.tell("wps_pin", "any", pin)
	must(t, s.call(path, "net.connman.Service.Connect").Err)
	s.connected("Label", "psk")
	field, _ := (<-asked)["WPS"].Value().(map[string]dbus.Variant)
	if field["Type"].Value() != "wpspin" || field["Requirement"].Value() != "alternate" {
		t.Errorf("the agent was asked for %v", field)
	}
	s.restart()
	s.connected("Label", "psk")
}
