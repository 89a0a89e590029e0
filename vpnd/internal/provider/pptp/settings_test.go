package pptp

import (
	"strings"
	"testing"

	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/ppp"
)

func TestCarry(t *testing.T) {
	s := core.Settings{Text: map[string]string{"PPTP.IdleWait": "30", "PPTP.MaxEchoWait": "5", keyUser: "alice"}}
	if got, want := carry("/usr/sbin/pptp", "192.0.2.1", s), "/usr/sbin/pptp 192.0.2.1 --nolaunchpppd --nohostroute --loglevel 2 --idle-wait 30 --max-echo-wait 5"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The options of pppd that L2TP spells otherwise.
func TestPPPOptions(t *testing.T) {
	for key, line := range map[string]string{
		"PPPD.RequirMPPE": "require-mppe", "PPPD.RequirMPPE40": "require-mppe-40", "PPPD.RequirMPPE128": "require-mppe-128",
		"PPPD.RequirMPPEStateful": "mppe-stateful",
	} {
		file := ppp.File(options, core.Settings{Text: map[string]string{key: "true"}}, "", "", child.Place{})
		if !strings.Contains(file, "\n"+line+" \n") {
			t.Errorf("%s is not %s in\n%s", key, line, file)
		}
	}
}

// What a shell gets to see can be nothing but numbers.
func TestKeys(t *testing.T) {
	for _, k := range (&Provider{}).Keys() {
		if (k.Name == keyPassword) != k.Secret {
			t.Error(k.Name, "is shown:", !k.Secret)
		}
		if err := k.CheckValue("1; reboot"); strings.HasSuffix(k.Name, "Wait") && err == nil {
			t.Error(k.Name, "takes a command")
		}
	}
}
