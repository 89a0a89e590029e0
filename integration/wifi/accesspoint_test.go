//go:build vm

package wifi

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"net.connman/integration/lab"
)

// accessPoint is one radio of the house that offers a network.
type accessPoint struct {
	t       testing.TB
	house   *lab.Host
	radio   string
	process *lab.Process
}

// openNetwork is a network without protection, and pskNetwork one with a
// passphrase, as hostapd is told.
func openNetwork(ssid string) string { return "ssid=" + ssid + "\n" }

func pskNetwork(ssid, passphrase string) string {
	return fmt.Sprintf("ssid=%s\nwpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=%s\n", ssid, passphrase)
}

func saeNetwork(ssid, passphrase string) string {
	return fmt.Sprintf("ssid=%s\nwpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2\nsae_password=%s\n", ssid, passphrase)
}

// accessPoint starts a network on one of the house's radios, wlan1 and so on. It
// ends with the test.
func (s *session) accessPoint(radio, config string) *accessPoint {
	s.t.Helper()
	ap := &accessPoint{t: s.t, house: s.house, radio: radio}
	ap.start(config)
	s.t.Cleanup(ap.stop)
	return ap
}

// start switches the access point on.
func (ap *accessPoint) start(config string) {
	ap.t.Helper()
	name := "/etc/hostapd-" + ap.radio + ".conf"
	must(ap.t, ap.house.WriteFile(name, "interface="+ap.radio+"\nbridge=home\ndriver=nl80211\nhw_mode=g\nchannel=1\nctrl_interface="+
		ap.house.Path(control)+"\n"+config))
	log, err := os.Create(ap.house.Path("/run/hostapd-" + ap.radio + ".log"))
	must(ap.t, err)
	defer log.Close()
	cmd := exec.Command(peer("hostapd/usr/sbin/hostapd"), "-t", ap.house.Path(name))
	cmd.Stdout, cmd.Stderr = log, log
	ap.process, err = ap.house.Start(cmd)
	must(ap.t, err)
	must(ap.t, hasten(ap.process))
	must(ap.t, lab.Eventually(patience, func() error {
		said, err := os.ReadFile(log.Name())
		select {
		case <-ap.process.Done():
			ap.t.Fatalf("hostapd ended:\n%s", said)
		default:
		}
		if err == nil && !strings.Contains(string(said), "AP-ENABLED") {
			err = fmt.Errorf("%s is not on yet:\n%s", ap.radio, said)
		}
		return err
	}))
}

// control is where hostapd takes orders.
const control = "/run/hostapd"

// tell orders the access point to do something.
func (ap *accessPoint) tell(words ...string) {
	ap.t.Helper()
	cmd := exec.Command(peer("hostapd/usr/sbin/hostapd_cli"),
		append([]string{"-p", ap.house.Path(control), "-i", ap.radio}, words...)...)
	if out, err := ap.house.Output(cmd); err != nil || !strings.Contains(string(out), "OK") {
		ap.t.Fatalf("hostapd_cli %v: %s %v", words, out, err)
	}
}

// stop switches it off without a word to anybody, as if its plug were pulled.
func (ap *accessPoint) stop() { ap.process.Kill() }
