//go:build netns

package vpn

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

// TestAsTheReference puts the same VPN daemon and the same steps to both daemons:
// users see the same services, and the same steps of their states.
func TestAsTheReference(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, m := range []lab.Manager{lab.Reference(), lab.Ours()} {
		w := newWorld(t, 1)
		w.run(m)
		w.until(w.cable(0), "online")
		w.heard(0, func(m *dbus.Message) bool { // before, its properties change silently
			return lab.Header(m, dbus.FieldMember) == "ServicesChanged" && strings.Contains(fmt.Sprint(m.Body), office+" map[AutoConnect")
		})
		from := w.recorder.Mark()
		text := "idle\n" + w.described()
		must(t, w.call(servicePath(office), "Service.Connect").Err)
		w.until(office, "ready", "online")
		text += "connected\n" + w.described()
		must(t, w.call(servicePath(w.cable(0)), "Service.MoveBefore", servicePath(office)).Err)
		must(t, w.call(servicePath(office), "Service.MoveBefore", servicePath(w.cable(0))).Err)
		must(t, w.call(servicePath(office), "Service.Disconnect").Err)
		w.heard(from, func(m *dbus.Message) bool {
			return m.Type == dbus.TypeSignal && fmt.Sprint(lab.Header(m, dbus.FieldPath), m.Body) == fmt.Sprint(servicePath(office), []any{"State", dbus.MakeVariant("idle")})
		})
		text += "signals\n" + w.steps(from)
		seen[m.Name] = text + "called " + strings.Join(w.vpnd.calledFor(w.bus.Names()[0]), ", ")
	}
	ours, reference := seen[lab.Ours().Name], seen[lab.Reference().Name]
	if ours != reference {
		t.Errorf("ours:\n%s\n\nthe reference's:\n%s", ours, reference)
	}
}

// heard waits for a message that passed the bus.
func (w *world) heard(from int, match func(*dbus.Message) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := w.recorder.Wait(ctx, from, match)
	must(w.t, err)
}

// described are the properties of the VPN's service. Ethernet came after 1.41,
// which also forgets the domain, contrary to its document. What it says of IPv4
// and IPv6 settings while nothing is connected depends on what was connected
// before.
func (w *world) described() string {
	w.t.Helper()
	var list []object
	must(w.t, w.call("/", "Manager.GetServices").Store(&list))
	var b strings.Builder
	for _, o := range list {
		if o.Path != servicePath(office) {
			continue
		}
		delete(o.Properties, "Ethernet")
		if provider, ok := o.Properties["Provider"].Value().(map[string]dbus.Variant); ok {
			delete(provider, "Domain")
		}
		for _, name := range slices.Sorted(maps.Keys(o.Properties)) {
			fmt.Fprintf(&b, "%s: %s\n", name, o.Properties[name])
		}
	}
	return b.String()
}

// steps are the states and the split routing that the VPN's service went through.
func (w *world) steps(from int) string {
	var b strings.Builder
	for _, r := range w.recorder.Records(from) {
		m := r.Message
		if m.Type != dbus.TypeSignal || lab.Header(m, dbus.FieldPath) != string(servicePath(office)) {
			continue
		}
		if name, ok := m.Body[0].(string); ok && (name == "State" || name == "SplitRouting") {
			fmt.Fprintf(&b, "%s %v\n", name, m.Body[1])
		}
	}
	return b.String()
}

// calledFor are the calls but for those that only remember, with the caller's name
// told in words.
func (d *vpnd) calledFor(caller string) []string {
	var calls []string
	for _, call := range d.called() {
		if !strings.HasPrefix(call, "SetProperty") {
			calls = append(calls, strings.Replace(call, caller, "the caller", 1))
		}
	}
	return calls
}
