package openconnect

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
)

var place = child.Place{Link: "vpn3", Script: "/usr/libexec/connman/connman-vpn-notify"}

func TestOptions(t *testing.T) {
	common := []string{"interface=vpn3", "script=/usr/libexec/connman/connman-vpn-notify"}
	pinned := "pin-sha256:6qTdW/ojoV4VxO68DWBsR6A3Whu6iTzZELe6VFcYLz8="
	for name, test := range map[string]struct {
		text    map[string]string
		secrets map[string]logx.Secret
		want    []string
	}{
		"cookie": {
			map[string]string{keyCACert: "/ca.pem", keyServerCert: pinned},
			map[string]logx.Secret{keyCookie: "c00kie"},
			[]string{"cafile=/ca.pem", "cookie-on-stdin"},
		},
		"password": {
			map[string]string{keyAuthType: byUser, keyGroup: "staff", keyMTU: "1300", keyDisableIPv6: "True", keyNoDTLS: "false"},
			map[string]logx.Secret{keyUsername: "alice", keyPassword: "secret"},
			[]string{"base-mtu=1300", "disable-ipv6", "user=alice", "passwd-on-stdin", "authgroup=staff"},
		},
		"pinned": {
			map[string]string{keyAuthType: byUser, keySelfSigned: "true", keyServerCert: pinned, keyCACert: "/ca.pem", keyProtocol: "gp"},
			nil,
			[]string{"protocol=gp", "no-system-trust", "servercert=" + pinned, "passwd-on-stdin"},
		},
		"key": {
			map[string]string{keyAuthType: byKey, keyClientCert: "/c.pem", keyUserKey: "/k.pem", keyUserGroup: "g"}, nil,
			[]string{"usergroup=g", "certificate=/c.pem", "sslkey=/k.pem"},
		},
		"PKCS": {
			map[string]string{keyAuthType: byPKCS, keyPKCSCert: "/c.p12"}, map[string]logx.Secret{keyPKCSPassword: "secret"},
			[]string{"certificate=/c.p12", "key-password=secret"},
		},
	} {
		s := settings{core.Settings{Text: test.text, Secrets: test.secrets}}
		got := strings.Split(strings.TrimSpace(s.options(s.saved(), place).Reveal()), "\n")
		if want := slices.Concat(common, test.want); !slices.Equal(got, want) {
			t.Errorf("%s: got %q\nwant %q", name, got, want)
		}
	}
}

func TestSpecHasNoSecretInItsArguments(t *testing.T) {
	s := settings{core.Settings{
		Text:    map[string]string{keyHost: "vpn.example.org", keyAuthType: byPKCS, keyPKCSCert: "/c.p12"},
		Secrets: map[string]logx.Secret{keyPKCSPassword: "hush"},
	}}
	c := s.saved()
	c.vpnHost = "node7.example.org"
	spec := s.spec("/usr/sbin/openconnect", c, place)
	if all := strings.Join(slices.Concat(spec.Args, spec.Env), " "); strings.Contains(all, "hush") || !strings.Contains(all, "node7.example.org") {
		t.Error(all)
	}
}

func TestCheck(t *testing.T) {
	for typ, ok := range map[string]bool{"": true, byUser: true, byKey: false, byPKCS: false} {
		s := settings{core.Settings{Text: map[string]string{keyAuthType: typ, keyUserKey: cleared}}}
		if err := s.check(); (err == nil) != ok {
			t.Errorf("%q: %v", typ, err)
		}
	}
	checks := map[string]core.Key{}
	for _, k := range keys() {
		checks[k.Name] = k
	}
	for _, test := range []struct {
		key, value string
		ok         bool
	}{
		{keyAuthType, "userpass", true}, {keyAuthType, "password", false},
		{keyServerCert, "263AFAB4CB2E6621D12E90182008AEF44AEFA031", true}, {keyServerCert, "sha256:abcd", true},
		{keyServerCert, "pin-sha256:AAAA", false}, {keyServerCert, "abc", false}, {keyServerCert, "--insecure", false},
		{keyCACert, "/etc/ca.pem", true}, {keyCACert, "ca.pem", false}, {keyUserKey, "pkcs11:object=x", true},
		{keyMTU, "1300", true}, {keyMTU, "68", false}, {keyVPNHost, "-X", false}, {keyVPNHost, "vpn.example.org:8443", true},
		{keyUserGroup, "a\nscript=/bin/sh", false}, {keyProtocol, "gp", true}, {keyProtocol, "x", false},
	} {
		if err := checks[test.key].CheckValue(test.value); (err == nil) != test.ok {
			t.Errorf("%s = %q: %v", test.key, test.value, err)
		}
	}
}

// What the agent is asked for and told, by the way of authenticating.
func TestQuestion(t *testing.T) {
	all := map[string]string{keyCACert: "/ca.pem", keyServerCert: "sha256:abcd", keyVPNHost: "node7.test", keyPKCSCert: "/c.p12"}
	informed := keyCACert + " informational /ca.pem, " + keyServerCert + " informational sha256:abcd, " + keyVPNHost + " informational node7.test, "
	login := "Username mandatory , Password mandatory "
	for name, test := range map[string]struct {
		text    map[string]string
		secrets map[string]logx.Secret
		refused bool
		want    string // "" if nothing is asked
		save    bool
	}{
		"cookie": {nil, nil, false, keyServerCert + " optional , " + keyVPNHost + " optional , " + keyCookie + " mandatory ", false},
		"cookie, server known": {all, nil, false, keyCACert + " informational /ca.pem, " + keyServerCert + " optional sha256:abcd, " +
			keyVPNHost + " optional node7.test, " + keyCookie + " mandatory ", false},
		"cookie known":       {all, map[string]logx.Secret{keyCookie: "c"}, false, "", false},
		"password":           {map[string]string{keyAuthType: byUser}, nil, false, login, true},
		"cookie by password": {map[string]string{keyAuthType: byUserCookie}, nil, false, login, true},
		"server known":       {with(all, keyAuthType, byUser), nil, false, informed + login, true},
		"password known":     {map[string]string{keyAuthType: byUser}, map[string]logx.Secret{keyUsername: "u", keyPassword: "p"}, false, "", true},
		"refused":            {map[string]string{keyAuthType: byUser}, map[string]logx.Secret{keyUsername: "u", keyPassword: "p"}, true, login, true},
		"second password": {map[string]string{keyAuthType: byUser, keyUseSecond: "true"}, map[string]logx.Secret{keyUsername: "u", keyPassword: "p"},
			false, login + ", " + keySecondPassword + " mandatory ", true},
		"PKCS": {with(all, keyAuthType, byPKCS), nil, false, informed + keyPKCSCert + " informational /c.p12, " + keyPKCSPassword + " mandatory ", false},
		"key":  {map[string]string{keyAuthType: byKey}, nil, false, "", false},
	} {
		a := &attempt{settings: settings{core.Settings{Text: test.text, Secrets: test.secrets}}, refused: test.refused}
		a.credentials = a.settings.saved()
		q, ok := a.question()
		if ok != (test.want != "") {
			t.Errorf("%s: asks %v", name, ok)
		}
		if !ok {
			continue
		}
		var fields []string
		for _, f := range q.Fields {
			fields = append(fields, f.Name+" "+f.Requirement+" "+f.Value)
		}
		if got := strings.Join(fields, ", "); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, test.want)
		}
		// What is not to be saved must not have the agent forget what it knows.
		if q.Save != test.save || q.Keep == test.save || (q.Failure != "") != test.refused {
			t.Errorf("%s: save %v, keep %v, failure %q", name, q.Save, q.Keep, q.Failure)
		}
	}
}

func with(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	m[key] = value
	return m
}
