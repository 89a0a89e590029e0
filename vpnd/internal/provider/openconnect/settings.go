package openconnect

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"net.connman/vpnd/internal/core"
)

// The settings, see vpn-config-format.txt.
const (
	keyHost           = "Host"
	keyMTU            = "VPN.MTU"
	keySelfSigned     = "OpenConnect.AllowSelfSignedCert"
	keyAuthType       = "OpenConnect.AuthType"
	keyCACert         = "OpenConnect.CACert"
	keyClientCert     = "OpenConnect.ClientCert"
	keyCookie         = "OpenConnect.Cookie"
	keyDisableIPv6    = "OpenConnect.DisableIPv6"
	keyGroup          = "OpenConnect.Group"
	keyNoCertCheck    = "OpenConnect.NoCertCheck"
	keyNoDTLS         = "OpenConnect.NoDTLS"
	keyNoKeepalive    = "OpenConnect.NoHTTPKeepalive"
	keyPassword       = "OpenConnect.Password"
	keyPKCSCert       = "OpenConnect.PKCSClientCert"
	keyPKCSPassword   = "OpenConnect.PKCSPassword"
	keyProtocol       = "OpenConnect.Protocol"
	keySecondPassword = "OpenConnect.SecondPassword"
	keyServerCert     = "OpenConnect.ServerCert"
	keyUserGroup      = "OpenConnect.Usergroup"
	keyUserKey        = "OpenConnect.UserPrivateKey"
	keyUsername       = "OpenConnect.Username"
	keyUseSecond      = "OpenConnect.UseSecondPassword"
	keyVPNHost        = "OpenConnect.VPNHost"
)

// The ways to authenticate.
const (
	byCookie     = "cookie"
	byUserCookie = "cookie_with_userpass"
	byUser       = "userpass"
	byKey        = "publickey"
	byPKCS       = "pkcs"
)

// cleared is how files of the reference say that a value was taken away.
const cleared = "-"

func keys() []core.Key {
	return []core.Key{
		{Name: keySelfSigned, Check: checkBool},
		{Name: keyAuthType, Check: oneOf(byCookie, byUserCookie, byUser, byKey, byPKCS)},
		{Name: keyCACert, Check: checkFile},
		{Name: keyClientCert, Check: checkObject},
		{Name: keyDisableIPv6, Check: checkBool},
		{Name: keyPKCSCert, Check: checkObject},
		{Name: keyProtocol, Check: oneOf("anyconnect", "nc", "gp", "pulse", "f5", "fortinet", "array")},
		{Name: keyNoCertCheck, Check: checkBool}, // no openconnect of today has it
		{Name: keyNoKeepalive, Check: checkBool},
		{Name: keyNoDTLS, Check: checkBool},
		{Name: keyServerCert, Check: checkFingerprint},
		{Name: keyUserGroup},
		{Name: keyUserKey, Check: checkObject},
		{Name: keyMTU, Check: checkMTU},
		{Name: keyGroup},
		{Name: keyUseSecond, Check: checkBool},
		{Name: keyVPNHost, Check: core.CheckHost},
		{Name: keyUsername, Secret: true},
		{Name: keyPassword, Secret: true},
		{Name: keySecondPassword, Secret: true},
		{Name: keyPKCSPassword, Secret: true},
		{Name: keyCookie, Secret: true},
	}
}

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("none of %s", strings.Join(words, ", "))
		}
		return nil
	}
}

func checkBool(v string) error {
	if _, err := strconv.ParseBool(strings.ToLower(v)); err != nil {
		return errors.New("neither true nor false")
	}
	return nil
}

func checkFile(v string) error {
	if !filepath.IsAbs(v) {
		return errors.New("not an absolute path")
	}
	return nil
}

// checkObject takes a file or a PKCS#11 URL (RFC 7512).
func checkObject(v string) error {
	if strings.HasPrefix(v, "pkcs11:") {
		return nil
	}
	return checkFile(v)
}

func checkMTU(v string) error {
	if n, err := strconv.Atoi(v); err != nil || n < 576 || n > 65535 {
		return errors.New("not a packet's size")
	}
	return nil
}

// checkFingerprint takes what openconnect's --servercert does: a hash of the
// certificate, in hexadecimal and at least 4 digits of it, or of its key.
func checkFingerprint(v string) error {
	if v == cleared {
		return nil
	}
	if pin, ok := strings.CutPrefix(v, "pin-sha256:"); ok {
		if hash, err := base64.StdEncoding.DecodeString(pin); err != nil || len(hash) != 32 {
			return errors.New("not the SHA-256 of a key")
		}
		return nil
	}
	digits := strings.TrimPrefix(strings.TrimPrefix(v, "sha1:"), "sha256:")
	if _, err := hex.DecodeString(digits); err != nil || len(digits) < 4 || len(digits) > 64 {
		return errors.New("not a fingerprint")
	}
	return nil
}

// settings is what the settings mean.
type settings struct{ core.Settings }

func (s settings) text(key string) string {
	if v := s.Text[key]; v != cleared {
		return v
	}
	return ""
}

func (s settings) secret(key string) string {
	if v := s.Secrets[key].Reveal(); v != cleared {
		return v
	}
	return ""
}

func (s settings) is(key string) bool {
	yes, err := strconv.ParseBool(strings.ToLower(s.text(key)))
	return err == nil && yes
}

func (s settings) authType() string {
	if t := s.text(keyAuthType); t != "" {
		return t
	}
	return byCookie
}

// check says what is wrong with the settings as a whole.
func (s settings) check() error {
	switch t := s.authType(); {
	case t == byKey && (s.text(keyClientCert) == "" || s.text(keyUserKey) == ""):
		return fmt.Errorf("%s needs %s and %s", t, keyClientCert, keyUserKey)
	case t == byPKCS && s.text(keyPKCSCert) == "":
		return fmt.Errorf("%s needs %s", t, keyPKCSCert)
	}
	return nil
}
