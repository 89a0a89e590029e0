package vpnc

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/core"
)

// The settings that the provider looks at itself, see vpn-config-format.txt.
const (
	keyGroup       = "VPNC.IPSec.ID"
	keyGroupSecret = "VPNC.IPSec.Secret"
	keyUsername    = "VPNC.Xauth.Username"
	keyPassword    = "VPNC.Xauth.Password"
	keyDeviceType  = "VPNC.DeviceType"
	keyDebug       = "VPNC.Debug"
)

// option is a setting of the program, see vpnc(8).
type option struct {
	key     string
	name    string // in the program's configuration
	without string // its value if the setting is not there
	flag    bool   // it has no value: it is there or not
	secret  bool
	check   func(string) error
}

// options are all of them, in the order in which they are written.
var options = []option{
	{key: "Host", name: "IPSec gateway"},
	{key: keyGroup, name: "IPSec ID"},
	{key: keyGroupSecret, name: "IPSec secret", secret: true},
	{key: keyUsername, name: "Xauth username", secret: true},
	{key: keyPassword, name: "Xauth password", secret: true},
	{key: "VPNC.IKE.Authmode", name: "IKE Authmode", check: oneOf("psk", "cert", "hybrid")},
	{key: "VPNC.IKE.DHGroup", name: "IKE DH Group", check: oneOf("dh1", "dh2", "dh5", "dh14", "dh15", "dh16", "dh17", "dh18")},
	{key: "VPNC.PFS", name: "Perfect Forward Secrecy",
		check: oneOf("nopfs", "dh1", "dh2", "dh5", "dh14", "dh15", "dh16", "dh17", "dh18", "server")},
	{key: "VPNC.Domain", name: "Domain"},
	{key: "VPNC.Vendor", name: "Vendor", check: oneOf("cisco", "netscreen", "fortigate")},
	{key: "VPNC.LocalPort", name: "Local Port", without: "0", check: within(0, 65535)},
	{key: "VPNC.CiscoPort", name: "Cisco UDP Encapsulation Port", without: "0", check: within(0, 65535)},
	{key: "VPNC.AppVersion", name: "Application version"},
	{key: "VPNC.NATTMode", name: "NAT Traversal Mode", without: "cisco-udp", check: oneOf("natt", "none", "force-natt", "cisco-udp")},
	{key: "VPNC.DPDTimeout", name: "DPD idle timeout (our side)", check: within(0, 86400)},
	{key: "VPNC.SingleDES", name: "Enable Single DES", flag: true, check: checkBool},
	{key: "VPNC.NoEncryption", name: "Enable no encryption", flag: true, check: checkBool},
}

func keys() []core.Key {
	var list []core.Key
	for _, o := range options {
		if strings.HasPrefix(o.key, "VPNC.") {
			list = append(list, core.Key{Name: o.key, Secret: o.secret, Check: o.check})
		}
	}
	return append(list,
		core.Key{Name: keyDeviceType, Check: oneOf("tun", "tap")},
		core.Key{Name: keyDebug, Check: within(0, maxDebug)},
	)
}

// maxDebug is the program's last level that shows no secrets.
const maxDebug = 3

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("none of %s", strings.Join(words, ", "))
		}
		return nil
	}
}

func within(least, most int) func(string) error {
	return func(v string) error {
		if n, err := strconv.Atoi(v); err != nil || n < least || n > most {
			return fmt.Errorf("not a number from %d to %d", least, most)
		}
		return nil
	}
}

// checkBool takes the words that the reference does.
func checkBool(v string) error {
	if !slices.Contains([]string{"yes", "true", "1", "no", "false", "0"}, strings.ToLower(v)) {
		return errors.New("neither true nor false")
	}
	return nil
}

// cleared is how files of the reference say that a value was taken away.
const cleared = "-"

// values are the settings' values by key, secret or not.
func values(s core.Settings) map[string]string {
	v := make(map[string]string)
	for key, text := range s.Text {
		if text != cleared {
			v[key] = text
		}
	}
	for key, secret := range s.Secrets {
		if secret != cleared {
			v[key] = secret.Reveal()
		}
	}
	return v
}

// configuration writes what the program reads. Values are single lines: they
// were checked.
func configuration(v map[string]string) logx.Secret {
	var b strings.Builder
	for _, o := range options {
		value := v[o.key]
		if value == "" {
			value = o.without
		}
		switch {
		case value == "":
		case !o.flag:
			b.WriteString(o.name + " " + value + "\n")
		case slices.Contains([]string{"yes", "true", "1"}, strings.ToLower(value)):
			b.WriteString(o.name + "\n")
		}
	}
	return logx.Secret(b.String())
}
