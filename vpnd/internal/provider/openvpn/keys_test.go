package openvpn

import (
	"slices"
	"strings"
	"testing"

	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/core"
)

func settings(text ...string) core.Settings {
	s := core.Settings{Text: map[string]string{keyHost: "vpn.test", keyCACert: "/etc/ca.pem"}, Secrets: map[string]logx.Secret{}}
	for i := 0; i < len(text); i += 2 {
		s.Text[text[i]] = text[i+1]
	}
	return s
}

func TestValuesAreChecked(t *testing.T) {
	checks := map[string]func(string) error{}
	for _, k := range keys() {
		checks[k.Name] = k.Check
	}
	for key, values := range map[string]struct{ good, bad []string }{
		keyCACert:               {[]string{"/etc/ca.pem", "my ca.pem"}, []string{"", "--up", "--"}},
		"OpenVPN.MTU":           {[]string{"1400"}, []string{"0", "x", "70000", "-1"}},
		keyProto:                {[]string{"udp", "tcp", "tcp6-client"}, []string{"", "sctp", "udp --up"}},
		"OpenVPN.Port":          {[]string{"1194"}, []string{"0", "65536", ""}},
		keyAuthUser:             {[]string{"-", "/etc/user", ""}, []string{"--up"}},
		"OpenVPN.AskPass":       {[]string{"", "/etc/pass"}, []string{"--config"}},
		"OpenVPN.CompLZO":       {[]string{"", "yes", "no", "adaptive"}, []string{"maybe"}},
		keyAuthNoCache:          {[]string{"true", "false"}, []string{"", "1"}},
		keyTLSAuthDir:           {[]string{"0", "1"}, []string{"2", ""}},
		keyDeviceType:           {[]string{"tun", "tap"}, []string{"", "null"}},
		"OpenVPN.RemoteCertTls": {[]string{"server", "client"}, []string{"", "peer"}},
		"OpenVPN.RemapUsr1":     {[]string{"SIGTERM"}, []string{"SIGKILL"}},
		keyPassword:             {[]string{"a \"b\\ c", ""}, []string{"a\nusername x", "a\r", "a\x00b"}},
		keyUsername:             {[]string{"someone"}, []string{"a\nb"}},
	} {
		for _, v := range values.good {
			if err := checks[key](v); err != nil {
				t.Errorf("%s=%q: %v", key, v, err)
			}
		}
		for _, v := range values.bad {
			if checks[key](v) == nil {
				t.Errorf("%s=%q passes", key, v)
			}
		}
	}
}

// No value of any key can become an option of its own.
func TestNoOptionIsSmuggledIn(t *testing.T) {
	for _, k := range keys() {
		if strings.HasPrefix(k.Name, "OpenVPN.") && !slices.Contains([]string{keyUsername, keyPassword, keyPassphrase}, k.Name) && k.Check("--up") == nil {
			t.Errorf("%s takes --up", k.Name)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		s     core.Settings
		wrong string
	}{
		"good":       {s: settings()},
		"file":       {s: core.Settings{Text: map[string]string{keyHost: "h", keyConfigFile: "/etc/x.conf"}}},
		"no host":    {s: core.Settings{Text: map[string]string{keyCACert: "/ca"}}, wrong: "Host"},
		"dash":       {s: settings(keyHost, "--up"), wrong: "Host"},
		"no CA":      {s: core.Settings{Text: map[string]string{keyHost: "h"}}, wrong: keyCACert},
		"direction":  {s: settings(keyTLSAuthDir, "1"), wrong: keyTLSAuth},
		"direction+": {s: settings(keyTLSAuthDir, "1", keyTLSAuth, "/ta")},
	} {
		err := check(test.s)
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %v, want %q", name, err, test.wrong)
		}
	}
}

// always are the arguments that every command line ends with.
const always = " --management /m unix --management-client --management-query-passwords --auth-retry interact" +
	" --setenv IV_SSO crtext --suppress-timestamps --script-security 2 --up \"/n\" --up-restart --setenv A b=c" +
	" --dev vpn0 --dev-type tun --persist-tun --route-noexec --ifconfig-noexec --ignore-unknown-option disable-dco --disable-dco"

func TestArguments(t *testing.T) {
	const plain = " --nobind --persist-key --client --ping 10 --ping-exit 60"
	for name, test := range map[string]struct {
		s    core.Settings
		want string
	}{
		"least": {settings(), "--remote vpn.test --ca /etc/ca.pem" + plain},
		"keys": {settings("OpenVPN.Cert", "/c", "OpenVPN.Key", "/k", "OpenVPN.CompLZO", "", "OpenVPN.Verb", "4"),
			"--remote vpn.test --ca /etc/ca.pem --cert /c --key /k --comp-lzo --verb 4" + plain},
		"asks":  {settings(keyAuthUser, "-"), "--remote vpn.test --ca /etc/ca.pem --auth-user-pass" + plain},
		"saved": {settings(keyUsername, "me"), "--remote vpn.test --ca /etc/ca.pem --auth-user-pass" + plain},
		"file": {settings(keyAuthUser, "/etc/auth", keyUsername, "me", keyAuthNoCache, "true"),
			"--remote vpn.test --ca /etc/ca.pem --auth-user-pass /etc/auth --auth-nocache" + plain},
		"names": {settings(keyTLSRemote, "vpn.test", keyTLSAuth, "/ta", keyTLSAuthDir, "1"),
			"--remote vpn.test --ca /etc/ca.pem --verify-x509-name vpn.test name --tls-auth /ta 1" + plain},
		"subject": {settings(keyTLSRemote, "C=DE, CN=vpn"), "--remote vpn.test --ca /etc/ca.pem --verify-x509-name C=DE, CN=vpn subject" + plain},
		"config": {settings(keyConfigFile, "/etc/x.conf", keyTLSAuth, "/ta"),
			"--remote vpn.test --ca /etc/ca.pem --config /etc/x.conf --ping 10 --ping-exit 60"},
		"tcp": {settings(keyProto, "tcp"),
			"--remote vpn.test --ca /etc/ca.pem --proto tcp --nobind --persist-key --client --ping-restart 0 --connect-retry-max 1"},
		"tcp with ping": {settings(keyProto, "tcp", keyPingExit, "30"),
			"--remote vpn.test --ca /etc/ca.pem --proto tcp --ping-exit 30 --nobind --persist-key --client --connect-retry-max 1"},
		"ping": {settings(keyPing, "1", keyPingExit, "5"),
			"--remote vpn.test --ca /etc/ca.pem --ping 1 --ping-exit 5 --nobind --persist-key --client"},
	} {
		got := strings.Join(arguments(test.s, place{link: "vpn0", management: "/m", notify: "/n", env: []string{"A=b=c"}}), " ")
		if want := test.want + always; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	if got := arguments(settings(keyDeviceType, "tap"), place{}); !slices.Contains(got, "tap") {
		t.Errorf("%q", got)
	}
}
