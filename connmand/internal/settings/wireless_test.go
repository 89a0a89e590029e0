package settings

import (
	"bytes"
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
		saved := core.ServiceSettings{Name: "lab", Favorite: true, SSID: "l\x00b\xff", Hidden: true, Passphrase: passphrase}
		s.SaveService(id, saved)
		s.Flush()
		got, found := load(t, s, id)
		if !found || got.Passphrase != passphrase || got.SSID != saved.SSID || !got.Hidden {
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

// Only favourites that hide their SSID are asked for by name; what is broken is
// passed over.
func TestLoadHidden(t *testing.T) {
	dir := t.TempDir()
	const rest = "AutoConnect=true\nModified=2026-01-01T00:00:00Z\n"
	for id, text := range map[string]string{
		"wifi_020000000001_6c6162_managed_psk":  "SSID=6c6162\nFavorite=true\nHidden=true\n",
		"wifi_020000000001_6c6163_managed_psk":  "SSID=6c6163\nFavorite=true\n",
		"wifi_020000000001_6c6164_managed_psk":  "SSID=6c6164\nHidden=true\n",
		"wifi_020000000001_6c6165_managed_none": "SSID=xyz\nFavorite=true\nHidden=true\n",
		"ethernet_020000000001_cable":           "SSID=6c6166\nFavorite=true\nHidden=true\n",
	} {
		write(t, filepath.Join(dir, id, "settings"), "["+id+"]\n"+text+rest)
	}
	write(t, filepath.Join(dir, "wifi_broken", "settings"), "no key file")
	if err := os.Mkdir(filepath.Join(dir, "wifi_empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, _, _ := open(t, dir)
	answers := make(chan []string, 1)
	s.loop.Post("test", func() { s.LoadHidden(func(ssids []string) { answers <- ssids }) })
	select {
	case got := <-answers:
		if !slices.Equal(got, []string{"lab"}) {
			t.Errorf("asks for %q", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
	}
}
