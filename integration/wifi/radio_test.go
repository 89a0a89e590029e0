//go:build vm

package wifi

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"net.connman/integration/lab"
)

const wifiPath = dbus.ObjectPath("/net/connman/technology/wifi")

// block has another program turn the switches of all wireless radios, as
// linux/rfkill.h has it: an operation for all of kind 1.
func (s *session) block(on bool) {
	s.t.Helper()
	request := []byte{0, 0, 0, 0, 1, 3, 0, 0}
	if on {
		request[6] = 1
	}
	must(s.t, os.WriteFile("/dev/rfkill", request, 0))
}

// wantPower waits until Wi-Fi is on or off, and the switches stand so or so.
func (s *session) wantPower(powered, blocked bool) {
	s.t.Helper()
	s.eventually("Wi-Fi is powered", powered, func() (any, error) {
		p, err := s.properties(wifiPath, "Technology")
		return p["Powered"].Value(), err
	})
	for index, soft := range s.switches() {
		if soft != blocked {
			s.t.Errorf("switch %d: blocked %t, want %t", index, soft, blocked)
		}
	}
}

// switches says of each switch whether it is blocked by program: the kernel tells
// everybody who opens the device. What sysfs has is not seen from outside a
// radio's network namespace.
func (s *session) switches() map[uint32]bool {
	s.t.Helper()
	fd, err := unix.Open("/dev/rfkill", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	must(s.t, err)
	defer unix.Close(fd)
	blocked := map[uint32]bool{}
	record := make([]byte, 8)
	for {
		if _, err := unix.Read(fd, record); err == unix.EAGAIN && len(blocked) > 0 {
			return blocked
		} else if err != nil {
			s.t.Fatalf("cannot read the switches: %v", err)
		}
		blocked[binary.NativeEndian.Uint32(record)] = record[6] == 1
	}
}

// Power and the radios' switches follow each other, and so do both and
// OfflineMode; afterwards everything works. The switches are those of all radios
// there are, so no other test may run meanwhile.
func TestSwitches(t *testing.T) {
	s := begin(t, lab.Ours())
	s.run()
	power := func(on bool) {
		t.Helper()
		must(t, s.call(wifiPath, "net.connman.Technology.SetProperty", "Powered", dbus.MakeVariant(on)).Err)
	}
	offline := func(on bool) {
		t.Helper()
		must(t, s.call("/", "net.connman.Manager.SetProperty", "OfflineMode", dbus.MakeVariant(on)).Err)
	}
	s.wantPower(true, false)
	s.block(true)
	s.wantPower(false, true)
	s.block(false)
	s.wantPower(true, false)
	power(false)
	s.wantPower(false, true)
	power(true)
	s.wantPower(true, false)
	s.block(true)
	s.wantPower(false, true)
	power(true)
	s.wantPower(true, false)
	offline(true)
	s.wantPower(false, true)
	power(true)
	s.wantPower(true, false)
	offline(false)
	s.wantPower(true, false)
	s.accessPoint("wlan1", pskNetwork("Loft", "correct horse"))
	s.join("Loft", "psk")
}

// address is the hardware address that the machine's adapter shows.
func (s *session) address() string {
	s.t.Helper()
	wlan, err := s.machine.Netlink.LinkByName("wlan0")
	must(s.t, err)
	return strings.ToUpper(wlan.Attrs().HardwareAddr.String())
}

// The network sees the address that it is to see, and its users do; the service
// keeps its name.
func TestAddresses(t *testing.T) {
	s := start(t)
	s.accessPoint("wlan1", pskNetwork("Quay", "correct horse"))
	path, own := s.path("Quay", "psk"), s.address()
	provision := func(policy string) {
		t.Helper()
		must(t, s.machine.WriteFile("/var/lib/connman/x.config", "[service_x]\nType=wifi\nName=Quay\nPassphrase=correct horse\nMACAddressPolicy="+policy+"\n"))
	}
	joined := func() string {
		t.Helper()
		s.wantState(path, "ready", "online")
		p, err := s.properties(path, "Service")
		must(t, err)
		shown := p["Ethernet"].Value().(map[string]dbus.Variant)["Address"].Value()
		if is := s.address(); shown != is {
			t.Errorf("the user is told of %v, the network sees %s", shown, is)
		}
		return s.address()
	}
	again := func() string {
		t.Helper()
		must(t, s.call(path, "net.connman.Service.Disconnect").Err)
		s.connect(filepath.Base(string(path)))
		return joined()
	}
	provision("stable-random")
	stable := joined()
	if stable == own || again() != stable {
		t.Errorf("own %s, first %s, now %s", own, stable, s.address())
	}
	s.restart()
	if got := joined(); got != stable {
		t.Errorf("after a restart %s, want %s", got, stable)
	}
	provision("random")
	s.eventually("the policy is another", true, func() (any, error) {
		a, b := again(), again()
		return a != stable && a != own && a != b, nil
	})
	must(t, s.daemon.Stop(patience))
	if got := s.address(); got != own {
		t.Errorf("left behind with %s, want %s", got, own)
	}
}

// The client's JSON has what the original's interface does not tell, of networks
// that are only heard and of the one in use.
func TestDiagnostics(t *testing.T) {
	s := start(t)
	s.accessPoint("wlan1", openNetwork("Lens"))
	path := s.path("Lens", "none")
	s.wantSeen(path, true)
	diagnosis := func() (d struct {
		BSSID, Why      string
		Frequency, Rate uint32
	}) {
		t.Helper()
		out, err := s.ctl("services", "--json", filepath.Base(string(path)))
		must(t, err)
		line := struct{ Diagnostics any }{&d}
		must(t, json.Unmarshal([]byte(out), &line))
		return d
	}
	radio, err := s.house.Netlink.LinkByName("wlan1")
	must(t, err)
	bssid := strings.ToUpper(radio.Attrs().HardwareAddr.String())
	if d := diagnosis(); d.BSSID != bssid || d.Frequency != 2412 || d.Rate != 0 || d.Why != "the user to connect it" {
		t.Errorf("heard: %+v, want %s", d, bssid)
	}
	s.join("Lens", "none")
	if d := diagnosis(); d.BSSID != bssid || d.Frequency != 2412 || d.Rate == 0 || d.Why != "" {
		t.Errorf("in use: %+v, want %s", d, bssid)
	}
}
