package openvpn

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"net.connman/vpnd/internal/core"
)

// The settings that are more than an option of openvpn.
const (
	keyHost        = "Host"
	keyCACert      = "OpenVPN.CACert"
	keyConfigFile  = "OpenVPN.ConfigFile"
	keyAuthUser    = "OpenVPN.AuthUserPass"
	keyTLSAuth     = "OpenVPN.TLSAuth"
	keyTLSAuthDir  = "OpenVPN.TLSAuthDir"
	keyTLSRemote   = "OpenVPN.TLSRemote"
	keyDeviceType  = "OpenVPN.DeviceType"
	keyProto       = "OpenVPN.Proto"
	keyPing        = "OpenVPN.Ping"
	keyPingExit    = "OpenVPN.PingExit"
	keyAuthNoCache = "OpenVPN.AuthNoCache"
	keyUsername    = "OpenVPN.Username"
	keyPassword    = "OpenVPN.Password"
	keyPassphrase  = "OpenVPN.PrivateKeyPassword"
)

// viaManagement as the AuthUserPass has openvpn ask us, as no value does.
const viaManagement = "-"

// option is a setting, and the option of openvpn that it becomes.
type option struct {
	key  string
	name string // "" for what is no option by itself
	// bare options may stand without a value.
	bare  bool
	check func(string) error
}

// options are in the order in which openvpn gets them: see vpn-config-format.txt.
var options = []option{
	{key: keyCACert, name: "--ca"},
	{key: "OpenVPN.Cert", name: "--cert"},
	{key: "OpenVPN.Key", name: "--key"},
	{key: "OpenVPN.MTU", name: "--tun-mtu", check: between(100, 65535)},
	{key: "OpenVPN.NSCertType", name: "--ns-cert-type", check: oneOf("server", "client")},
	{key: keyProto, name: "--proto", check: oneOf(protocols...)},
	{key: "OpenVPN.Port", name: "--port", check: between(1, 65535)},
	{key: keyAuthUser, name: "--auth-user-pass", bare: true},
	{key: "OpenVPN.AskPass", name: "--askpass", bare: true},
	{key: keyAuthNoCache, check: oneOf("true", "false")},
	{key: keyTLSRemote},
	{key: keyTLSAuth},
	{key: "OpenVPN.TLSCipher", name: "--tls-cipher"},
	{key: keyTLSAuthDir, check: oneOf("0", "1")},
	{key: "OpenVPN.Cipher", name: "--cipher"},
	{key: "OpenVPN.Auth", name: "--auth"},
	{key: "OpenVPN.CompLZO", name: "--comp-lzo", bare: true, check: oneOf("", "yes", "no", "adaptive")},
	{key: "OpenVPN.RemoteCertTls", name: "--remote-cert-tls", check: oneOf("server", "client")},
	{key: keyConfigFile, name: "--config"},
	{key: keyDeviceType, check: oneOf("tun", "tap")},
	{key: "OpenVPN.Verb", name: "--verb", check: between(0, 11)},
	{key: keyPing, name: "--ping", check: between(0, 86400)},
	{key: keyPingExit, name: "--ping-exit", check: between(0, 86400)},
	{key: "OpenVPN.RemapUsr1", name: "--remap-usr1", check: oneOf("SIGHUP", "SIGTERM")},
}

var protocols = []string{
	"udp", "udp4", "udp6", "tcp", "tcp4", "tcp6", "tcp-client", "tcp4-client", "tcp6-client",
}

// keys declares the settings. Username, Password and PrivateKeyPassword are
// otherwise asked for.
func keys() []core.Key {
	var list []core.Key
	for _, o := range options {
		list = append(list, core.Key{Name: o.key, Check: o.checkValue})
	}
	return append(list,
		core.Key{Name: keyUsername, Check: checkCredential},
		core.Key{Name: keyPassword, Secret: true, Check: checkCredential},
		core.Key{Name: keyPassphrase, Secret: true, Check: checkCredential})
}

// checkValue keeps values from being taken for options: to openvpn, whatever
// begins with two dashes is one, and some run programs.
func (o option) checkValue(value string) error {
	switch {
	case strings.HasPrefix(value, "--"):
		return errors.New("begins with --")
	case value == "" && !o.bare:
		return errors.New("is empty")
	case o.check != nil:
		return o.check(value)
	}
	return nil
}

// checkCredential refuses what cannot be said on the management interface, which
// knows lines.
func checkCredential(value string) error {
	if strings.ContainsAny(value, "\n\r\x00") {
		return errors.New("has a line break")
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(words, value) {
			return fmt.Errorf("is none of %s", strings.TrimPrefix(strings.Join(words, ", "), ", "))
		}
		return nil
	}
}

func between(least, most int) func(string) error {
	return func(value string) error {
		if n, err := strconv.Atoi(value); err != nil || n < least || n > most {
			return fmt.Errorf("is no number from %d to %d", least, most)
		}
		return nil
	}
}

// check says what is wrong with the settings as a whole.
func check(s core.Settings) error {
	switch {
	case s.Text[keyHost] == "":
		return errors.New("there is no Host to connect to")
	case strings.HasPrefix(s.Text[keyHost], "-"):
		return errors.New("the Host begins with a dash")
	case s.Text[keyConfigFile] == "" && s.Text[keyCACert] == "":
		return fmt.Errorf("there is neither %s nor %s", keyCACert, keyConfigFile)
	case s.Text[keyTLSAuthDir] != "" && s.Text[keyTLSAuth] == "":
		return fmt.Errorf("there is %s without %s", keyTLSAuthDir, keyTLSAuth)
	}
	return nil
}
