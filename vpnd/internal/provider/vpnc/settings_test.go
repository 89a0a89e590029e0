package vpnc

import (
	"strings"
	"testing"

	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/core"
)

func TestConfiguration(t *testing.T) {
	s := core.Settings{
		Text: map[string]string{
			"Host": "vpn.example.org", keyGroup: "office", "VPNC.Domain": "CORP", "VPNC.SingleDES": "Yes",
			"VPNC.NoEncryption": "no", "VPNC.Vendor": cleared, "VPNC.LocalPort": "500",
		},
		Secrets: map[string]logx.Secret{keyGroupSecret: "a b#c", keyUsername: "alice", keyPassword: cleared},
	}
	want := strings.Join([]string{
		"IPSec gateway vpn.example.org", "IPSec ID office", "IPSec secret a b#c", "Xauth username alice", "Domain CORP",
		"Local Port 500", "Cisco UDP Encapsulation Port 0", "NAT Traversal Mode cisco-udp", "Enable Single DES", "",
	}, "\n")
	if got := configuration(values(s)).Reveal(); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestKeys(t *testing.T) {
	checks := map[string]core.Key{}
	for _, k := range keys() {
		checks[k.Name] = k
	}
	for _, name := range []string{keyGroupSecret, keyPassword, keyUsername} {
		if !checks[name].Secret {
			t.Error(name, "is shown")
		}
	}
	for _, test := range []struct {
		key, value string
		ok         bool
	}{
		{"VPNC.NATTMode", "force-natt", true}, {"VPNC.NATTMode", "natt; reboot", false},
		{"VPNC.LocalPort", "0", true}, {"VPNC.LocalPort", "65536", false}, {"VPNC.LocalPort", "-1", false},
		{"VPNC.IKE.DHGroup", "dh2", true}, {"VPNC.IKE.DHGroup", "dh3", false},
		{keyDebug, "3", true}, {keyDebug, "99", false}, // it would show secrets
		{keyDeviceType, "tap", true}, {keyDeviceType, "bridge", false},
		{keyGroup, "office\nScript /bin/sh", false}, {"VPNC.SingleDES", "maybe", false},
	} {
		if err := checks[test.key].CheckValue(test.value); (err == nil) != test.ok {
			t.Errorf("%s = %q: %v", test.key, test.value, err)
		}
	}
}

// Users are asked for what is not known, and never for more than they know.
func TestQuestion(t *testing.T) {
	all := map[string]string{keyGroupSecret: "g", keyUsername: "u", keyPassword: "p"}
	for name, test := range map[string]struct {
		values  map[string]string
		refused bool
		want    string
	}{
		"nothing known":   {nil, false, keyGroupSecret + " mandatory, " + keyUsername + " mandatory, " + keyPassword + " mandatory"},
		"group known":     {map[string]string{keyGroupSecret: "g"}, false, keyUsername + " mandatory, " + keyPassword + " mandatory"},
		"password wanted": {map[string]string{keyGroupSecret: "g", keyUsername: "u"}, false, keyPassword + " mandatory"},
		"all known":       {all, false, ""},
		"refused":         {all, true, keyGroupSecret + " optional, " + keyUsername + " mandatory, " + keyPassword + " mandatory"},
	} {
		a := &attempt{values: test.values}
		q, ok := a.question(test.refused)
		var got []string
		for _, f := range q.Fields {
			if f.Key != f.Name {
				t.Errorf("%s: %s is saved as %q", name, f.Name, f.Key)
			}
			got = append(got, f.Name+" "+f.Requirement)
		}
		if list := strings.Join(got, ", "); list != test.want || ok != (test.want != "") || (q.Failure != "") != test.refused || !q.Save {
			t.Errorf("%s: asks for %s (%v), want %s", name, list, ok, test.want)
		}
	}
}
