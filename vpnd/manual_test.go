package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/provider/l2tp"
	"net.connman/vpnd/internal/provider/openconnect"
	"net.connman/vpnd/internal/provider/openvpn"
	"net.connman/vpnd/internal/provider/pptp"
	"net.connman/vpnd/internal/provider/vpnc"
	"net.connman/vpnd/internal/provider/wireguard"
	"net.connman/vpnd/internal/provision"
)

var all = []core.Provider{
	&openvpn.Provider{}, &l2tp.Provider{}, &pptp.Provider{}, &vpnc.Provider{}, &openconnect.Provider{}, &wireguard.Provider{},
}

// manual is the manual page of provisioning files, without its escapes.
func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/connman-vpn-provider.config.5")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), `\-`, "-")
}

// The manual names every key, and no key that there is not.
func TestManualNamesKeys(t *testing.T) {
	text := manual(t)
	known := map[string]bool{}
	for _, p := range all {
		for _, k := range core.KeysOf(p) {
			known[k.Name] = true
			further := strings.HasPrefix(k.Name, "WireGuard.Peer") // described together
			if !further && !strings.Contains(text, k.Name+"=") {
				t.Errorf("%s of %s is missing", k.Name, p.Type())
			}
		}
	}
	for line := range strings.Lines(text) {
		name, isKey := strings.CutPrefix(strings.ReplaceAll(line, `"`, ""), ".BI ")
		name, _, _ = strings.Cut(name, "=")
		if isKey && strings.Contains(name, ".") && !known[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

// What the manual shows, and the format's first users wrote, can be used as it is.
func TestExamples(t *testing.T) {
	_, example, _ := strings.Cut(manual(t), ".SH EXAMPLE\n.nf\n")
	example, _, _ = strings.Cut(example, ".fi\n")
	for name, tt := range map[string]struct {
		text string
		want []string // types
	}{
		"manual": {example, []string{"openvpn"}},
		"format": {`[global]
Name = Example

[provider_l2tp]
Type = L2TP
Name = Connection to corporate network
Host = 1.2.3.4
Domain = corporate.com
Networks = 10.10.30.0/24
L2TP.User = username

[provider_openconnect]
Type = OpenConnect
Name = Connection to corporate network using Cisco VPN
Host = 7.6.5.4
Domain = corporate.com
Networks = 10.10.20.0/255.255.255.0/10.20.1.5,192.168.99.1/24,2001:db8::1/64
OpenConnect.ServerCert = 263AFAB4CB2E6621D12E90182008AEF44AEFA031
OpenConnect.CACert = /etc/certs/certificate.p12

[provider_wireguard]
Type = WireGuard
Name = Wireguard VPN Tunnel
Host = 3.2.5.6
Domain = my.home.network
WireGuard.Address = 10.2.0.2/24
WireGuard.ListenPort = 47824
WireGuard.DNS = 10.2.0.1
WireGuard.PrivateKey = qKIj010hDdWSjQQyVCnEgthLXusBgm3I6HWrJUaJymc=
WireGuard.PublicKey = zzqUfWGIil6QxrAGz77HE5BGUEdD2PgHYnCg3CDKagE=
WireGuard.AllowedIPs = 0.0.0.0/0, ::/0
WireGuard.EndpointPort = 51820
`, []string{"l2tp", "openconnect", "wireguard"}},
	} {
		t.Run(name, func(t *testing.T) {
			specs, complaints := provisioned(t, tt.text)
			if complaints != "" {
				t.Error(complaints)
			}
			var types []string
			for _, s := range specs {
				types = append(types, s.Type)
			}
			if got, want := strings.Join(types, " "), strings.Join(tt.want, " "); got != want {
				t.Errorf("connections %q, want %q", got, want)
			}
		})
	}
}

// provisioned is what a file specifies, and what is said against it.
func provisioned(t *testing.T, text string) (specs []core.Spec, complaints string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "example.config"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	l := loop.New(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d := provision.New(l, slog.New(slog.NewTextHandler(&log, nil)), dir, all, nil)
	defer d.Watch(func(s []core.Spec) { specs = s; cancel() })()
	l.Run(ctx)
	if ctx.Err() == context.DeadlineExceeded {
		t.Fatal("nothing is reported")
	}
	return specs, log.String()
}
