package l2tp

import (
	"strings"
	"testing"

	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/ppp"
)

var place = child.Place{Dir: "/run/connman-vpn/task1"}

func TestDefaults(t *testing.T) {
	got := configuration(core.Settings{}, "alice", "192.0.2.1", place)
	want := `[global]
access control = yes
ipsec saref = no
[lns default]
[lac l2tp]
lns = 192.0.2.1
name = alice
autodial = yes
redial = yes
redial timeout = 10
require pap = no
require chap = yes
require authentication = no
pppoptfile = /run/connman-vpn/task1/ppp.conf
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Each setting is xl2tpd's of its part of the file.
func TestConfiguration(t *testing.T) {
	for key, tt := range map[string]struct{ value, part, line string }{
		"L2TP.BPS": {"1000000", "lac l2tp", "bps"}, "L2TP.TXBPS": {"500", "lac l2tp", "tx bps"}, "L2TP.RXBPS": {"600", "lac l2tp", "rx bps"},
		"L2TP.LengthBit": {"yes", "lac l2tp", "length bit"}, "L2TP.Challenge": {"yes", "lac l2tp", "challenge"},
		"L2TP.DefaultRoute": {"no", "lac l2tp", "defaultroute"}, "L2TP.FlowBit": {"yes", "lac l2tp", "flow bit"},
		"L2TP.TunnelRWS": {"8", "lac l2tp", "tunnel rws"}, "L2TP.Exclusive": {"yes", "lns default", "exclusive"},
		"L2TP.Autodial": {"no", "lac l2tp", "autodial"}, "L2TP.Redial": {"no", "lac l2tp", "redial"},
		"L2TP.RedialTimeout": {"5", "lac l2tp", "redial timeout"}, "L2TP.MaxRedials": {"3", "lac l2tp", "max redials"},
		"L2TP.RequirePAP": {"yes", "lac l2tp", "require pap"}, "L2TP.RequireCHAP": {"no", "lac l2tp", "require chap"},
		"L2TP.ReqAuth": {"yes", "lac l2tp", "require authentication"}, "L2TP.AccessControl": {"no", "global", "access control"},
		"L2TP.AuthFile": {"/etc/l2tp-secrets", "global", "auth file"}, "L2TP.ForceUserSpace": {"yes", "global", "force userspace"},
		"L2TP.ListenAddr": {"192.0.2.9", "global", "listen-addr"}, "L2TP.Rand Source": {"dev", "global", "rand source"},
		"L2TP.IPsecSaref": {"yes", "global", "ipsec saref"}, "L2TP.Port": {"1702", "global", "port"},
	} {
		file := configuration(core.Settings{Text: map[string]string{key: tt.value}}, "alice", "192.0.2.1", place)
		_, part, _ := strings.Cut(file, "["+tt.part+"]\n")
		part, _, _ = strings.Cut(part, "[")
		if line := tt.line + " = " + tt.value + "\n"; !strings.Contains("\n"+part, "\n"+line) || strings.Count(file, "\n"+tt.line+" = ") != 1 {
			t.Errorf("%s is not once in [%s] of\n%s", key, tt.part, file)
		}
	}
}

// The options of pppd that PPTP spells otherwise.
func TestPPPOptions(t *testing.T) {
	for key, line := range map[string]string{
		"PPPD.NoPcomp": "nopcomp", "PPPD.UseAccomp": "noaccomp", "PPPD.ReqMPPE": "require-mppe", "PPPD.ReqMPPE40": "require-mppe-40",
		"PPPD.ReqMPPE128": "require-mppe-128", "PPPD.ReqMPPEStateful": "mppe-stateful",
	} {
		file := ppp.File(pppOptions, core.Settings{Text: map[string]string{key: "true"}}, "", "", place)
		if !strings.Contains(file, "\n"+line+" \n") {
			t.Errorf("%s is not %s in\n%s", key, line, file)
		}
	}
}

func TestKeys(t *testing.T) {
	checks := map[string]core.Key{}
	for _, k := range keys() {
		checks[k.Name] = k
	}
	if !checks[keyPassword].Secret || checks[keyUser].Secret {
		t.Error("the password is shown, or the user is not")
	}
	for _, tt := range []struct {
		key, value string
		ok         bool
	}{
		{"L2TP.Port", "1701", true}, {"L2TP.Port", "65536", false}, {"L2TP.BPS", "10 Mbit", false}, {"L2TP.Redial", "perhaps", false},
		{"L2TP.ListenAddr", "192.0.2.9", true}, {"L2TP.ListenAddr", "a b", false},
		{"L2TP.AuthFile", "/x\nlns = 203.0.113.9", false}, {"L2TP.User", "alice\nlns = 203.0.113.9", false},
	} {
		if err := checks[tt.key].CheckValue(tt.value); (err == nil) != tt.ok {
			t.Errorf("%s = %q: %v", tt.key, tt.value, err)
		}
	}
}

func TestRedial(t *testing.T) {
	for value, want := range map[string]ppp.Down{"": ppp.Redials, "yes": ppp.Redials, "no": ppp.Stays} {
		if got := whenDown(core.Settings{Text: map[string]string{keyRedial: value}}); got != want {
			t.Errorf("%s = %q: %d, want %d", keyRedial, value, got, want)
		}
	}
	for line, want := range map[string]bool{
		"xl2tpd[7]: magic_lac_dial: maximum retries exceeded.":         true,
		"xl2tpd[7]: Maximum retries exceeded for tunnel 27.  Closing.": false,
		"xl2tpd[7]: Will redial in 10 seconds":                         false,
	} {
		if got := givenUp(line); got != want {
			t.Errorf("%q: given up: %v", line, got)
		}
	}
}
