package wifi

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/tech/techtest"
)

// A key whose passphrase is the name of its file system is opened with that; without
// its file the network is not joined, but tried again.
func TestKeyOfItsFileSystem(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := exec.Command("stat", "-f", "-c", "%i", key).Output()
	if err != nil {
		t.Fatal(err)
	}
	techtest.Run(t, func(w *techtest.World) {
		r := newRadio(w)
		w.Do(func() {
			w.Manager.SetSpecs([]core.ServiceSpec{{File: "f", Entry: "e", Type: core.Wifi, Wifi: &core.WifiSpec{
				SSID: "work", Security: "ieee8021x", EAP: "tls", Identity: "me",
				PrivateKeyFile: key, PrivateKeyPassphrase: "another one", PrivateKeyPassphraseType: "fsid"}}})
		})
		a := r.plug("wlan0")
		a.appear(accessPoint("work", -50, "wpa-eap"))
		s := r.service()
		wantState(t, r, s, core.Configuration)
		for _, profile := range a.networks {
			if got, _ := profile.Get("private_key_passwd"); got != strings.TrimSpace(string(id)) {
				t.Errorf("the key's passphrase is %v, want %s", got, id)
			}
		}
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		w.Do(func() { s.Disconnect(func(error) {}) })
		w.Do(func() { s.Connect("", func(error) {}) })
		wantState(t, r, s, core.Failed)
	})
}
