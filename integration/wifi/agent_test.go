//go:build vm

package wifi

import (
	"github.com/godbus/dbus/v5"
)

// agent answers every question with one field.
type agent struct {
	field, value string
	asked        chan map[string]dbus.Variant
}

// agent registers one for the session, and returns what it is asked for.
func (s *session) agent(field, value string) (asked <-chan map[string]dbus.Variant) {
	s.t.Helper()
	const path = dbus.ObjectPath("/agent")
	a := agent{field, value, make(chan map[string]dbus.Variant, 64)}
	must(s.t, s.conn.Export(a, path, "net.connman.Agent"))
	must(s.t, s.call("/", "net.connman.Manager.RegisterAgent", path).Err)
	return a.asked
}

// RequestInput and the others are methods of net.connman.Agent.
func (a agent) RequestInput(_ dbus.ObjectPath, fields map[string]dbus.Variant) (map[string]dbus.Variant, *dbus.Error) {
	a.asked <- fields
	return map[string]dbus.Variant{a.field: dbus.MakeVariant(a.value)}, nil
}

func (a agent) ReportError(dbus.ObjectPath, string) *dbus.Error { return nil }
func (a agent) Cancel() *dbus.Error                             { return nil }
func (a agent) Release() *dbus.Error                            { return nil }
