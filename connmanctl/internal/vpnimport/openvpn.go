package vpnimport

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// Settings that take what a directive says as it is, and those that take a file.
var (
	ovKeys = map[string]string{
		"cipher": "OpenVPN.Cipher", "auth": "OpenVPN.Auth", "remote-cert-tls": "OpenVPN.RemoteCertTls",
		"ns-cert-type": "OpenVPN.NSCertType", "tls-cipher": "OpenVPN.TLSCipher", "tun-mtu": "OpenVPN.MTU",
		"ping": "OpenVPN.Ping", "ping-exit": "OpenVPN.PingExit", "remap-usr1": "OpenVPN.RemapUsr1",
		"proto": "OpenVPN.Proto", "port": "OpenVPN.Port", "rport": "OpenVPN.Port", "comp-lzo": "OpenVPN.CompLZO",
	}
	ovFiles = map[string]string{
		"ca": "OpenVPN.CACert", "cert": "OpenVPN.Cert", "key": "OpenVPN.Key",
		"auth-user-pass": "OpenVPN.AuthUserPass", "askpass": "OpenVPN.AskPass",
	}
)

// ovNoValue is what settings say whose directive may stand alone.
var ovNoValue = map[string]string{"comp-lzo": "adaptive", "auth-user-pass": "-"}

// Directives that have no key of their own and go to OpenVPN's own configuration
// file: those with a file first.
var (
	ovOptionFiles = []string{"tls-auth", "tls-crypt", "tls-crypt-v2", "extra-certs", "crl-verify"}
	ovOptions     = []string{
		"allow-compression", "auth-retry", "auth-token", "compress", "connect-retry", "connect-retry-max", "connect-timeout",
		"data-ciphers", "data-ciphers-fallback", "dhcp-option", "explicit-exit-notify", "fast-io", "float", "fragment",
		"hand-window", "http-proxy-retry", "inactive", "keepalive", "key-direction", "link-mtu", "mssfix", "mtu-disc",
		"mute-replay-warnings", "ncp-ciphers", "ncp-disable", "peer-fingerprint", "ping-restart", "ping-timer-rem", "pull-filter", "push-peer-info",
		"rcvbuf", "reneg-bytes", "reneg-pkts", "reneg-sec", "replay-window", "route-nopull", "server-poll-timeout", "sndbuf",
		"socks-proxy-retry", "tls-cert-profile", "tls-ciphersuites", "tls-groups", "tls-timeout", "tls-version-max",
		"tls-version-min", "topology", "tran-window", "tun-mtu-extra", "verify-x509-name", "x509-username-field",
	}
)

// Directives that say what the daemon does anyway or decides itself, or that mean
// another system.
var ovOwn = []string{
	"block-outside-dns", "client", "dev-node", "group", "ip-win32", "mute", "nobind", "persist-key", "persist-local-ip",
	"persist-remote-ip", "persist-tun", "pull", "redirect-gateway", "register-dns", "resolv-retry", "route-delay",
	"route-method", "setenv", "setenv-safe", "tap-sleep", "tls-client", "user", "verb",
}

// Directives that run programs, load libraries or write files.
var ovPrograms = []string{
	"auth-user-pass-verify", "cd", "chroot", "client-connect", "client-disconnect", "config", "daemon", "down", "down-pre",
	"engine", "ipchange", "iproute", "learn-address", "log", "log-append", "management", "pkcs11-providers", "plugin",
	"providers", "route-pre-down", "route-up", "script-security", "status", "tls-crypt-v2-verify", "tls-export-cert",
	"tls-verify", "tmp-dir", "up", "up-delay", "up-restart", "writepid",
}

// readOpenVPN reads a profile of OpenVPN's.
func (p *profile) readOpenVPN(title, text string) error {
	list, line, err := directives(text)
	if err != nil {
		return p.wrong(line, "%v", err)
	}
	p.begin("OpenVPN", title)
	var options strings.Builder
	for _, d := range list {
		if !oneLine(strings.Join(d.words, " ")) {
			return p.wrong(d.line, "control characters")
		}
		if err := p.ovDirective(d, &options); err != nil {
			return err
		}
	}
	if !p.has("Host") {
		return fmt.Errorf("%s: there is no remote to connect to", p.file)
	}
	says := func(name string) bool {
		return slices.ContainsFunc(list, func(d directive) bool { return d.name() == name })
	}
	if says("route-nopull") && !says("redirect-gateway") {
		p.set("SplitRouting", "true") // the server is not to have everything sent to it
	}
	if options.Len() > 0 {
		// Whoever has a file of his own must say all of it there.
		p.set("OpenVPN.ConfigFile", p.keep("options.conf", "client\nnobind\npersist-key\n"+options.String()))
	}
	return nil
}

func (p *profile) ovDirective(d directive, options *strings.Builder) error {
	switch name := d.name(); {
	case slices.Contains(ovPrograms, name):
		p.warn(d.line, "%s runs programs or writes files: left out", name)
	case slices.Contains(ovOwn, name):
	case ovFiles[name] != "":
		return p.ovFile(d, ovFiles[name])
	case slices.Contains(ovOptionFiles, name):
		return p.ovOptionFile(d, options)
	case name == "pkcs12":
		return p.ovPKCS12(d, options)
	case name == "connection" && d.has && !p.has("Host"):
		return p.ovConnection(d, options)
	case d.has:
		p.warn(d.line, "%.64q is left out", "<"+name+">")
	case ovKeys[name] != "":
		return p.ovKey(d, ovKeys[name])
	case slices.Contains(ovOptions, name):
		writeOption(options, d.words)
	default:
		return p.ovOther(d)
	}
	return nil
}

// ovConnection reads a block that holds what concerns one server.
func (p *profile) ovConnection(block directive, options *strings.Builder) error {
	list, line, err := directives(block.block)
	if err != nil {
		return p.wrong(block.line+line, "%v", err)
	}
	for _, d := range list {
		d.line += block.line
		if err := p.ovDirective(d, options); err != nil {
			return err
		}
	}
	return nil
}

// ovOther reads what needs a closer look.
func (p *profile) ovOther(d directive) error {
	switch d.name() {
	case "remote":
		return p.ovRemote(d)
	case "dev", "dev-type":
		if strings.HasPrefix(d.arg(0), "tap") {
			p.set("OpenVPN.DeviceType", "tap")
		}
	case "auth-nocache":
		p.set("OpenVPN.AuthNoCache", "true")
	case "route", "route-ipv6":
		return p.ovRoute(d)
	default:
		p.warn(d.line, "%.64q is left out", d.name())
	}
	return nil
}

func (p *profile) ovRemote(d directive) error {
	host := d.arg(0)
	if host == "" {
		return p.wrong(d.line, "remote names nobody")
	}
	if p.has("Host") {
		p.warn(d.line, "a connection has one server: %.64q is left out", host)
		return nil
	}
	p.set("Host", host)
	if port := d.arg(1); port != "" {
		p.set("OpenVPN.Port", port)
	}
	if proto := d.arg(2); proto != "" {
		p.set("OpenVPN.Proto", proto)
	}
	return nil
}

// ovKey sets what a directive says. What remote says is more to the point.
func (p *profile) ovKey(d directive, key string) error {
	value := d.arg(0)
	if value == "" {
		value = ovNoValue[d.name()]
	}
	if value == "" {
		return p.wrong(d.line, "%s says nothing", d.name())
	}
	if (key == "OpenVPN.Port" || key == "OpenVPN.Proto") && p.has(key) {
		return nil
	}
	p.set(key, value)
	return nil
}

// ovFile keeps the file of a directive and sets the key to where it is.
func (p *profile) ovFile(d directive, key string) error {
	content, given, err := p.content(d)
	if err != nil {
		return err
	}
	switch without := ovNoValue[d.name()]; {
	case given:
		p.set(key, p.keep(d.name(), content))
	case without != "":
		p.set(key, without)
	case d.name() != "askpass": // which has the agent asked
		return p.wrong(d.line, "%s names no file", d.name())
	}
	return nil
}

// ovOptionFile keeps the file of a directive that goes to OpenVPN's own
// configuration.
func (p *profile) ovOptionFile(d directive, options *strings.Builder) error {
	content, given, err := p.content(d)
	if err != nil {
		return err
	}
	if !given {
		return p.wrong(d.line, "%s names no file", d.name())
	}
	words := []string{d.name(), p.keep(d.name(), content)}
	writeOption(options, append(words, d.words[min(2, len(d.words)):]...))
	return nil
}

// ovPKCS12 puts certificates and key in one, which are no text, as a block into
// OpenVPN's own configuration.
func (p *profile) ovPKCS12(d directive, options *strings.Builder) error {
	content, given, err := p.content(d)
	if err != nil {
		return err
	}
	raw := []byte(content)
	if d.has {
		raw, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), ""))
	}
	if err != nil || !given {
		return p.wrong(d.line, "pkcs12 names no file, and no block in base64")
	}
	options.WriteString("<pkcs12>\n")
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(raw)), 64) {
		options.WriteString(string(line) + "\n")
	}
	options.WriteString("</pkcs12>\n")
	return nil
}

// content is what a directive's block or file holds.
func (p *profile) content(d directive) (content string, given bool, err error) {
	name := d.arg(0)
	if d.has || name == "" {
		return d.block, d.has, nil
	}
	if name == "[inline]" {
		return "", false, p.wrong(d.line, "%s is said to be in the file, write it as a block", d.name())
	}
	data, err := p.open(name)
	if err != nil {
		return "", false, p.wrong(d.line, "%v", err)
	}
	if !filepath.IsLocal(name) {
		p.warn(d.line, "%s takes %.200q, from outside the profile's directory", d.name(), name)
	}
	if len(data) > MaxSize {
		return "", false, p.wrong(d.line, "%s is longer than %d bytes", filepath.Base(name), MaxSize)
	}
	return string(data), true, nil
}

// ovRoute has a network routed into the tunnel.
func (p *profile) ovRoute(d directive) error {
	network := d.arg(0)
	prefix, err := netip.ParsePrefix(network)
	if d.name() == "route" {
		mask := d.arg(1)
		if mask == "" || mask == "default" {
			mask = "255.255.255.255"
		}
		network += "/" + mask
		address, wrong := netip.ParseAddr(d.arg(0))
		netmask, bad := netip.ParseAddr(mask)
		if wrong != nil || bad != nil || !address.Is4() || !netmask.Is4() {
			p.warn(d.line, "a route by name is left out")
			return nil
		}
		if gateway, err := netip.ParseAddr(d.arg(2)); err == nil && gateway.Is4() {
			network += "/" + gateway.String()
		}
	} else if err != nil || !prefix.Addr().Is6() {
		p.warn(d.line, "this route is left out")
		return nil
	}
	if before, there := p.config.Value(p.group, "Networks"); there {
		network = before + "," + network
	}
	p.set("Networks", network)
	return nil
}

func writeOption(options *strings.Builder, words []string) {
	for i, word := range words {
		if i > 0 {
			options.WriteByte(' ')
		}
		options.WriteString(quote(word))
	}
	options.WriteByte('\n')
}
