package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/resolver"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/netcfg"
)

func TestNothingSaidIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "[General]\n", "# nothing\n\n"} {
		c, problems := Parse([]byte(text))
		if diff := cmp.Diff(Default(), c); diff != "" || problems != nil {
			t.Errorf("%q: %s %v", text, diff, problems)
		}
	}
	c, problems := Load(filepath.Join(t.TempDir(), "main.conf"))
	if diff := cmp.Diff(Default(), c); diff != "" || problems != nil {
		t.Errorf("missing file: %s %v", diff, problems)
	}
}

const everything = `[General]
InputRequestTimeout = 1
BrowserLaunchTimeout = 2
BackgroundScanning = false
RoamingScan = 10, -70, 600
MACAddressPolicy = stable-random
SettingsFollowNetwork = true
UseGatewaysAsTimeservers = true
FallbackTimeservers = a.example, 192.0.2.1
FallbackNameservers = 192.0.2.2#dns.example, 2001:db8::1
DefaultAutoConnectTechnologies = cellular, bluetooth,wifi,
DefaultEnabledTechnologies = wifi
DefaultFavoriteTechnologies =
AlwaysConnectedTechnologies = ethernet
PreferredTechnologies = wifi,ethernet
NetworkInterfaceBlacklist = docker, br-
AllowHostnameUpdates = false
AllowDomainnameUpdates = false
SingleConnectedTechnology = true
TetheringTechnologies = ethernet, p2p
PersistentTetheringMode = 1
Enable6to4 = true
IPv6AddressGeneration = stable-privacy
VendorClassID = a box
OnlineCheckMode = continuous
OnlineCheckIPv4URL = http://a.example/4
OnlineCheckIPv6URL = http://a.example/6
OnlineCheckConnectTimeout = 12.345
OnlineCheckInitialInterval = 3
OnlineCheckMaxInterval = 20
OnlineCheckFailuresThreshold = 4
OnlineCheckSuccessesThreshold = 5
OnlineCheckIntervalStyle = fibonacci
AutoConnectRoamingServices = true
AddressConflictDetection = true
Localtime = /var/lib/localtime
RegdomFollowsTimezone = true
ResolvConf = /dev/null
DNSBackend = systemd-resolved
DNSOverTLS = strict
DNSServeStale = true
DNSRandomCase = true
`

const everythingTOML = `[General]
InputRequestTimeout = 1
BrowserLaunchTimeout = 2
BackgroundScanning = false
RoamingScan = [10, -70, 600]
MACAddressPolicy = "stable-random"
SettingsFollowNetwork = true
UseGatewaysAsTimeservers = true
FallbackTimeservers = ["a.example", "192.0.2.1"]
FallbackNameservers = ["192.0.2.2#dns.example", "2001:db8::1"]
DefaultAutoConnectTechnologies = ["cellular", "bluetooth", "wifi"]
DefaultEnabledTechnologies = "wifi"
DefaultFavoriteTechnologies = []
AlwaysConnectedTechnologies = ["ethernet"]
PreferredTechnologies = ["wifi", "ethernet"]
NetworkInterfaceBlacklist = ["docker", "br-"]
AllowHostnameUpdates = false
AllowDomainnameUpdates = false
SingleConnectedTechnology = true
TetheringTechnologies = ["ethernet", "p2p"]
PersistentTetheringMode = true
Enable6to4 = true
IPv6AddressGeneration = "stable-privacy"
VendorClassID = "a box"
OnlineCheckMode = "continuous"
OnlineCheckIPv4URL = "http://a.example/4"
OnlineCheckIPv6URL = "http://a.example/6"
OnlineCheckConnectTimeout = 12.345
OnlineCheckInitialInterval = 3
OnlineCheckMaxInterval = 20
OnlineCheckFailuresThreshold = 4
OnlineCheckSuccessesThreshold = 5
OnlineCheckIntervalStyle = "fibonacci"
AutoConnectRoamingServices = true
AddressConflictDetection = true
Localtime = "/var/lib/localtime"
RegdomFollowsTimezone = true
ResolvConf = "/dev/null"
DNSBackend = "systemd-resolved"
DNSOverTLS = "strict"
DNSServeStale = true
DNSRandomCase = true
`

func TestEveryKey(t *testing.T) {
	want := Config{
		Config: core.Config{
			InputRequestTimeout:   time.Second,
			BrowserLaunchTimeout:  2 * time.Second,
			Roaming:               core.RoamingScan{Short: 10 * time.Second, Threshold: -70, Long: 10 * time.Minute},
			AddressPolicy:         core.AddressStable,
			SettingsFollowNetwork: true,
			DefaultAutoConnect:    []core.Type{core.Cellular, core.Bluetooth, core.Wifi},
			DefaultEnabled:        []core.Type{core.Wifi},
			AlwaysConnected:       []core.Type{core.Ethernet},
			Preferred:             []core.Type{core.Wifi, core.Ethernet},
			SingleConnected:       true,
			AutoConnectRoaming:    true,
			UseGatewaysAsTime:     true,
			FallbackTimeservers:   []string{"a.example", "192.0.2.1"},
			FallbackNameservers:   []string{"192.0.2.2", "2001:db8::1"},
			Tethering:             []core.Type{core.Ethernet, core.P2P},
			PersistentTethering:   true,
			Enable6to4:            true,
			VendorClassID:         "a box",
			ConflictDetection:     true,
			OnlineCheck: core.OnlineCheckConfig{
				Mode: core.OnlineCheckContinuous, IPv4URL: "http://a.example/4", IPv6URL: "http://a.example/6",
				ConnectTimeout: 12345 * time.Millisecond, InitialInterval: 3, MaxInterval: 20,
				Failures: 4, Successes: 5, IntervalStyle: core.Fibonacci,
			},
		},
		InterfaceBlacklist: []string{"docker", "br-"},
		ResolvConf:         "/dev/null",
		DNSBackend:         resolver.System,
		Asking: resolver.Asking{
			TLS: netcfg.Strict, ServeStale: true, RandomCase: true,
			Names: map[netip.Addr]string{netip.MustParseAddr("192.0.2.2"): "dns.example"},
		},
		Localtime:             "/var/lib/localtime",
		RegdomFollowsTimezone: true,
		AddressGeneration:     OpaqueAddresses,
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"main.conf": everything, "main.toml": everythingTOML} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, problems := Load(path)
		if diff := cmp.Diff(want, got); diff != "" || problems != nil {
			t.Errorf("%s: %s %v", name, diff, problems)
		}
	}
}

func TestOnlineCheckModeAndItsForerunners(t *testing.T) {
	tests := []struct {
		text     string
		want     core.OnlineCheckMode
		problems int
	}{
		{"OnlineCheckMode=none\n", core.OnlineCheckNone, 0},
		{"OnlineCheckMode=one-shot\nEnableOnlineCheck=false\n", core.OnlineCheckOneShot, 1},
		{"EnableOnlineCheck=false\n", core.OnlineCheckNone, 1},
		{"EnableOnlineCheck=true\n", core.OnlineCheckOneShot, 1},
		{"EnableOnlineToReadyTransition=true\n", core.OnlineCheckContinuous, 1},
		{"EnableOnlineCheck=false\nEnableOnlineToReadyTransition=true\n", core.OnlineCheckNone, 2},
		{"OnlineCheckMode=always\n", core.OnlineCheckOneShot, 1},
		{"OnlineCheckMode=always\nEnableOnlineToReadyTransition=1\n", core.OnlineCheckContinuous, 2},
	}
	for _, tt := range tests {
		c, problems := Parse([]byte("[General]\n" + tt.text))
		if c.OnlineCheck.Mode != tt.want || len(problems) != tt.problems {
			t.Errorf("%q: %s, %v; want %s, %d problems", tt.text, c.OnlineCheck.Mode, problems, tt.want, tt.problems)
		}
	}
}

// Each line is a mistake: it is reported with its place and changes nothing.
func TestMistakesAreReportedAndIgnored(t *testing.T) {
	for _, text := range []string{
		"NoSuchKey=1", "allowhostnameupdates=false", "rubbish",
		"InputRequestTimeout=-1", "InputRequestTimeout=soon", "InputRequestTimeout=", "BrowserLaunchTimeout=1.5",
		"BackgroundScanning=maybe", "Enable6to4=maybe", "SingleConnectedTechnology=True",
		"FallbackNameservers=dns.example", "FallbackNameservers=0.0.0.0", "FallbackNameservers=192.0.2.1#*",
		"PreferredTechnologies=token-ring", "AlwaysConnectedTechnologies=\\x",
		"OnlineCheckIPv4URL=ftp://a.example", "OnlineCheckIPv6URL=http://", "OnlineCheckIPv4URL=",
		"OnlineCheckConnectTimeout=-1", "OnlineCheckConnectTimeout=inf", "OnlineCheckConnectTimeout=1e9",
		"OnlineCheckInitialInterval=0", "OnlineCheckInitialInterval=13", "OnlineCheckMaxInterval=-2",
		"OnlineCheckFailuresThreshold=0", "OnlineCheckSuccessesThreshold=99999999999",
		"OnlineCheckIntervalStyle=linear", "Localtime=localtime", "ResolvConf=", "DNSBackend=bind", "DNSBackend=",
		"DNSOverTLS=yes", "DNSOverTLS=", "DNSServeStale=maybe", "DNSRandomCase=maybe",
		"RoamingScan=", "RoamingScan=30,-65", "RoamingScan=30,-65,x", "RoamingScan=30,-65,300,1", "RoamingScan=30,-10,300",
		"RoamingScan=30,-101,300", "RoamingScan=0,-65,300", "RoamingScan=301,-65,300", "RoamingScan=30,-65,86401",
		"MACAddressPolicy=", "MACAddressPolicy=mine",
		"VendorClassID=\xff", "IPv6AddressGeneration=random", "IPv6AddressGeneration=",
	} {
		c, problems := Parse([]byte("# a comment\n[General]\n" + text + "\n"))
		if diff := cmp.Diff(Default(), c); diff != "" {
			t.Errorf("%q changed the configuration: %s", text, diff)
		}
		if len(problems) != 1 || problems[0].Line != 3 || problems[0].Group != general {
			t.Errorf("%q: problems %v, want one in line 3", text, problems)
		}
	}
}

func TestPartOfAListIsUsed(t *testing.T) {
	c, problems := Parse([]byte("[General]\nPreferredTechnologies=wifi,,telex,wifi,ethernet\nAllowHostnameUpdates=no\n[Other]\nx=1\n"))
	if want := []core.Type{core.Wifi, core.Ethernet}; !slices.Equal(c.Preferred, want) {
		t.Errorf("preferred %v, want %v", c.Preferred, want)
	}
	if c.AllowHostnameUpdates {
		t.Error("a boolean that is neither true nor false must be false, as in the C implementation")
	}
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if want := []int{2, 3, 4}; !slices.Equal(lines, want) {
		t.Errorf("problems in lines %v, want %v", lines, want)
	}
}

func TestDefaultPath(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct{ create, want string }{{"", "main.conf"}, {"main.toml", "main.toml"}, {"main.conf", "main.conf"}} {
		if step.create != "" {
			if err := os.WriteFile(filepath.Join(dir, step.create), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := filepath.Base(DefaultPath(dir)); got != step.want {
			t.Errorf("with %q: %s, want %s", step.create, got, step.want)
		}
	}
}

func TestUnreadableFileIsAProblem(t *testing.T) {
	dir := t.TempDir() // a directory cannot be read as a file, not even by root
	c, problems := Load(dir)
	if diff := cmp.Diff(Default(), c); diff != "" || len(problems) != 1 || problems[0].File != dir {
		t.Errorf("%s %v", diff, problems)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(everythingTOML))
	f.Add([]byte("[General]\nOnlineCheckInitialInterval=9\nOnlineCheckMaxInterval=3\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func([]byte) (Config, []keyfile.Problem){Parse, ParseTOML} {
			c, _ := parse(data)
			check := c.OnlineCheck
			if check.InitialInterval < 1 || check.InitialInterval > check.MaxInterval || check.Failures < 1 || check.Successes < 1 ||
				check.ConnectTimeout < 0 || c.InputRequestTimeout < 0 || slices.Contains(c.InterfaceBlacklist, "") {
				t.Fatalf("%q gives %+v", data, c)
			}
		}
	})
}
