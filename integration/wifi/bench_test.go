//go:build vm

package wifi

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"

	"net.connman/integration/lab"
)

// outages are how long the access point is away, a round each: daemons that look
// for it now and then are lucky with some.
var outages = []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, 45 * time.Second, time.Minute}

// phases are what is measured, in seconds and in the order in which it happens:
// from power on to scan results, from connect to ready, from the access point's
// power loss to the default route through the cable, from its return to ready.
var phases = []string{"found", "ready", "failover", "returned"}

// BenchmarkReconnecting measures our daemon beside the original, by turns, with
// the same supplicant: how long it takes from power on to scan results and on. It
// prints medians. Times of an emulated machine say nothing, ratios do.
func BenchmarkReconnecting(b *testing.B) {
	// The original blocks every radio there is while Wi-Fi is off.
	const switches, away = "/dev/rfkill", "/dev/rfkill.away"
	must(b, os.Rename(switches, away))
	b.Cleanup(func() { must(b, os.Rename(away, switches)) })
	managers := []lab.Manager{lab.Ours(), lab.Reference()}
	times := map[string][][]time.Duration{}
	for _, outage := range outages {
		for _, m := range managers {
			b.Run(m.Name, func(b *testing.B) {
				round := measure(b, m, outage)
				times[m.Name] = append(times[m.Name], round)
				b.ReportMetric(0, "ns/op") // which leaves it out
				for i, phase := range phases {
					b.ReportMetric(round[i].Seconds(), phase)
				}
			})
		}
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "median of %d\t%s\t%s\tratio\n", len(outages), managers[0].Name, managers[1].Name)
	for i, phase := range phases {
		var medians []float64
		for _, m := range managers {
			var all []float64
			for _, round := range times[m.Name] {
				all = append(all, round[i].Seconds())
			}
			if len(all) == 0 {
				return // the benchmark that failed has said why
			}
			slices.Sort(all)
			medians = append(medians, all[len(all)/2])
		}
		fmt.Fprintf(out, "%s\t%.2f s\t%.2f s\t%.2f\n", phase, medians[0], medians[1], medians[0]/medians[1])
	}
	out.Flush()
}

// measure goes through the phases once.
func measure(b *testing.B, m lab.Manager, outage time.Duration) []time.Duration {
	const ssid, passphrase = "Bench", "correct horse"
	s := begin(b, m)
	const config = "/etc/connman/main.conf"
	must(b, s.machine.WriteFile(config, "[General]\nPreferredTechnologies=wifi,ethernet\n"))
	b.Cleanup(func() { must(b, os.Remove(s.machine.Path(config))) })
	must(b, s.port.Up())
	b.Cleanup(func() { must(b, s.port.Down()) })
	ap := s.accessPoint("wlan1", pskNetwork(ssid, passphrase)+"channel=6\n")
	path := s.path(ssid, "psk")
	recorder := s.follow()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	b.Cleanup(cancel)
	seen := func(from int, match func(*dbus.Message) bool) time.Time {
		b.Helper()
		record, err := recorder.Wait(ctx, from, match)
		must(b, err)
		return record.At
	}
	ready := func(m *dbus.Message) bool {
		return signalled(m, path, "State") && slices.Contains([]any{"ready", "online"}, m.Body[1].(dbus.Variant).Value())
	}

	s.launch()
	s.agent("Passphrase", passphrase)
	wired, wireless := s.index("eth0"), s.index("wlan0")
	s.wantDefault(wired)

	begun := time.Now()
	from := recorder.Mark()
	s.powerOn()
	times := []time.Duration{seen(from, func(m *dbus.Message) bool { return announces(m, path) }).Sub(begun)}

	begun, from = time.Now(), recorder.Mark()
	must(b, s.call(path, "net.connman.Service.Connect").Err)
	times = append(times, seen(from, ready).Sub(begun))
	s.wantDefault(wireless)

	begun = time.Now()
	ap.stop()
	s.wantDefault(wired)
	times = append(times, time.Since(begun))

	time.Sleep(outage - time.Since(begun))
	from = recorder.Mark()
	ap.start(pskNetwork(ssid, passphrase) + "channel=6\n")
	begun = time.Now()
	return append(times, seen(from, ready).Sub(begun))
}

// signalled reports whether a message is the change of an object's property.
func signalled(m *dbus.Message, path dbus.ObjectPath, property string) bool {
	return m.Type == dbus.TypeSignal && lab.Header(m, dbus.FieldPath) == string(path) &&
		lab.Header(m, dbus.FieldMember) == "PropertyChanged" && len(m.Body) == 2 && m.Body[0] == property
}

// announces reports whether a message tells that a service is there.
func announces(m *dbus.Message, path dbus.ObjectPath) bool {
	if m.Type != dbus.TypeSignal || lab.Header(m, dbus.FieldMember) != "ServicesChanged" {
		return false
	}
	changed, _ := m.Body[0].([][]any)
	return slices.ContainsFunc(changed, func(entry []any) bool { return entry[0] == path })
}

func (s *session) index(link string) int {
	s.t.Helper()
	l, err := s.machine.Netlink.LinkByName(link)
	must(s.t, err)
	return l.Attrs().Index
}

// wantDefault waits until the machine's default route is through a link.
func (s *session) wantDefault(link int) {
	s.t.Helper()
	changes := make(chan netlink.RouteUpdate, 256)
	quit := make(chan struct{})
	defer close(quit)
	must(s.t, s.machine.Do(func() error { return netlink.RouteSubscribe(changes, quit) }))
	deadline := time.After(patience)
	for {
		routes, err := s.machine.Netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_DST)
		must(s.t, err)
		slices.SortFunc(routes, func(a, b netlink.Route) int { return a.Priority - b.Priority })
		if len(routes) > 0 && routes[0].LinkIndex == link {
			return
		}
		select {
		case <-changes:
		case <-deadline:
			s.t.Fatalf("the default routes are %v, want one through link %d first", routes, link)
		}
	}
}
