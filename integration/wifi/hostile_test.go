//go:build vm

package wifi

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"

	"net.connman/integration/lab"
)

// Networks may be called anything: users are shown something that does their
// terminal no harm, and can join.
func TestHostileNames(t *testing.T) {
	s := start(t)
	names := []string{
		"\x1b]0;pwned\x07\x1b[31mred", "nul\x00in it", "caf\xe9 \xff\xfe", "line\nbreak\r\ttab",
		strings.Repeat("\xc3\xa9", 16), strings.Repeat("\x1b", 32), "right\u202eto left\u200b",
	}
	for i := 0; i < len(names); i += 3 {
		var aps []*accessPoint
		batch := names[i:min(i+3, len(names))]
		for j, name := range batch {
			aps = append(aps, s.accessPoint(fmt.Sprintf("wlan%d", j+1), "ssid2="+hex.EncodeToString([]byte(name))+"\n"))
		}
		if out, err := s.ctl("scan", "wifi"); err != nil {
			t.Fatalf("scan: %q, %v", out, err)
		}
		for j, name := range batch {
			path := s.path(name, "none")
			s.wantSeen(path, true)
			p, err := s.properties(path, "Service")
			must(t, err)
			if text, _ := p["Name"].Value().(string); text == "" || !utf8.ValidString(text) {
				t.Errorf("%q has the name %q", name, text)
			}
			out, err := s.ctl("services")
			must(t, err)
			if !strings.Contains(out, filepath.Base(string(path))) {
				t.Errorf("%q is not among\n%s", name, out)
			}
			for _, r := range out {
				if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
					t.Errorf("of %q the terminal is sent %q in\n%q", name, r, out)
					break
				}
			}
			if j == 0 {
				must(t, s.call(path, "net.connman.Service.Connect").Err)
				s.connected(name, "none")
				must(t, s.call(path, "net.connman.Service.Remove").Err)
			}
		}
		for _, ap := range aps {
			ap.stop()
		}
	}
}

// Somebody throws the machine out again and again. It comes back when that ends,
// and has not tried in vain without a pause meanwhile.
func TestThrownOut(t *testing.T) {
	s := start(t)
	ap := s.accessPoint("wlan1", pskNetwork("Bouncer", "correct horse"))
	s.join("Bouncer", "psk")
	recorder := s.follow()
	begun := time.Now()
	for range 200 {
		ap.tell("deauthenticate", "ff:ff:ff:ff:ff:ff")
	}
	took := time.Since(begun)
	s.recorded(recorder)
	attempts := 0
	for _, record := range recorder.Records(0) {
		if m := record.Message; m.Type == dbus.TypeMethodCall && lab.Header(m, dbus.FieldMember) == "SelectNetwork" {
			attempts++
		}
	}
	const pause = 3 * time.Second // between attempts, on average
	if attempts > 10+int(took/pause) {
		t.Errorf("%d attempts in %v while thrown out 200 times", attempts, took)
	}
	s.connected("Bouncer", "psk")
}
