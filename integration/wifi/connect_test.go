//go:build vm

package wifi

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"

	"net.connman/integration/lab"
)

// connected waits until a service carries traffic, and checks what the kernel
// has.
func (s *session) connected(ssid, security string) {
	s.t.Helper()
	s.wantState(s.path(ssid, security), "ready", "online")
	wlan, err := s.machine.Netlink.LinkByName("wlan0")
	must(s.t, err)
	s.eventually("wlan0 has an address of the house", true, func() (any, error) {
		addrs, err := s.machine.Netlink.AddrList(wlan, netlink.FAMILY_V4)
		return len(addrs) == 1 && strings.HasPrefix(addrs[0].IP.String(), "10.77."), err
	})
}

// connect connects by the client.
func (s *session) connect(args ...string) {
	s.t.Helper()
	if out, err := s.ctl(append([]string{"connect"}, args...)...); err != nil {
		s.t.Fatalf("connect: %q, %v", out, err)
	}
}

// join connects to a network with the passphrase "correct horse", or without
// any, and waits for it.
func (s *session) join(ssid, security string) dbus.ObjectPath {
	s.t.Helper()
	path := s.path(ssid, security)
	s.wantSeen(path, true)
	args := []string{filepath.Base(string(path))}
	if security != "none" {
		args = append(args, "--passphrase-file", s.secretFile("correct horse"))
	}
	s.connect(args...)
	s.connected(ssid, security)
	return path
}

// secretFile is a file with a passphrase.
func (s *session) secretFile(passphrase string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "passphrase")
	must(s.t, os.WriteFile(path, []byte(passphrase+"\n"), 0o600))
	return path
}

// Scan, see, connect: an open network by the client.
func TestOpen(t *testing.T) {
	s := start(t)
	s.accessPoint("wlan1", openNetwork("Café"))
	path := s.path("Café", "none")
	s.wantSeen(path, true)
	if out, err := s.ctl("scan", "wifi"); err != nil || out != "Scan completed for wifi\n" {
		t.Errorf("scan: %q, %v", out, err)
	}
	p, err := s.properties(path, "Service")
	must(t, err)
	if strength, _ := p["Strength"].Value().(byte); strength < 50 || p["Name"].Value() != "Café" {
		t.Errorf("the service is %v", p)
	}
	s.connect(filepath.Base(string(path)))
	s.connected("Café", "none")
}

// A network with a passphrase, by the client with a file; remembered only since
// it served. After that by itself: when the daemon is started again, and when the
// access point comes back.
func TestPassphrase(t *testing.T) {
	s := start(t)
	ap := s.accessPoint("wlan1", pskNetwork("Home", "correct horse"))
	path := s.path("Home", "psk")
	s.wantSeen(path, true)
	id := filepath.Base(string(path))
	settings := s.machine.Path("/var/lib/connman/" + id + "/settings")

	if out, err := s.ctl("connect", id, "--passphrase-file", s.secretFile("wrong horse")); err == nil {
		t.Fatalf("connected with the wrong passphrase: %q", out)
	}
	if text, err := os.ReadFile(settings); err == nil {
		t.Errorf("what is wrong was saved:\n%s", text)
	}
	s.connect(id, "--passphrase-file", s.secretFile("correct horse"))
	s.connected("Home", "psk")
	must(t, lab.Eventually(patience, func() error { // no signal tells of it
		text, err := os.ReadFile(settings)
		if err == nil && !strings.Contains(string(text), "Passphrase=correct horse\n") {
			err = fmt.Errorf("the passphrase is not saved:\n%s", text)
		}
		return err
	}))
	if info, err := os.Stat(settings); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("settings have mode %v, %v", info.Mode(), err)
	}

	s.restart()
	s.connected("Home", "psk")

	ap.stop()
	s.wantSeen(path, false)
	ap.start(pskNetwork("Home", "correct horse"))
	s.connected("Home", "psk")

	logs, err := os.ReadFile(s.daemon.Log)
	must(t, err)
	if strings.Contains(string(logs), "horse") {
		t.Error("the log tells a passphrase")
	}
}

// A network learns WPA3 and then forgets what was before it: it stays the same
// service, and what is saved of it serves.
func TestNetworkLearnsWPA3(t *testing.T) {
	s := start(t)
	ap := s.accessPoint("wlan1", pskNetwork("Renewed", "correct horse"))
	path := s.join("Renewed", "psk")
	for _, config := range []string{
		"ssid=Renewed\nwpa=2\nwpa_key_mgmt=WPA-PSK SAE\nrsn_pairwise=CCMP\nieee80211w=1\nwpa_passphrase=correct horse\n",
		saeNetwork("Renewed", "correct horse"),
	} {
		ap.stop()
		s.eventually("the connection is lost", true, func() (any, error) {
			p, _ := s.properties(path, "Service") // which may be gone, too
			state := p["State"].Value()
			return state != "ready" && state != "online", nil
		})
		ap.start(config)
		s.connected("Renewed", "psk")
	}
}

// The supplicant dies and another one comes: what was connected is again.
func TestSupplicantRestarts(t *testing.T) {
	s := start(t)
	s.accessPoint("wlan1", openNetwork("Plain"))
	path := s.join("Plain", "none")
	s.supplicant.Kill()
	s.wantSeen(path, false)
	s.startSupplicant(t)
	s.connected("Plain", "none")
}

// Somebody takes the adapter from the supplicant: it is given back, and what was
// connected is again.
func TestSupplicantLosesAdapter(t *testing.T) {
	s := start(t)
	s.accessPoint("wlan1", openNetwork("Keeper"))
	s.join("Keeper", "none")
	recorder := s.follow()
	root := s.conn.Object(wpaName, wpaRoot)
	var adapter dbus.ObjectPath
	must(t, root.Call(wpaName+".GetInterface", 0, "wlan0").Store(&adapter))
	must(t, root.Call(wpaName+".RemoveInterface", 0, adapter).Err)
	ctx, cancel := s.patient()
	defer cancel()
	_, err := recorder.Wait(ctx, 0, func(m *dbus.Message) bool {
		return m.Type == dbus.TypeMethodCall && lab.Header(m, dbus.FieldMember) == "CreateInterface"
	})
	must(t, err)
	s.connected("Keeper", "none")
}
