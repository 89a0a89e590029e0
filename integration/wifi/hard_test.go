//go:build vm

package wifi

import (
	"os"
	"testing"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// A switch that no program can turn takes Wi-Fi down, refuses to have it powered by
// the user, and leaves it as it was when it is turned back. Simulated radios have no
// such switch, so the daemon gets a device that the test speaks for.
func TestHardSwitch(t *testing.T) {
	s, f := startBeside(t)
	f.onScan(func() { f.appear(0, "cockpit", -50, nil) })
	device := s.machine.Path("/run/switches")
	must(t, unix.Mkfifo(device, 0o600))
	must(t, s.machine.Do(func() error { return unix.Mount("/run/switches", "/dev/rfkill", "", unix.MS_BIND, "") }))
	t.Cleanup(func() {
		must(t, s.machine.Do(func() error { return unix.Unmount("/dev/rfkill", unix.MNT_DETACH) }))
		must(t, os.Remove(device))
	})
	kernel, err := os.OpenFile(device, os.O_RDWR, 0)
	must(t, err)
	defer kernel.Close()
	turn := func(operation, hard byte) { // linux/rfkill.h: switch 0, of a wireless radio
		t.Helper()
		_, err := kernel.Write([]byte{0, 0, 0, 0, 1, operation, 0, hard})
		must(t, err)
	}
	const appear, change = 0, 2
	powered := func(want bool) {
		t.Helper()
		s.eventually("Wi-Fi is powered", want, func() (any, error) {
			p, err := s.properties(wifiPath, "Technology")
			return p["Powered"].Value(), err
		})
	}
	path := s.path("cockpit", "psk")

	turn(appear, 0)
	s.run()
	s.wantSeen(path, true)
	turn(change, 1)
	powered(false)
	s.wantSeen(path, false)
	err = s.call(wifiPath, "net.connman.Technology.SetProperty", "Powered", dbus.MakeVariant(true)).Err
	if got, _ := err.(dbus.Error); got.Name != "net.connman.Error.PermissionDenied" {
		t.Errorf("powering Wi-Fi: %v", err)
	}
	turn(change, 0)
	powered(true)
	s.wantSeen(path, true)
}
