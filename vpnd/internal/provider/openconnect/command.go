package openconnect

import (
	"strings"

	"net.connman/pkg/logx"
	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/child"
)

// credentials are what the user says, or has said before.
type credentials struct {
	username     string
	password     logx.Secret
	second       logx.Secret
	cookie       logx.Secret
	pkcsPassword logx.Secret
	vpnHost      string
	serverCert   string
}

// saved are the credentials in the settings.
func (s settings) saved() credentials {
	return credentials{
		username:     s.secret(keyUsername),
		password:     logx.Secret(s.secret(keyPassword)),
		second:       logx.Secret(s.secret(keySecondPassword)),
		cookie:       logx.Secret(s.secret(keyCookie)),
		pkcsPassword: logx.Secret(s.secret(keyPKCSPassword)),
		vpnHost:      s.text(keyVPNHost),
		serverCert:   s.text(keyServerCert),
	}
}

// options writes the program's options as a file for --config, see
// openconnect(8). Values are single lines: they were checked.
func (s settings) options(c credentials, p child.Place) logx.Secret {
	var b strings.Builder
	flag := func(name string, on bool) {
		if on {
			b.WriteString(name + "\n")
		}
	}
	value := func(name, v string) {
		if v != "" {
			b.WriteString(name + "=" + v + "\n")
		}
	}
	value("interface", p.Link)
	value("script", p.Script)
	value("protocol", s.text(keyProtocol))
	value("usergroup", s.text(keyUserGroup))
	value("base-mtu", s.text(keyMTU))
	flag("disable-ipv6", s.is(keyDisableIPv6))
	flag("no-http-keepalive", s.is(keyNoKeepalive))
	flag("no-dtls", s.is(keyNoDTLS))
	if s.pinned(c) {
		// Without authorities, since the fingerprint of a certificate that one of
		// them vouches for is not looked at.
		flag("no-system-trust", true)
		value("servercert", c.serverCert)
	} else {
		value("cafile", s.text(keyCACert))
	}
	switch {
	case c.cookie != "":
		flag("cookie-on-stdin", true)
	case s.authType() == byKey:
		value("certificate", s.text(keyClientCert))
		value("sslkey", s.text(keyUserKey))
	case s.authType() == byPKCS:
		value("certificate", s.text(keyPKCSCert))
		value("key-password", c.pkcsPassword.Reveal())
	default:
		value("user", c.username)
		flag("passwd-on-stdin", true)
	}
	value("authgroup", s.text(keyGroup))
	return logx.Secret(b.String())
}

// pinned reports whether the server is known by its certificate alone.
func (s settings) pinned(c credentials) bool { return s.is(keySelfSigned) && c.serverCert != "" }

// spec says how to run the program.
func (s settings) spec(path string, c credentials, p child.Place) proc.Spec {
	host := s.text(keyHost)
	if c.vpnHost != "" {
		host = c.vpnHost
	}
	return proc.Spec{
		Program: path,
		Args:    []string{"--config=" + proc.SecretPath(0), host},
		Env:     []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Secrets: []logx.Secret{s.options(c, p)},
		Input:   true,
	}
}
