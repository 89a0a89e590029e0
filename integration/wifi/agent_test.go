//go:build vm

package wifi

import (
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// fields are what an agent is asked for, or answers.
type fields = map[string]dbus.Variant

// agent answers questions.
type agent struct {
	answers chan fields // in this order, and the last one for ever
	asked   chan fields
	told    chan string // of errors
	retry   bool        // then it wants to try again
}

// agent registers one for the session that answers every question with one field,
// and returns what it is asked for.
func (s *session) agent(field, value string) (asked <-chan fields) {
	s.t.Helper()
	return s.talker(fields{field: dbus.MakeVariant(value)}).asked
}

// talker registers an agent that says one thing after the other.
func (s *session) talker(answers ...fields) *agent {
	s.t.Helper()
	const path = dbus.ObjectPath("/agent")
	a := &agent{make(chan fields, len(answers)), make(chan fields, 64), make(chan string, 64), len(answers) > 1}
	for _, said := range answers {
		a.answers <- said
	}
	must(s.t, s.conn.Export(a, path, "net.connman.Agent"))
	must(s.t, s.call("/", "net.connman.Manager.RegisterAgent", path).Err)
	return a
}

// RequestInput and the others are methods of net.connman.Agent.
func (a *agent) RequestInput(_ dbus.ObjectPath, asked fields) (fields, *dbus.Error) {
	a.asked <- asked
	said := <-a.answers
	if len(a.answers) == 0 {
		a.answers <- said
	}
	return said, nil
}

func (a *agent) ReportError(_ dbus.ObjectPath, reason string) *dbus.Error {
	a.told <- reason
	if !a.retry {
		return nil
	}
	return &dbus.Error{Name: "net.connman.Agent.Error.Retry"}
}

func (a *agent) Cancel() *dbus.Error  { return nil }
func (a *agent) Release() *dbus.Error { return nil }

// attribute is what a field's description says under a key.
func attribute(asked fields, field, key string) any {
	about, _ := asked[field].Value().(fields)
	return about[key].Value()
}

// The user mistypes the passphrase, then the PIN, and then says it right. Each time
// the agent is told what went wrong, and what was said before.
func TestAgentIsAskedAnew(t *testing.T) {
	s := start(t)
	ap := s.accessPoint("wlan1", pskNetwork("Typo", "correct horse")+
		"wps_state=2\neap_server=1\nconfig_methods=label display keypad\n")
	path := s.path("Typo", "psk")
	s.wantSeen(path, true)
	ap.tell("wps_pin", "any", pin)
	const wrongPIN = "87654325"
	text := func(s string) dbus.Variant { return dbus.MakeVariant(s) }
	a := s.talker(fields{"Passphrase": text("wrong horse")}, fields{"WPS": text(wrongPIN)}, fields{"Passphrase": text("correct horse")})
	must(t, s.call(path, "net.connman.Service.Connect").Err)
	s.connected("Typo", "psk")
	for i, previous := range []struct{ value, kind any }{{nil, nil}, {"wrong horse", "psk"}, {wrongPIN, "wpspin"}} {
		asked := <-a.asked
		alternates, _ := attribute(asked, "Passphrase", "Alternates").([]string)
		if strings.Join(alternates, " ") != "WPS" || attribute(asked, "Passphrase", "Type") != "psk" || attribute(asked, "WPS", "Type") != "wpspin" {
			t.Errorf("question %d: %v", i+1, asked)
		}
		if value, kind := attribute(asked, "PreviousPassphrase", "Value"), attribute(asked, "PreviousPassphrase", "Type"); value != previous.value || kind != previous.kind {
			t.Errorf("question %d tells of %v as %v, want %v as %v", i+1, value, kind, previous.value, previous.kind)
		}
	}
	if first, second := <-a.told, <-a.told; first != "invalid-key" || second != "connect-failed" {
		t.Errorf("told %s, then %s", first, second)
	}
	s.restart()
	s.connected("Typo", "psk")
}
