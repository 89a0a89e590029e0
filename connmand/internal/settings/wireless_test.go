package settings

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/logx"
)

// What is remembered of wireless networks comes back, and nobody else reads the
// passphrase.
func TestWirelessSettings(t *testing.T) {
	const id = "wifi_020000000001_6c6162_managed_psk"
	dir := t.TempDir()
	s, _, out := open(t, dir)
	for _, passphrase := range []logx.Secret{`with "quotes" and \`, " leading and trailing ", "tab\tand \x7f", "ümläut", "semi;colon#hash"} {
		saved := core.ServiceSettings{Name: "lab", Favorite: true, SSID: "l\x00b\xff", Hidden: true, Passphrase: passphrase,
			Frequency: 5180, Address: core.AddressStable, Identity: "alice@work \\"}
		s.SaveService(id, saved)
		s.writer.Flush()
		got, found := load(t, s, id)
		if !found || got.Passphrase != passphrase || got.SSID != saved.SSID || !got.Hidden || got.Frequency != 5180 || got.Identity != saved.Identity || got.Address != core.AddressStable {
			t.Errorf("%q comes back as %q, of %q, hidden %t", passphrase.Reveal(), got.Passphrase.Reveal(), got.SSID, got.Hidden)
		}
	}
	info, err := os.Stat(filepath.Join(dir, id, "settings"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if bytes.Contains(out.text.Bytes(), []byte("colon")) {
		t.Error("the log tells a passphrase")
	}
}

// Favourites are known, those first that were changed last; what is broken is
// passed over.
func TestLoadKnown(t *testing.T) {
	dir := t.TempDir()
	const rest = "AutoConnect=true\nModified=2026-01-0%dT00:00:00Z\n"
	for id, text := range map[string]string{
		"wifi_020000000001_6c6162_managed_psk":  "SSID=6c6162\nFavorite=true\nHidden=true\n",
		"wifi_020000000001_6c6163_managed_psk":  "SSID=6c6163\nFavorite=true\nFrequency=5180\n",
		"wifi_020000000001_6c6164_managed_psk":  "SSID=6c6164\nHidden=true\n",
		"wifi_020000000001_6c6165_managed_none": "SSID=xyz\nFavorite=true\nHidden=true\n",
		"ethernet_020000000001_cable":           "SSID=6c6166\nFavorite=true\nHidden=true\n",
	} {
		day := int(id[len("wifi_020000000001_6c61"+"6")] - '0')
		write(t, filepath.Join(dir, id, "settings"), "["+id+"]\n"+text+fmt.Sprintf(rest, day))
	}
	write(t, filepath.Join(dir, "wifi_broken", "settings"), "no key file")
	if err := os.Mkdir(filepath.Join(dir, "wifi_empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, _, _ := open(t, dir)
	answers := make(chan []core.KnownNetwork, 1)
	s.loop.Post("test", func() { s.LoadKnown(func(known []core.KnownNetwork) { answers <- known }) })
	select {
	case got := <-answers:
		if want := []core.KnownNetwork{{SSID: "lac", Frequency: 5180}, {SSID: "lab", Hidden: true}}; !slices.Equal(got, want) {
			t.Errorf("knows %+v, want %+v", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
	}
}

// The same network's settings are found whatever adapter they were made with, the
// newest of them, and removed with all others.
func TestTwins(t *testing.T) {
	dir := t.TempDir()
	const id = "wifi_020000000009_6c6162_managed_psk"
	for other, modified := range map[string]string{
		"wifi_020000000001_6c6162_managed_psk":  "2026-01-01",
		"wifi_020000000002_6c6162_managed_psk":  "2026-01-03",
		"wifi_020000000003_6c6162_managed_psk":  "2026-01-02",
		"wifi_020000000004_6c6162_managed_none": "2026-01-09",
		"wifi_020000000005_6c61_managed_psk":    "2026-01-09",
		"wifi_020000000006_hidden_managed_psk":  "2026-01-09",
	} {
		write(t, filepath.Join(dir, other, "settings"), "["+other+"]\nName="+other+"\nModified="+modified+"T00:00:00Z\n")
	}
	s, _, _ := open(t, dir)
	twin := func(id string) string {
		answers := make(chan string, 1)
		s.loop.Post("test", func() {
			s.LoadTwin(id, func(settings core.ServiceSettings, found bool) { answers <- settings.Name })
		})
		select {
		case got := <-answers:
			return got
		case <-time.After(20 * time.Second):
			t.Fatal("no answer")
			return ""
		}
	}
	if got := twin(id); got != "wifi_020000000002_6c6162_managed_psk" {
		t.Errorf("twin %q", got)
	}
	for _, id := range []string{"wifi_020000000009_hidden_managed_psk", "wifi_020000000009_6c_managed_psk", "wifi_", "ethernet_020000000009_cable"} {
		if got := twin(id); got != "" {
			t.Errorf("%s has the twin %q", id, got)
		}
	}
	s.loop.Post("test", func() { s.RemoveTwins("wifi_020000000001_6c6162_managed_psk") })
	left, err := os.ReadDir(dir)
	for deadline := time.Now().Add(20 * time.Second); len(left) != 4 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		s.writer.Flush()
		left, err = os.ReadDir(dir)
	}
	if got := twin(id); got != "wifi_020000000001_6c6162_managed_psk" {
		t.Errorf("of three, %q is left", got)
	}
	if len(left) != 4 || err != nil {
		t.Errorf("left %v, %v", left, err)
	}
}
