//go:build netns

package wired

import (
	"testing"

	"net.connman/integration/lab"
)

// TestSignalsComeInTheReferencesOrder puts the same steps to both daemons. The
// expectations are what both send; the reference repeats itself here and there
// and shows a step by way of configuration when it disconnects.
func TestSignalsComeInTheReferencesOrder(t *testing.T) {
	t.Parallel()
	for _, m := range []lab.Manager{lab.Ours(), lab.Reference()} {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2, nil)
			must(t, w.Unplug())
			w.run(m)
			w.untilSignals(0, `Manager.TechnologyAdded ethernet "Name": <"Wired"> "Powered": <false> "Tethering": <false> "TetheringFreq": <0>`,
				`ObjectManager.InterfacesAdded ethernet "net.connman.Technology": Introspectable`,
				`Technology.PropertyChanged "Powered" <true>`)

			from := w.recorder.Mark()
			must(t, w.Ports[0].Up())
			w.waitSignal(from, "Manager.ServicesChanged", w.serviceID(0)+`", {"AutoConnect"`)
			w.untilState(0, "online")
			w.untilSignals(from, `InterfacesAdded `+w.serviceID(0), `Technology.PropertyChanged "Connected" <true>`,
				`Manager.PropertyChanged "State" <"ready">`, `Manager.PropertyChanged "State" <"online">`)

			from = w.recorder.Mark()
			w.do(w.servicePath(0), "Service.Disconnect")
			w.untilSignals(from, `"State" <"disconnect">`, `"Timeservers" []`, `"Domains" []`, `"Proxy" {}`, `"State" <"idle">`)
			w.untilSignals(from, `Technology.PropertyChanged "Connected" <false>`, `Manager.PropertyChanged "State" <"idle">`,
				`"IPv4" {}`, `"Nameservers" []`)

			from = w.recorder.Mark()
			w.do(w.servicePath(0), "Service.Connect")
			w.untilSignals(from, `"State" <"configuration">`, `"Domains" "home.test"`, `"State" <"ready">`, `"Timeservers"`,
				`"Domains" "home.test"`, `"Proxy"`, `Technology.PropertyChanged "Connected" <true>`,
				`Manager.PropertyChanged "State" <"ready">`, `Service.PropertyChanged "IPv4" "Address": "Gateway": "Method": "Netmask":`,
				`"Nameservers" ["10.77.0.1"]`, `Service.PropertyChanged "State" <"online">`, `Manager.PropertyChanged "State" <"online">`)

			// A service that appears beside others is described whole, the
			// others by their place alone.
			from = w.recorder.Mark()
			must(t, w.Ports[1].Up())
			w.untilSignals(from, `InterfacesAdded `+w.serviceID(1),
				`Manager.ServicesChanged [["`+string(w.servicePath(0))+`", {}], ["`+string(w.servicePath(1))+`", {"AutoConnect":`)
			w.untilState(1, "ready")

			from = w.recorder.Mark()
			w.do(w.servicePath(1), "Service.MoveBefore", w.servicePath(0))
			w.untilSignals(from, w.serviceID(0)+` Service.PropertyChanged "State" <"ready">`,
				w.serviceID(1)+` Service.PropertyChanged "State" <"online">`, `Manager.PropertyChanged "State" <"online">`)
			w.untilSignals(from, `Manager.ServicesChanged [["`+string(w.servicePath(1))+`", {}], ["`+string(w.servicePath(0))+`", {}]] @ao []`)

			from = w.recorder.Mark()
			must(t, w.Ports[1].Down())
			w.untilSignals(from, w.serviceID(1)+` "State" <"disconnect">`, `"Domains" []`, `"Proxy" {}`,
				w.serviceID(1)+` "State" <"idle">`, `InterfacesRemoved `+w.serviceID(1)+` ["org.freedesktop.DBus.Introspectable", "net.connman.Service"]`,
				`Manager.ServicesChanged [["`+string(w.servicePath(0))+`", {}]] ["`+string(w.servicePath(1))+`"]`)
			w.untilState(0, "online")

			from = w.recorder.Mark()
			must(t, w.daemon.Stop(patience))
			w.untilSignals(from, `"State" <"disconnect">`, `"State" <"idle">`, `InterfacesRemoved `+w.serviceID(0),
				`Technology.PropertyChanged "Powered" <false>`, `Manager.TechnologyRemoved `+ethernetPath,
				`InterfacesRemoved `+ethernetPath+` "net.connman.Technology"`)
			w.untilSignals(from, `Manager.ServicesChanged [] ["`+string(w.servicePath(0))+`"]`)
		})
	}
}
