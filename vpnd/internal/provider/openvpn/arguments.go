package openvpn

import (
	"strings"

	"net.connman/vpnd/internal/core"
)

// place is where a tunnel is made.
type place struct {
	link       string   // attached to
	management string   // socket that openvpn connects to
	notify     string   // up script
	env        []string // for the script
}

// arguments is openvpn's command line. Options that come later override those of
// a configuration file, for what can be there once.
func arguments(s core.Settings, at place) []string {
	args := []string{"--remote", s.Text[keyHost]}
	for _, o := range options {
		value, set := s.Text[o.key]
		switch {
		case !set || o.name == "":
		case value == "" || o.key == keyAuthUser && value == viaManagement:
			args = append(args, o.name)
		default:
			args = append(args, o.name, value)
		}
	}
	if _, file := s.Text[keyAuthUser]; !file && s.Text[keyUsername] != "" {
		args = append(args, "--auth-user-pass")
	}
	if s.Text[keyAuthNoCache] == "true" {
		args = append(args, "--auth-nocache")
	}
	args = append(args, nameArguments(s.Text[keyTLSRemote])...)
	if s.Text[keyConfigFile] == "" {
		args = append(args, defaultArguments(s)...)
	}
	args = append(args, pingArguments(s)...)
	args = append(args,
		"--management", at.management, "unix",
		"--management-client",
		"--management-query-passwords",
		"--auth-retry", "interact",
		"--setenv", "IV_SSO", "crtext", // we can ask the user something, not show him a page
		"--suppress-timestamps",
		"--script-security", "2",
		"--up", quote(at.notify),
		"--up-restart",
	)
	for _, variable := range at.env {
		name, value, _ := strings.Cut(variable, "=")
		args = append(args, "--setenv", name, value)
	}
	return append(args,
		"--dev", at.link,
		"--dev-type", deviceType(s),
		"--persist-tun",
		"--route-noexec",
		"--ifconfig-noexec",
		// Offloading to the kernel wants to make the link itself; older versions
		// don't know it.
		"--ignore-unknown-option", "disable-dco", "--disable-dco",
	)
}

func deviceType(s core.Settings) string {
	if s.Text[keyDeviceType] == "tap" {
		return "tap"
	}
	return "tun"
}

// defaultArguments stand in for a configuration file.
func defaultArguments(s core.Settings) []string {
	var args []string
	if file := s.Text[keyTLSAuth]; file != "" {
		args = append(args, "--tls-auth", file)
		if direction := s.Text[keyTLSAuthDir]; direction != "" {
			args = append(args, direction)
		}
	}
	return append(args, "--nobind", "--persist-key", "--client")
}

// nameArguments have the server's name checked. The option --tls-remote took a
// name or a whole subject; openvpn 2.4 replaced it.
func nameArguments(name string) []string {
	switch {
	case name == "":
		return nil
	case strings.Contains(name, "="):
		return []string{"--verify-x509-name", name, "subject"}
	}
	return []string{"--verify-x509-name", name, "name"}
}

// pingArguments decide when a silent server counts as lost. Over TCP openvpn
// would try again without an end and without a word, and over a tunnel that does
// not carry anything any more: there the connection ends, and whoever wants it
// makes a new one.
func pingArguments(s core.Settings) []string {
	_, ping := s.Text[keyPing]
	_, exit := s.Text[keyPingExit]
	var args []string
	if strings.HasPrefix(s.Text[keyProto], "tcp") {
		if !exit {
			args = append(args, "--ping-restart", "0")
		}
		return append(args, "--connect-retry-max", "1")
	}
	if !ping {
		args = append(args, "--ping", "10")
	}
	if !exit {
		args = append(args, "--ping-exit", "60")
	}
	return args
}

// quote makes text one word of what openvpn takes apart itself: configuration,
// command lines and the management interface.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
