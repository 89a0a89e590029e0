package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"net.connman/pkg/bus"
)

// address is an environment that names a task.
func address(more ...string) []string {
	return append([]string{
		"CONNMAN_BUSNAME=:1.5", "CONNMAN_INTERFACE=net.connman.Task", "CONNMAN_PATH=/net/connman/task/0",
		"CONNMAN_SECRET=/run/connman-vpn/0/secret",
	}, more...)
}

func TestReadReport(t *testing.T) {
	for name, test := range map[string]struct {
		environ []string
		reason  string
		items   []any
		wrong   string
	}{
		"openvpn": {
			environ: address("PATH=/bin", "script_type=up", "dev=vpn0", "ifconfig_local=192.0.2.2", "_=x", "empty="),
			reason:  "up",
			items: []any{bus.Struct{"script_type", "up"}, bus.Struct{"dev", "vpn0"},
				bus.Struct{"ifconfig_local", "192.0.2.2"}, bus.Struct{"empty", ""}},
		},
		"vpnc": {
			environ: address("reason=connect", "TUNDEV=vpn0"),
			reason:  "connect",
			items:   []any{bus.Struct{"reason", "connect"}, bus.Struct{"TUNDEV", "vpn0"}},
		},
		"pppd": {
			environ: address("CONNMAN_REASON=ip-up", "IPLOCAL=192.0.2.2"),
			reason:  "ip-up",
			items:   []any{bus.Struct{"IPLOCAL", "192.0.2.2"}},
		},
		"not UTF-8": {environ: address("reason=connect", "X=\xff", "Y\xff=1"), reason: "connect", items: []any{bus.Struct{"reason", "connect"}}},
		"shell":     {environ: address("reason=$(id)\n;"), reason: "$(id)\n;", items: []any{bus.Struct{"reason", "$(id)\n;"}}},
		"no reason": {environ: address(), wrong: "what has happened"},
		"bad reason": {
			environ: address("reason=\xff"), wrong: "what has happened"},
		"no task":  {environ: []string{"reason=connect"}, wrong: "name a task"},
		"bad path": {environ: append(address("reason=connect"), "CONNMAN_PATH=x"), wrong: "name a task"},
		"too much": {environ: address("reason=connect", "X="+strings.Repeat("x", maxReport)), wrong: "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := readReport(test.environ)
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Fatalf("%v, want an error with %q", err, test.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.reason != test.reason || r.busName != ":1.5" || r.secretFile != "/run/connman-vpn/0/secret" {
				t.Errorf("%+v", r)
			}
			if diff := cmp.Diff(test.items, r.dict.Items); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzReadReport(f *testing.F) {
	f.Add(strings.Join(address("script_type=up", "X=\xff", "="), "\x00"))
	f.Fuzz(func(t *testing.T, environ string) {
		r, err := readReport(strings.Split(environ, "\x00"))
		if err == nil && (r.reason == "" || !r.path.IsValid()) {
			t.Errorf("%+v", r)
		}
	})
}
