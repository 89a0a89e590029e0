package ppp

import (
	"net/netip"
	"strings"
	"testing"

	"net.connman/pkg/logx"
	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
)

func TestFile(t *testing.T) {
	s := core.Settings{Text: map[string]string{
		"PPPD.NoVJ": "true", "PPPD.RefuseEAP": "no", "PPPD.EchoInterval": "10",
	}}
	p := child.Place{Script: "/usr/libexec/connman/connman-vpn-notify", Env: []string{"CONNMAN_PATH=/net/connman/task/1"}}
	got := File(Common, s, `al"ice`, logx.Secret(`back\slash and space`), p, `pty "pptp 192.0.2.1"`)
	for _, want := range []string{
		"nodetach \n", "nodefaultroute \n", `name "al\"ice" `, `password "back\\slash and space" `, `lcp-echo-interval "10" `,
		`lcp-echo-failure "0" `, "novj \n", `set "CONNMAN_PATH=/net/connman/task/1" `, `set "CONNMAN_REASON=ppp" `,
		`ip-up-script "/usr/libexec/connman/connman-vpn-notify" `, `pty "pptp 192.0.2.1"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "refuse-eap") {
		t.Error("an option is there that nobody wants")
	}
}

// Each setting is an option of pppd's, and no setting is none.
func TestOptions(t *testing.T) {
	for key, tt := range map[string]struct{ value, line string }{
		"PPPD.EchoFailure": {"3", `lcp-echo-failure "3"`}, "PPPD.EchoInterval": {"20", `lcp-echo-interval "20"`},
		"PPPD.Debug": {"7", "debug"}, "PPPD.RefuseEAP": {"true", "refuse-eap"}, "PPPD.RefusePAP": {"yes", "refuse-pap"},
		"PPPD.RefuseCHAP": {"1", "refuse-chap"}, "PPPD.RefuseMSCHAP": {"TRUE", "refuse-mschap"},
		"PPPD.RefuseMSCHAP2": {"true", "refuse-mschap-v2"}, "PPPD.NoBSDComp": {"true", "nobsdcomp"},
		"PPPD.NoDeflate": {"true", "nodeflate"}, "PPPD.NoVJ": {"true", "novj"},
	} {
		file := func(value string) string {
			s := core.Settings{Text: map[string]string{key: value}}
			return "\n" + File(Common, s, "", "", child.Place{})
		}
		if !strings.Contains(file(tt.value), "\n"+tt.line+" \n") || strings.Contains(file("0"), "\n"+tt.line+" \n") {
			t.Errorf("%s = %s is not %s in%s", key, tt.value, tt.line, file(tt.value))
		}
	}
	for _, k := range Keys(Common) {
		for value, ok := range map[string]bool{
			"0": true, "1": true, "7": strings.Contains(k.Name, "Echo") || k.Name == "PPPD.Debug",
			"true": !strings.Contains(k.Name, "Echo"), "-1": false, "debug": false, "1\ndebug": false,
		} {
			if err := k.CheckValue(value); (err == nil) != ok {
				t.Errorf("%s = %q: %v", k.Name, value, err)
			}
		}
	}
}

func TestHeard(t *testing.T) {
	server := netip.MustParseAddr("192.0.2.1")
	env := map[string]string{"IFNAME": "ppp0", "IPLOCAL": "10.60.0.10", "IPREMOTE": "10.60.0.1", "DNS1": "10.60.0.53", "DNS2": "10.60.0.53"}
	news, err := Heard(server, Redials)("ppp", env)
	if err != nil {
		t.Fatal(err)
	}
	tunnel := news.Event.(core.Up).Tunnel
	if news.Link != "ppp0" || tunnel.IPv4.Prefix.String() != "10.60.0.10/32" || tunnel.IPv4.Gateway != server || len(tunnel.DNS.Servers) != 1 {
		t.Errorf("%+v", news)
	}
	env["CONNECT_TIME"] = "12"
	for then, event := range map[Down]core.Event{Redials: core.Reconnecting{}, Ends: nil} {
		if news, err = Heard(server, then)("ppp", env); err != nil || news.Event != event {
			t.Error(then, news, err)
		}
	}
	if news, err = Heard(server, Stays)("ppp", env); err == nil {
		t.Error("a program that has lost its link is taken for one that has it")
	}
}

func FuzzHeard(f *testing.F) {
	f.Add("ppp0", "10.60.0.10", "10.60.0.1", "10.60.0.53")
	f.Add("../../x", "224.0.0.1", "", "::1%lo")
	f.Fuzz(func(t *testing.T, link, local, remote, dns string) {
		news, err := Heard(netip.Addr{}, Redials)("", map[string]string{"IFNAME": link, "IPLOCAL": local, "IPREMOTE": remote, "DNS1": dns})
		if err != nil {
			return
		}
		up := news.Event.(core.Up)
		if strings.Contains(news.Link, "/") || !up.Tunnel.IPv4.Prefix.Addr().Is4() {
			t.Errorf("%+v", news)
		}
	})
}

func TestEar(t *testing.T) {
	var e Ear
	if e.Output("CHAP authentication succeeded") || !e.Output("CHAP authentication failed: E=691 R=1") {
		t.Error("misheard")
	}
	if cause, _ := e.Outcome(proc.Exit{Code: 1}); cause != core.AuthFailed {
		t.Error(cause)
	}
	if cause, _ := (&Ear{}).Outcome(proc.Exit{Code: 16}); cause != core.ConnectFailed {
		t.Error(cause)
	}
}

// FuzzFile writes any credentials and settings that were let in. However pppd's
// words are quoted, there is none more than was meant.
func FuzzFile(f *testing.F) {
	f.Add("alice", "s3cret", "1", "true")
	f.Add(`al"ice`, `back\slash\`, "0", "no")
	f.Add(`" pty "reboot`, "# '", "-1", "")
	f.Add("", "ä\u00a0\u2028", "65536", "YES")
	key := core.Key{}
	f.Fuzz(func(t *testing.T, user, password, number, flag string) {
		if key.CheckValue(user) != nil || key.CheckValue(password) != nil {
			return
		}
		text := map[string]string{}
		for _, k := range Keys(Common) {
			for _, v := range []string{number, flag} {
				if k.CheckValue(v) == nil {
					text[k.Name] = v
				}
			}
		}
		file := File(Common, core.Settings{Text: text}, user, logx.Secret(password), child.Place{Script: "/script", Env: []string{"A=b"}})
		got := map[string]string{}
		for line := range strings.Lines(file) {
			words := split(t, line)
			if len(words) > 2 {
				t.Fatalf("%q has %d words", line, len(words))
			}
			got[words[0]] = words[len(words)-1]
		}
		if got["name"] != user || got["password"] != password || got["ip-up-script"] != "/script" || got["pty"] != "" || got["nodetach"] == "" {
			t.Errorf("pppd reads %q", got)
		}
	})
}

// split cuts a line into words as pppd does (pppd(8), "Options Files").
func split(t *testing.T, line string) (words []string) {
	t.Helper()
	for rest := strings.TrimLeft(line, " \n"); rest != ""; rest = strings.TrimLeft(rest, " \n") {
		var word strings.Builder
		quoted, i := rest[0] == '"', 0
		if quoted {
			i++
		}
		for ; i < len(rest) && !(quoted && rest[i] == '"') && !(!quoted && strings.ContainsRune(" \n", rune(rest[i]))); i++ {
			if rest[i] == '\\' {
				i++
			}
			if i == len(rest) || rest[i] == '\n' {
				t.Fatalf("%q does not end", line)
			}
			word.WriteByte(rest[i])
		}
		if i == len(rest) {
			t.Fatalf("%q does not end", line)
		}
		rest = rest[i+1:]
		words = append(words, word.String())
	}
	return words
}

// FuzzOutput has pppd, or whoever it talks to, say anything.
func FuzzOutput(f *testing.F) {
	for _, r := range refusals {
		f.Add("pppd[1]: "+r+" \x1b[2J", 1)
	}
	f.Add("Connection terminated.", 16)
	f.Fuzz(func(t *testing.T, line string, code int) {
		var ear Ear
		refused := ear.Output(line)
		ear.Output("Modem hangup") // later lines change nothing
		cause, err := ear.Outcome(proc.Exit{Code: code})
		if err == nil || refused != (cause == core.AuthFailed) || !refused && cause != core.ConnectFailed {
			t.Errorf("%q: cause %v, %v", line, cause, err)
		}
	})
}
