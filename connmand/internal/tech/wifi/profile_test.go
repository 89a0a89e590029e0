package wifi

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/bus"
	"net.connman/pkg/logx"
)

// What the supplicant is told of a network, for each kind of security.
func TestProfile(t *testing.T) {
	raw := strings.Repeat("0fA5", 16)
	key := bytes.Repeat([]byte{0x0f, 0xa5}, 16)
	tls := &core.WifiSpec{EAP: "tls", Identity: "me", CACertFile: "/ca", ClientCertFile: "/cert", PrivateKeyFile: "/key",
		PrivateKeyPassphrase: "hush", DomainSuffixMatch: "home.test"}
	ttls := &core.WifiSpec{EAP: "ttls", Phase2: "EAP-MSCHAPV2", AltSubjectMatch: "DNS:a;DNS:b", DomainMatch: "radius.home.test",
		ClientCertFile: "/cert", PrivateKeyFile: "/key"}
	peap := &core.WifiSpec{EAP: "peap", AnonymousIdentity: "anon", Phase2: "MSCHAPV2", SubjectMatch: "/CN=x"}
	for name, c := range map[string]struct {
		network     bus.Dict
		credentials core.Credentials
		want        string
	}{
		"open":   {accessPoint("x", 0), core.Credentials{}, `key_mgmt=NONE auth_alg=OPEN`},
		"hidden": {accessPoint("x", 0), core.Credentials{Hidden: true}, `scan_ssid=1 key_mgmt=NONE auth_alg=OPEN`},
		"OWE":    {accessPoint("x", 0, "owe"), core.Credentials{}, `key_mgmt=OWE ieee80211w=2`},
		"WEP of 5 characters": {bus.Dict{{Key: "SSID", Value: []byte("x")}, {Key: "Privacy", Value: true}},
			core.Credentials{Passphrase: "abcde"}, `key_mgmt=NONE auth_alg=OPEN SHARED wep_key0=[97 98 99 100 101] wep_tx_keyidx=0`},
		"WEP of 10 digits": {bus.Dict{{Key: "SSID", Value: []byte("x")}, {Key: "Privacy", Value: true}},
			core.Credentials{Passphrase: "01020304ff"}, `key_mgmt=NONE auth_alg=OPEN SHARED wep_key0=[1 2 3 4 255] wep_tx_keyidx=0`},
		"WEP of 13 characters": {bus.Dict{{Key: "SSID", Value: []byte("x")}, {Key: "Privacy", Value: true}},
			core.Credentials{Passphrase: "0123456789abc"}, `key_mgmt=NONE auth_alg=OPEN SHARED wep_key0=` + fmt.Sprint([]byte("0123456789abc")) + ` wep_tx_keyidx=0`},
		"WEP of 26 digits": {bus.Dict{{Key: "SSID", Value: []byte("x")}, {Key: "Privacy", Value: true}},
			core.Credentials{Passphrase: logx.Secret(raw[:26])}, `key_mgmt=NONE auth_alg=OPEN SHARED wep_key0=` + fmt.Sprint(key[:13]) + ` wep_tx_keyidx=0`},
		"passphrase": {accessPoint("x", 0, "wpa-psk"), core.Credentials{Passphrase: "long enough"},
			`ieee80211w=1 key_mgmt=SAE WPA-PSK WPA-PSK-SHA256 psk=long enough`},
		"raw key": {accessPoint("x", 0, "wpa-psk", "sae"), core.Credentials{Passphrase: logx.Secret(raw)},
			`ieee80211w=1 key_mgmt=WPA-PSK WPA-PSK-SHA256 psk=` + fmt.Sprint(key)},
		"raw key for WPA3": {accessPoint("x", 0, "sae"), core.Credentials{Passphrase: logx.Secret(raw)}, errRawKey.Error()},
		"no digits":        {accessPoint("x", 0, "wpa-psk"), core.Credentials{Passphrase: logx.Secret(strings.Repeat("x", 64))}, "not a key in hexadecimal digits"},
		"TLS": {accessPoint("x", 0, "wpa-eap"), core.Credentials{Identity: "me", Spec: tls},
			`key_mgmt=WPA-EAP WPA-EAP-SHA256 ieee80211w=1 eap=TLS identity=me ca_cert=/ca client_cert=/cert private_key=/key private_key_passwd=hush domain_suffix_match=home.test`},
		"PEAP": {accessPoint("x", 0, "wpa-eap"), core.Credentials{Identity: "you", Passphrase: "p", Spec: peap},
			`key_mgmt=WPA-EAP WPA-EAP-SHA256 ieee80211w=1 eap=PEAP identity=you anonymous_identity=anon subject_match=/CN=x password=p phase2=auth=MSCHAPV2`},
		"TTLS": {accessPoint("x", 0, "wpa-eap"), core.Credentials{Identity: "you", Passphrase: "p", Spec: ttls},
			`key_mgmt=WPA-EAP WPA-EAP-SHA256 ieee80211w=1 eap=TTLS identity=you client_cert=/cert private_key=/key altsubject_match=DNS:a;DNS:b domain_match=radius.home.test password=p phase2=autheap=MSCHAPV2`},
		"not provisioned": {accessPoint("x", 0, "wpa-eap"), core.Credentials{}, "a network of 802.1X needs a provisioning file"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &bss{}
			if err := h.take(c.network); err != nil {
				t.Fatal(err)
			}
			n := &network{a: &adapter{b: &Bearer{}}, ssid: h.ssid, security: h.security(), members: map[bus.ObjectPath]*bss{"/1": h}}
			dict, err := n.profile(c.credentials)
			got := ""
			for _, e := range dict {
				if e.Key != "ssid" {
					got += fmt.Sprintf(" %s=%v", e.Key, e.Value)
				}
			}
			got = strings.TrimSpace(got)
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPhase2(t *testing.T) {
	for _, c := range [][3]string{
		{"peap", "MSCHAPV2", "auth=MSCHAPV2"}, {"ttls", "PAP", "auth=PAP"}, {"ttls", "GTC", "autheap=GTC"},
		{"peap", "GTC", "auth=GTC"}, {"ttls", "EAP-MD5", "autheap=MD5"}, {"peap", "", ""},
	} {
		if got := phase2(c[0], c[1]); got != c[2] {
			t.Errorf("phase2(%s, %s) is %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// FuzzBSS gives an access point any properties: either they are refused, or what
// comes of them can be shown and stored.
func FuzzBSS(f *testing.F) {
	f.Add([]byte("home"), "infrastructure", int16(-50), true, "wpa-psk")
	f.Add([]byte{}, "ad-hoc", int16(0), false, "")
	f.Add(make([]byte, 32), "", int16(-32768), true, "owe")
	f.Add(make([]byte, 33), "infrastructure", int16(32767), true, "sae")
	f.Add([]byte("\xff\x00\x1b["), "infrastructure", int16(1), true, "wpa-eap")
	f.Fuzz(func(t *testing.T, ssid []byte, mode string, signal int16, privacy bool, way string) {
		h := &bss{}
		err := h.take(bus.Dict{{Key: "SSID", Value: ssid}, {Key: "Mode", Value: mode}, {Key: "Signal", Value: signal},
			{Key: "Privacy", Value: privacy}, {Key: "RSN", Value: bus.Dict{{Key: "KeyMgmt", Value: []string{way}}}}})
		if (err != nil) != (len(ssid) > maxSSID) {
			t.Fatalf("an SSID of %d bytes: %v", len(ssid), err)
		}
		if name := displayName(h.ssid); !utf8.ValidString(name) || strings.Contains(name, "\x00") {
			t.Errorf("name %q cannot be sent", name)
		}
		if s := h.strength(); s > 100 {
			t.Errorf("strength %d", s)
		}
		if strings.ContainsFunc(h.group(), func(r rune) bool { return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
			t.Errorf("group %q cannot be a path", h.group())
		}
	})
}

// Better access points are looked for as the configuration says, or not at all.
func TestBackgroundScan(t *testing.T) {
	for scan, want := range map[bool]string{true: "simple:20:-70:600", false: ""} {
		roaming := core.RoamingScan{Short: 20 * time.Second, Threshold: -70, Long: 10 * time.Minute}
		a := &adapter{b: &Bearer{Config: Config{BackgroundScan: scan, Roaming: roaming}}}
		n := &network{a: a, ssid: "x", security: core.SecurityNone}
		dict, err := n.profile(core.Credentials{})
		if got, _ := bus.Lookup[string](dict, "bgscan"); got != want || err != nil {
			t.Errorf("with background scanning %t: %q, %v", scan, got, err)
		}
	}
}
