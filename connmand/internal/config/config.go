package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/resolver"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/netcfg"
)

// Config is all that the configuration file says.
type Config struct {
	core.Config

	// InterfaceBlacklist are beginnings of the names of interfaces that are
	// left alone.
	InterfaceBlacklist []string
	// ResolvConf is the file to write instead of resolv.conf, "" to choose.
	ResolvConf string
	// DNSBackend says who resolves names.
	DNSBackend resolver.Backend
	// Asking says how name servers are asked.
	Asking resolver.Asking
	// Localtime is the file that names the time zone.
	Localtime string
	// AddressGeneration says what IPv6 addresses are made of.
	AddressGeneration AddressGeneration
	// RegdomFollowsTimezone sets the regulatory domain of Wi-Fi by the time
	// zone's country.
	RegdomFollowsTimezone bool
}

// AddressGeneration says what IPv6 addresses in routers' prefixes are made of.
type AddressGeneration string

// The ways to make addresses, spelt as in main.conf.
const (
	HardwareAddresses AddressGeneration = "eui64"          // RFC 4291, appendix A
	OpaqueAddresses   AddressGeneration = "stable-privacy" // RFC 7217
)

// Default is the configuration without a file.
func Default() Config {
	return Config{
		Config: core.Config{
			InputRequestTimeout:    120 * time.Second,
			BrowserLaunchTimeout:   300 * time.Second,
			BackgroundScanning:     true,
			Roaming:                core.RoamingScan{Short: 30 * time.Second, Threshold: -65, Long: 300 * time.Second},
			AddressPolicy:          core.AddressPermanent,
			DefaultAutoConnect:     []core.Type{core.Wifi, core.Ethernet, core.Cellular},
			DefaultEnabled:         []core.Type{core.Ethernet},
			DefaultFavorite:        []core.Type{core.Ethernet},
			AllowHostnameUpdates:   true,
			AllowDomainnameUpdates: true,
			Tethering:              []core.Type{core.Wifi, core.Bluetooth, core.Gadget},
			OnlineCheck: core.OnlineCheckConfig{
				Mode:            core.OnlineCheckOneShot,
				IPv4URL:         "http://ipv4.connman.net/online/status.html",
				IPv6URL:         "http://ipv6.connman.net/online/status.html",
				InitialInterval: 1,
				MaxInterval:     12,
				Failures:        6,
				Successes:       6,
				IntervalStyle:   core.Geometric,
			},
		},
		InterfaceBlacklist: []string{"vmnet", "vboxnet", "virbr", "ifb", "ve-", "vb-", "ham", "veth"},
		DNSBackend:         resolver.Auto,
		Localtime:          "/etc/localtime",
		AddressGeneration:  HardwareAddresses,
	}
}

// DefaultPath is the file to read from dir when the user named none: main.conf,
// or main.toml where there is no main.conf.
func DefaultPath(dir string) string {
	conf, twin := filepath.Join(dir, "main.conf"), filepath.Join(dir, "main.toml")
	if _, err := os.Stat(conf); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(twin); err == nil {
			return twin
		}
	}
	return conf
}

// Load reads the file at path, as TOML if its name ends in .toml. The Config is
// always usable: without a file, or with one that cannot be read, it is the
// default. A missing file is no problem.
func Load(path string) (Config, []keyfile.Problem) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return Default(), []keyfile.Problem{{File: path, Text: fmt.Sprintf("cannot be read: %v", err)}}
	}
	parse := Parse
	if strings.HasSuffix(path, ".toml") {
		parse = ParseTOML
	}
	c, problems := parse(data)
	for i := range problems {
		problems[i].File = path
	}
	return c, problems
}

// Parse reads the content of a main.conf.
func Parse(data []byte) (Config, []keyfile.Problem) {
	return read(keyfile.Parse(data, keyfile.Comma))
}

// ParseTOML reads the content of a main.toml.
func ParseTOML(data []byte) (Config, []keyfile.Problem) {
	return read(keyfile.ParseTOML(data, keyfile.Comma))
}

const general = "General"

func read(file *keyfile.File, problems []keyfile.Problem) (Config, []keyfile.Problem) {
	r := reader{file: file, problems: problems}
	c := Default()
	for _, group := range file.Groups() {
		if group != general {
			r.report(file.Problem(group, "", "unknown group"))
		}
	}
	known := r.keys(&c)
	for _, key := range file.Keys(general) {
		if read, ok := known[key]; ok {
			read(key)
		} else {
			r.report(file.Problem(general, key, "unknown key"))
		}
	}
	r.onlineCheck(&c.OnlineCheck)
	slices.SortStableFunc(r.problems, func(a, b keyfile.Problem) int { return a.Line - b.Line })
	return c, r.problems
}

// keys maps each key to what reads it into c.
func (r *reader) keys(c *Config) map[string]func(key string) {
	check := &c.OnlineCheck
	return map[string]func(string){
		"InputRequestTimeout":            r.seconds(&c.InputRequestTimeout),
		"BrowserLaunchTimeout":           r.seconds(&c.BrowserLaunchTimeout),
		"BackgroundScanning":             r.strictBool(&c.BackgroundScanning),
		"RoamingScan":                    r.roaming(&c.Roaming),
		"MACAddressPolicy":               r.choice((*string)(&c.AddressPolicy), string(core.AddressPermanent), string(core.AddressStable), string(core.AddressRandom)),
		"SettingsFollowNetwork":          r.bool(&c.SettingsFollowNetwork),
		"UseGatewaysAsTimeservers":       r.bool(&c.UseGatewaysAsTime),
		"FallbackTimeservers":            r.strings(&c.FallbackTimeservers),
		"FallbackNameservers":            r.nameServers(&c.FallbackNameservers, &c.Asking.Names),
		"DefaultAutoConnectTechnologies": r.types(&c.DefaultAutoConnect),
		"DefaultEnabledTechnologies":     r.types(&c.DefaultEnabled),
		"DefaultFavoriteTechnologies":    r.types(&c.DefaultFavorite),
		"AlwaysConnectedTechnologies":    r.types(&c.AlwaysConnected),
		"PreferredTechnologies":          r.types(&c.Preferred),
		"NetworkInterfaceBlacklist":      r.strings(&c.InterfaceBlacklist),
		"AllowHostnameUpdates":           r.bool(&c.AllowHostnameUpdates),
		"AllowDomainnameUpdates":         r.bool(&c.AllowDomainnameUpdates),
		"SingleConnectedTechnology":      r.bool(&c.SingleConnected),
		"TetheringTechnologies":          r.types(&c.Tethering),
		"PersistentTetheringMode":        r.bool(&c.PersistentTethering),
		"Enable6to4":                     r.bool(&c.Enable6to4),
		"IPv6AddressGeneration":          r.choice((*string)(&c.AddressGeneration), string(HardwareAddresses), string(OpaqueAddresses)),
		"VendorClassID":                  r.vendorClass(&c.VendorClassID),
		"EnableOnlineCheck":              r.deprecated,
		"EnableOnlineToReadyTransition":  r.deprecated,
		"OnlineCheckMode":                r.choice((*string)(&check.Mode), string(core.OnlineCheckNone), string(core.OnlineCheckOneShot), string(core.OnlineCheckContinuous)),
		"OnlineCheckIPv4URL":             r.url(&check.IPv4URL),
		"OnlineCheckIPv6URL":             r.url(&check.IPv6URL),
		"OnlineCheckConnectTimeout":      r.decimalSeconds(&check.ConnectTimeout),
		"OnlineCheckInitialInterval":     r.count(&check.InitialInterval),
		"OnlineCheckMaxInterval":         r.count(&check.MaxInterval),
		"OnlineCheckFailuresThreshold":   r.count(&check.Failures),
		"OnlineCheckSuccessesThreshold":  r.count(&check.Successes),
		"OnlineCheckIntervalStyle":       r.choice((*string)(&check.IntervalStyle), string(core.Geometric), string(core.Fibonacci)),
		"AutoConnectRoamingServices":     r.bool(&c.AutoConnectRoaming),
		"AddressConflictDetection":       r.bool(&c.ConflictDetection),
		"Localtime":                      r.path(&c.Localtime),
		"RegdomFollowsTimezone":          r.bool(&c.RegdomFollowsTimezone),
		"ResolvConf":                     r.path(&c.ResolvConf),
		"DNSBackend":                     r.choice((*string)(&c.DNSBackend), string(resolver.Auto), string(resolver.Proxy), string(resolver.Direct), string(resolver.System)),
		"DNSOverTLS":                     r.choice((*string)(&c.Asking.TLS), string(netcfg.ClearText), string(netcfg.Opportunistic), string(netcfg.Strict)),
		"DNSServeStale":                  r.bool(&c.Asking.ServeStale),
		"DNSRandomCase":                  r.bool(&c.Asking.RandomCase),
	}
}

// onlineCheck settles what several keys say together.
func (r *reader) onlineCheck(check *core.OnlineCheckConfig) {
	if check.InitialInterval > check.MaxInterval {
		r.report(r.file.Problem(general, "OnlineCheckInitialInterval", "%d is beyond OnlineCheckMaxInterval, %d: both are left out",
			check.InitialInterval, check.MaxInterval))
		d := Default().OnlineCheck
		check.InitialInterval, check.MaxInterval = d.InitialInterval, d.MaxInterval
	}
	if r.chosen["OnlineCheckMode"] {
		return
	}
	// The two booleans that OnlineCheckMode replaced.
	enabled, continuous := true, false
	r.loose("EnableOnlineCheck", &enabled)
	r.loose("EnableOnlineToReadyTransition", &continuous)
	switch {
	case !enabled:
		check.Mode = core.OnlineCheckNone
	case continuous:
		check.Mode = core.OnlineCheckContinuous
	}
}
