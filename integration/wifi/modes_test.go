//go:build vm

package wifi

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// mode is one kind of access point and what lets machines in.
type mode struct {
	name       string
	config     string // of hostapd, without the SSID
	security   string
	passphrase string
}

const rawKey = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

// oddPassphrase has what files and programs like to misread.
const oddPassphrase = `"correct" horse; 50 % #1`

var modes = []mode{
	{"open", "", "none", ""},
	{"WEP", "wep_default_key=0\nwep_key0=\"abcde\"\n", "wep", "abcde"},
	{"WEP with a key of 26 digits", "wep_default_key=0\nwep_key0=" + rawKey[:26] + "\n", "wep", rawKey[:26]},
	{"WPA", "wpa=1\nwpa_key_mgmt=WPA-PSK\nwpa_pairwise=TKIP\nwpa_passphrase=correct horse\n", "psk", "correct horse"},
	{"WPA2", "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=" + oddPassphrase + "\n", "psk", oddPassphrase},
	{"WPA2 with a raw key", "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_psk=" + rawKey + "\n", "psk", rawKey},
	{"WPA2 and WPA3", "wpa=2\nwpa_key_mgmt=WPA-PSK SAE\nrsn_pairwise=CCMP\nieee80211w=1\nwpa_passphrase=correct horse\n", "psk", "correct horse"},
	{"WPA3", "wpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2\nsae_password=" + oddPassphrase + "\n", "psk", oddPassphrase},
	{"WPA3 with hash-to-element", "wpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2\nsae_pwe=1\nsae_password=correct horse\n", "psk", "correct horse"},
	{"OWE", "wpa=2\nwpa_key_mgmt=OWE\nrsn_pairwise=CCMP\nieee80211w=2\n", "none", ""},
}

// Every kind of security, with the user's answer, and with what is saved of it when
// the daemon is started again.
func TestModes(t *testing.T) {
	s := start(t)
	for i, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s := s.in(t)
			ssid := fmt.Sprintf("mode %d", i)
			s.accessPoint("wlan1", "ssid="+ssid+"\n"+m.config)
			path := s.path(ssid, m.security)
			s.wantSeen(path, true)
			args := []string{filepath.Base(string(path))}
			if strings.HasPrefix(m.name, "WPA3") { // which finds out in a way of its own
				if out, err := s.ctl("connect", args[0], "--passphrase-file", s.secretFile("wrong horse")); err == nil {
					t.Fatalf("connected with the wrong passphrase: %q", out)
				}
			}
			if m.passphrase != "" {
				args = append(args, "--passphrase-file", s.secretFile(m.passphrase))
			}
			s.connect(args...)
			s.connected(ssid, m.security)
			s.restart()
			s.connected(ssid, m.security)
			must(t, s.call(path, "net.connman.Service.Remove").Err)
		})
	}
}

// in is the same session for a part of the test.
func (s *session) in(t *testing.T) *session {
	part := *s
	part.t = t
	t.Cleanup(func() { s.daemon = part.daemon })
	return &part
}

// unprovision takes away what a file said of a service: the network is left.
func (s *session) unprovision(name string, path dbus.ObjectPath) {
	s.t.Helper()
	must(s.t, os.Remove(s.machine.Path("/var/lib/connman/"+name+".config")))
	s.eventually("the service is idle and nobody's", true, func() (any, error) {
		p, err := s.properties(path, "Service")
		return p["Immutable"].Value() == false && p["Favorite"].Value() == false && p["State"].Value() == "idle", err
	})
}

// Every kind of security, by a provisioning file and without a user.
func TestProvisioned(t *testing.T) {
	s := start(t)
	for i, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s := s.in(t)
			ssid := fmt.Sprintf("file %d", i)
			s.accessPoint("wlan1", "ssid="+ssid+"\n"+m.config)
			text := "[service_x]\nType=wifi\nName=" + ssid + "\n"
			if m.passphrase != "" {
				text += "Passphrase=" + m.passphrase + "\n"
			}
			if m.security == "wep" {
				text += "Security=wep\n"
			}
			must(t, s.machine.WriteFile("/var/lib/connman/x.config", text))
			s.connected(ssid, m.security)
			p, err := s.properties(s.path(ssid, m.security), "Service")
			must(t, err)
			if p["Immutable"].Value() != true {
				t.Errorf("the service is %v", p)
			}
			s.unprovision("x", s.path(ssid, m.security))
		})
	}
}

// A file with a passphrase that is out of date, and then with the right one: nobody
// waits for the next attempt of those that come ever more seldom.
func TestProvisionedAnew(t *testing.T) {
	s := start(t)
	s.accessPoint("wlan1", pskNetwork("Moved", "correct horse"))
	path := s.path("Moved", "psk")
	provision := func(passphrase string) {
		t.Helper()
		must(t, s.machine.WriteFile("/var/lib/connman/x.config", "[service_x]\nType=wifi\nName=Moved\nPassphrase="+passphrase+"\n"))
	}
	provision("former horse")
	s.eventually("the service's error", "invalid-key", func() (any, error) {
		p, err := s.properties(path, "Service")
		return p["Error"].Value(), err
	})
	provision("correct horse")
	s.connected("Moved", "psk")
	s.unprovision("x", path)
}

// A network that does not tell its name is joined by it, and found again.
func TestHidden(t *testing.T) {
	s := start(t)
	s.accessPoint("wlan1", pskNetwork("Cellar", "correct horse")+"ignore_broadcast_ssid=1\n")
	hidden := dbus.ObjectPath(strings.Replace(string(s.path("", "psk")), "__", "_hidden_", 1))
	s.wantSeen(hidden, true)
	if out, err := s.ctl("connect", "--hidden", "Attic", "--passphrase-file", s.secretFile("correct horse")); err == nil {
		t.Errorf("connected to a network that is not there: %q", out)
	}
	s.connect("--hidden", "Cellar", "--passphrase-file", s.secretFile("correct horse"))
	s.connected("Cellar", "psk")
	s.restart()
	s.connected("Cellar", "psk")
}

// A file names a network that does not tell its name, one by its SSID in digits.
func TestHiddenProvisioned(t *testing.T) {
	s := start(t)
	s.accessPoint("wlan1", pskNetwork("Vault", "correct horse")+"ignore_broadcast_ssid=2\n")
	must(t, s.machine.WriteFile("/var/lib/connman/x.config", fmt.Sprintf(
		"[service_x]\nType=wifi\nSSID=%x\nHidden=true\nPassphrase=correct horse\n", "Vault")))
	s.connected("Vault", "psk")
}

const wpsButton = "wps_state=2\neap_server=1\nconfig_methods=push_button\n"

// The access point's button is pressed, so nobody is asked for a passphrase. What it
// gives is saved.
func TestButton(t *testing.T) {
	s := start(t)
	ap := s.accessPoint("wlan1", pskNetwork("Button", "correct horse")+wpsButton)
	path := s.path("Button", "psk")
	s.wantSeen(path, true)
	ap.tell("wps_pbc")
	s.ctl("scan", "wifi")
	s.eventually("the button is pressed", true, func() (any, error) {
		p, err := s.properties(path, "Service")
		return strings.Contains(fmt.Sprint(p["Security"]), "wps_advertising"), err
	})
	must(t, s.call(path, "net.connman.Service.Connect").Err)
	s.connected("Button", "psk")
	s.restart()
	s.connected("Button", "psk")
}

// The user is asked for a passphrase, chooses the button, and presses it then.
func TestButtonInAnswer(t *testing.T) {
	s := start(t)
	ap := s.accessPoint("wlan1", pskNetwork("Doorbell", "correct horse")+wpsButton)
	path := s.path("Doorbell", "psk")
	s.wantSeen(path, true)
	asked := s.agent("WPS", "")
	call := s.conn.Object("net.connman", path).Go("net.connman.Service.Connect", 0, nil)
	<-asked
	ap.tell("wps_pbc")
	must(t, (<-call.Done).Err)
	s.connected("Doorbell", "psk")
}
