//go:build netns

package wired

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"net.connman/integration/lab"
)

const (
	managerPath  = "/"
	ethernetPath = "/net/connman/technology/ethernet"
)

// dict is a dictionary of the bus.
type dict = map[string]dbus.Variant

// dictOf makes a dictionary of keys and values in turn.
func dictOf(pairs ...any) dict {
	d := dict{}
	for i := 0; i < len(pairs); i += 2 {
		d[pairs[i].(string)] = dbus.MakeVariant(pairs[i+1])
	}
	return d
}

// text is a variant's value as text, "" when there is none.
func text(v dbus.Variant) string {
	if v.Value() == nil {
		return ""
	}
	return fmt.Sprint(v.Value())
}

// field is an entry of a dictionary property, as text.
func field(p dict, property, key string) string {
	d, _ := p[property].Value().(dict)
	return text(d[key])
}

// expect is an objection unless got is what is wanted.
func expect(what string, got, want any) error {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

// run runs a daemon, ours or another, until it owns its name.
func (w *world) run(m lab.Manager, args ...string) {
	w.t.Helper()
	var err error
	w.daemon, err = m.Run(w.Machine, w.Bus, args...)
	must(w.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(w.t, w.Bus.WaitName(ctx, m.BusName, true))
}

// do calls a method of net.connman, such as "Manager.GetServices", that must
// succeed.
func (w *world) do(path dbus.ObjectPath, method string, args ...any) {
	w.t.Helper()
	if err := w.call(path, "net.connman."+method, args...).Err; err != nil {
		w.t.Fatalf("%s %s%v: %v", path, method, args, err)
	}
}

// set sets a property of the service of link i.
func (w *world) set(i int, name string, value any) {
	w.t.Helper()
	w.do(w.servicePath(i), "Service.SetProperty", name, dbus.MakeVariant(value))
}

// refuse calls a method that must fail with an error of net.connman.
func (w *world) refuse(want string, path dbus.ObjectPath, method string, args ...any) {
	w.t.Helper()
	err := w.call(path, "net.connman."+method, args...).Err
	if answerOf(err) != "net.connman.Error."+want {
		w.t.Errorf("%s %s%v: %v, want %s", path, method, args, answerOf(err), want)
	}
}

// answerOf is an error's name on the bus, "" for none.
func answerOf(err error) string {
	if e, ok := err.(dbus.Error); ok {
		return e.Name
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// entry is one of the objects of GetServices and its like.
type entry struct {
	Path  dbus.ObjectPath
	Props dict
}

// services is GetServices.
func (w *world) services() []entry {
	w.t.Helper()
	var list []entry
	must(w.t, w.call(managerPath, "net.connman.Manager.GetServices").Store(&list))
	return list
}

// order is the interfaces of the services, in their order.
func (w *world) order() string {
	w.t.Helper()
	var names []string
	for _, s := range w.services() {
		names = append(names, field(s.Props, "Ethernet", "Interface"))
	}
	return strings.Join(names, " ")
}

// service returns the properties of the service of link i, nil when there is
// none.
func (w *world) service(i int) dict {
	w.t.Helper()
	for _, s := range w.services() {
		if s.Path == w.servicePath(i) {
			return s.Props
		}
	}
	return nil
}

// serviceID is the name of the service of link i in the state directory.
func (w *world) serviceID(i int) string { return path.Base(string(w.servicePath(i))) }

// until waits for check to have no objection. It asks whenever a signal was
// sent, and now and then, as kernel and files send none.
func (w *world) until(what string, check func() error) {
	w.t.Helper()
	w.within(patience, what, check)
}

// within is until with a deadline of its own.
func (w *world) within(deadline time.Duration, what string, check func() error) {
	w.t.Helper()
	end := time.Now().Add(deadline)
	for {
		mark := w.recorder.Mark()
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s: not within %v: %v", what, deadline, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		_, _ = w.recorder.Wait(ctx, mark, isSignal)
		cancel()
	}
}

func isSignal(m *dbus.Message) bool { return m.Type == dbus.TypeSignal }

// untilState waits for the service of link i to be in a state; "" is for not
// there.
func (w *world) untilState(i int, state string) {
	w.t.Helper()
	w.until(w.serviceID(i)+" "+state, func() error {
		return expect("state", text(w.service(i)["State"]), state)
	})
}

// untilAddress waits for link i to have these addresses only.
func (w *world) untilAddress(i int, want ...string) {
	w.t.Helper()
	w.until("addresses", func() error {
		got, err := addresses(w.Links[i])
		if err != nil {
			return err
		}
		return expect("addresses of "+w.Links[i].Name(), got, want)
	})
}

// defaults are the machine's default routes, best first, as "eth0 0", the
// device and the metric.
func (w *world) defaults() []string {
	w.t.Helper()
	routes, err := w.Machine.Netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_DST)
	must(w.t, err)
	list := []string{}
	for _, r := range routes {
		link, err := w.Machine.Netlink.LinkByIndex(r.LinkIndex)
		must(w.t, err)
		list = append(list, fmt.Sprintf("%s %d", link.Attrs().Name, uint32(r.Priority)))
	}
	return list
}

// untilDefaults waits for these default routes, best first.
func (w *world) untilDefaults(want ...string) {
	w.t.Helper()
	w.until("default routes", func() error { return expect("default routes", w.defaults(), want) })
}

// waitSignal waits for a signal from position from on with all the parts in
// its text.
func (w *world) waitSignal(from int, parts ...string) lab.Record {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	record, err := w.recorder.Wait(ctx, from, func(m *dbus.Message) bool {
		if !isSignal(m) {
			return false
		}
		line := lab.Record{Message: m}.String()
		for _, part := range parts {
			if !strings.Contains(line, part) {
				return false
			}
		}
		return true
	})
	if err != nil {
		w.t.Fatalf("%v: %v; there were %s", parts, err, strings.Join(w.signals(from), "\n"))
	}
	return record
}

// signals are the signals of objects from position from on, one a line.
func (w *world) signals(from int) []string {
	var lines []string
	for _, r := range w.recorder.Records(from) {
		if isSignal(r.Message) && lab.Header(r.Message, dbus.FieldInterface) != "org.freedesktop.DBus" {
			lines = append(lines, strings.TrimPrefix(r.String(), "signal "))
		}
	}
	return lines
}

// untilSignals waits for these signals, in this order, from position from on.
func (w *world) untilSignals(from int, wanted ...string) {
	w.t.Helper()
	w.until("signals", func() error { return inOrder(w.signals(from), wanted...) })
}

// recorded makes a call and returns when it is in the record, and with it all
// that the daemon sent before.
func (w *world) recorded(path dbus.ObjectPath, method string) {
	w.t.Helper()
	from := w.recorder.Mark()
	w.do(path, method)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := w.recorder.Wait(ctx, from, func(m *dbus.Message) bool {
		return m.Type == dbus.TypeMethodCall && strings.HasSuffix(method, lab.Header(m, dbus.FieldMember))
	})
	must(w.t, err)
}
