//go:build vm

package wifi

import (
	"testing"

	"github.com/godbus/dbus/v5"

	"net.connman/integration/lab"
)

// OfflineMode is remembered, and whether Wi-Fi was on is, too; what was connected
// is again when that is over. The switches are those of the house's radios as well:
// no other test may run meanwhile, and the access point starts anew.
func TestPowerIsRemembered(t *testing.T) {
	s := begin(t, lab.Ours())
	s.run()
	t.Cleanup(func() { s.block(false) })
	ap := s.accessPoint("wlan1", pskNetwork("Airplane", "correct horse"))
	path := s.join("Airplane", "psk")
	restart := func() {
		t.Helper()
		must(t, s.daemon.Stop(patience))
		s.launch()
	}
	again := func() {
		t.Helper()
		s.wantPower(true, false)
		ap.stop()
		ap.start(pskNetwork("Airplane", "correct horse"))
		s.connected("Airplane", "psk")
	}

	must(t, s.call("/", "net.connman.Manager.SetProperty", "OfflineMode", dbus.MakeVariant(true)).Err)
	s.wantPower(false, true)
	s.wantSeen(path, false)
	restart()
	p, err := s.properties("/", "Manager")
	must(t, err)
	if p["OfflineMode"].Value() != true {
		t.Error("OfflineMode is forgotten")
	}
	s.wantPower(false, true)
	must(t, s.call("/", "net.connman.Manager.SetProperty", "OfflineMode", dbus.MakeVariant(false)).Err)
	again()

	must(t, s.call(wifiPath, "net.connman.Technology.SetProperty", "Powered", dbus.MakeVariant(false)).Err)
	restart()
	s.wantPower(false, true)
	must(t, s.call(wifiPath, "net.connman.Technology.SetProperty", "Powered", dbus.MakeVariant(true)).Err)
	again()
}
