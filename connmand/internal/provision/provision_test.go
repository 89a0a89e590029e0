package provision

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var addresses = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

const full = `# a comment
[global]
Name = Example
Description = An example

[service_home]
Type = ethernet
IPv4 = 192.168.1.42/255.255.255.0/192.168.1.1
IPv6 = 2001:db8::42/64/2001:db8::1
IPv6.Privacy = preferred
MAC = 01:02:03:04:05:0A
Nameservers = 10.2.3.4,192.168.1.99#dns.example
DNSOverTLS = strict
SearchDomains = my.home, isp.net
Timeservers = 10.172.2.1,ntp.my.isp.net
Domain = my.home
mDNS = true

[service_tls]
Type = wifi
SSID = 746c735f73736964
EAP = tls
CACertFile = /certs/ca.pem
ClientCertFile = /certs/client.pem
PrivateKeyFile = /certs/client.key
PrivateKeyPassphrase = with\sspace 
PrivateKeyPassphraseType = fsid
Identity = user
AnonymousIdentity = anonymous
SubjectMatch = subject
AltSubjectMatch = DNS:a;DNS:b
DomainSuffixMatch = example.org
DomainMatch = radius.example.org
Phase2 = MSCHAPV2
Hidden = true
MACAddressPolicy = random

[service_psk]
Type = wifi
Name = my home
Passphrase = password 
DeviceName = wlan0
IPv4 = 10.0.0.2/24
IPv6 = off
`

const fullTOML = `[global]
Name = "Example"
Description = "An example"

[service_home]
Type = "ethernet"
IPv4 = "192.168.1.42/24/192.168.1.1"
IPv6 = "2001:db8::42/64/2001:db8::1"
"IPv6.Privacy" = "prefered"
MAC = "01:02:03:04:05:0a"
Nameservers = ["10.2.3.4", "192.168.1.99#dns.example"]
DNSOverTLS = "strict"
SearchDomains = ["my.home", "isp.net"]
Timeservers = ["10.172.2.1", "ntp.my.isp.net"]
Domain = "my.home"
mDNS = true

[service_tls]
Type = "wifi"
SSID = "746c735f73736964"
EAP = "tls"
CACertFile = "/certs/ca.pem"
ClientCertFile = "/certs/client.pem"
PrivateKeyFile = "/certs/client.key"
PrivateKeyPassphrase = "with space "
PrivateKeyPassphraseType = "fsid"
Identity = "user"
AnonymousIdentity = "anonymous"
SubjectMatch = "subject"
AltSubjectMatch = "DNS:a;DNS:b"
DomainSuffixMatch = "example.org"
DomainMatch = "radius.example.org"
Phase2 = "MSCHAPV2"
Hidden = true
MACAddressPolicy = "random"

[service_psk]
Type = "wifi"
Name = "my home"
Passphrase = "password "
DeviceName = "wlan0"
IPv4 = "10.0.0.2/24"
IPv6 = "off"
`

func TestEveryKey(t *testing.T) {
	mdns := true
	want := []core.ServiceSpec{{
		File: "example", Entry: "home", Type: core.Ethernet, MAC: "\x01\x02\x03\x04\x05\x0a",
		IPv4: &core.IPv4Settings{Method: core.IPv4Fixed, Address: netip.MustParsePrefix("192.168.1.42/24"), Gateway: netip.MustParseAddr("192.168.1.1")},
		IPv6: &core.IPv6Settings{
			Method: core.IPv6Fixed, Privacy: core.PrivacyPrefered,
			Address: netip.MustParsePrefix("2001:db8::42/64"), Gateway: netip.MustParseAddr("2001:db8::1"),
		},
		Nameservers: []string{"10.2.3.4", "192.168.1.99"}, DNSOverTLS: netcfg.Strict,
		ServerNames:   map[netip.Addr]string{netip.MustParseAddr("192.168.1.99"): "dns.example"},
		SearchDomains: []string{"my.home", "isp.net"},
		Timeservers:   []string{"10.172.2.1", "ntp.my.isp.net"}, Domain: "my.home", MDNS: &mdns,
	}, {
		File: "example", Entry: "tls", Type: core.Wifi,
		Wifi: &core.WifiSpec{
			SSID: "tls_ssid", Hidden: true, Address: core.AddressRandom, Security: "ieee8021x", EAP: "tls", CACertFile: "/certs/ca.pem",
			ClientCertFile: "/certs/client.pem", PrivateKeyFile: "/certs/client.key", PrivateKeyPassphrase: "with space ",
			PrivateKeyPassphraseType: "fsid", Identity: "user", AnonymousIdentity: "anonymous", SubjectMatch: "subject",
			AltSubjectMatch: "DNS:a;DNS:b", DomainSuffixMatch: "example.org", DomainMatch: "radius.example.org", Phase2: "MSCHAPV2",
		},
	}, {
		File: "example", Entry: "psk", Type: core.Wifi, DeviceName: "wlan0",
		IPv4: &core.IPv4Settings{Method: core.IPv4Fixed, Address: netip.MustParsePrefix("10.0.0.2/24")},
		IPv6: &core.IPv6Settings{Method: core.IPv6Off, Privacy: core.PrivacyDisabled},
		Wifi: &core.WifiSpec{SSID: "my home", Security: "psk", Passphrase: "password "},
	}}
	conf, problems := Parse("example", []byte(full))
	if diff := cmp.Diff(want, conf, addresses); diff != "" || problems != nil {
		t.Errorf("%s %v", diff, problems)
	}
	twin, problems := ParseTOML("example", []byte(fullTOML))
	if diff := cmp.Diff(want, twin, addresses); diff != "" || problems != nil {
		t.Errorf("TOML: %s %v", diff, problems)
	}
}

func TestAddressForms(t *testing.T) {
	spec4 := func(m core.IPv4Method, address, gateway string) *core.IPv4Settings {
		s := &core.IPv4Settings{Method: m}
		if address != "" {
			s.Address = netip.MustParsePrefix(address)
		}
		if gateway != "" {
			s.Gateway = netip.MustParseAddr(gateway)
		}
		return s
	}
	for value, want := range map[string]*core.IPv4Settings{
		"off": spec4("off", "", ""), "DHCP": spec4("dhcp", "", ""), "auto": spec4("dhcp", "", ""),
		"192.0.2.1/24":                       spec4("fixed", "192.0.2.1/24", ""),
		"192.0.2.1/24/":                      spec4("fixed", "192.0.2.1/24", ""),
		"192.0.2.1/255.255.128.0/192.0.2.99": spec4("fixed", "192.0.2.1/17", "192.0.2.99"),
		"192.0.2.1":                          nil, "192.0.2.1/": nil, "192.0.2.1/33": nil, "192.0.2.1/0": nil, "192.0.2.1/255.0.255.0": nil,
		"2001:db8::1/24": nil, "192.0.2.1/24/2001:db8::1": nil, "192.0.2.1/24/x": nil, "192.0.2.1/24/192.0.2.2/x": nil,
		"": nil, "/24": nil, "0.0.0.0/24": nil, "224.0.0.1/4": nil, "192.0.2.1/24x": nil,
	} {
		specs, problems := Parse("x", []byte("[service_a]\nType=ethernet\nIPv4="+value+"\n"))
		if want == nil {
			if len(specs) != 0 || len(problems) != 1 || problems[0].Line != 3 || problems[0].Key != "IPv4" {
				t.Errorf("IPv4=%s: %v, problems %v", value, specs, problems)
			}
			continue
		}
		if len(specs) != 1 || problems != nil || *specs[0].IPv4 != *want {
			t.Errorf("IPv4=%s: %+v, problems %v", value, specs, problems)
		}
	}
	for value, good := range map[string]bool{
		"off": true, "auto": true, "dhcp": true, "2001:db8::1/64": true, "2001:db8::1/128/fe80::1": true,
		"2001:db8::1": false, "2001:db8::1/129": false, "2001:db8::1/ffff::": false, "192.0.2.1/24": false, "::ffff:1.2.3.4/96": false, "": false,
	} {
		specs, problems := Parse("x", []byte("[service_a]\nType=ethernet\nIPv6="+value+"\n"))
		if (len(specs) == 1) != good || (problems == nil) != good {
			t.Errorf("IPv6=%s: %+v, problems %v", value, specs, problems)
		}
	}
}

func TestSecurity(t *testing.T) {
	for text, want := range map[string]struct {
		security string
		problems int
	}{
		"": {"none", 0}, "Security=none": {"none", 0}, "Security=open": {"none", 0}, "Security=psk": {"none", 1},
		"Passphrase=12345678": {"psk", 0}, "Passphrase=12345\nSecurity=wep": {"wep", 0}, "Passphrase=12345678\nSecurity=psk": {"psk", 0},
		"Passphrase=12345678\nSecurity=none": {"psk", 1}, "Passphrase=short": {"psk", 1}, "Passphrase=12345678\nSecurity=wep": {"wep", 1}, "EAP=PEAP": {"ieee8021x", 0}, "EAP=peap\nSecurity=8021x": {"ieee8021x", 0},
		"EAP=peap\nPassphrase=x\nSecurity=psk": {"ieee8021x", 1},
	} {
		specs, problems := Parse("x", []byte("[service_a]\nType=wifi\nName=n\n"+text+"\n"))
		if len(specs) != 1 || specs[0].Wifi.Security != want.security || len(problems) != want.problems {
			t.Errorf("%q: %+v, problems %v", text, specs, problems)
		}
	}
}

// Each of these groups must not be used, and the good one beside it must.
func TestWrongGroupsAreLeftOut(t *testing.T) {
	for _, text := range []string{
		"[service_a]\nIPv4=dhcp\n", "[service_a]\nType=vpn\n", "[service_]\nType=ethernet\n", "[ethernet]\nType=ethernet\n",
		"[service_a]\nType=ethernet\nMAC=01:02:03\n", "[service_a]\nType=ethernet\nMAC=\n", "[service_a]\nType=ethernet\nDeviceName=\n",
		"[service_a]\nType=ethernet\nDNSOverTLS=yes\n",
		"[service_a]\nType=ethernet\nDeviceName=../../x\n", "[service_a]\nType=wifi\n", "[service_a]\nType=wifi\nSSID=xyz\n",
		"[service_a]\nType=wifi\nSSID=\n", "[service_a]\nType=wifi\nName=" + strings.Repeat("x", 33) + "\n",
		"[service_a]\nType=ethernet\nDomain=\\q\n", "[service_a]\nType=wifi\nName=\xff\n",
	} {
		specs, problems := Parse("x", []byte(text+"[service_good]\nType=ethernet\n"))
		if len(specs) != 1 || specs[0].Entry != "good" || len(problems) == 0 || problems[0].Line == 0 {
			t.Errorf("%q: %+v, problems %v", text, specs, problems)
		}
	}
	// A torn line may have been the one that names the interface.
	specs, problems := Parse("x", []byte("[service_a]\nType=ethernet\nIPv4=192.0.2.1/24\nMA"))
	if len(specs) != 0 || len(problems) != 2 {
		t.Errorf("torn file: %+v, problems %v", specs, problems)
	}
}

func TestWrongPartsAreReported(t *testing.T) {
	specs, problems := Parse("x", []byte("[global]\nName=x\nOwner=y\n[service_a]\nType=gadget\nNameservers=dns.example,192.0.2.1\nIPv6.Privacy=total\nmDNS=yes\nColour=red\n"))
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	slices.Sort(lines)
	if want := []int{3, 6, 7, 8, 9}; !slices.Equal(lines, want) || len(specs) != 1 {
		t.Fatalf("problems %v", problems)
	}
	if s := specs[0]; !slices.Equal(s.Nameservers, []string{"192.0.2.1"}) || s.IPv6.Privacy != core.PrivacyDisabled || *s.MDNS {
		t.Errorf("got %+v", s)
	}
}

// watch runs a watch until the test ends; entries gives the next report's.
func watch(t *testing.T, dir string) (entries func() []string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	reports := make(chan []core.ServiceSpec, 100)
	stop := Watch(l, log, dir, func(specs []core.ServiceSpec) { reports <- specs })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); cancel(); <-ended })
	return func() []string {
		t.Helper()
		select {
		case specs := <-reports:
			var names []string
			for _, s := range specs {
				names = append(names, s.File+"/"+s.Entry+"@"+s.DeviceName)
			}
			return names
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was reported")
			return nil
		}
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func ethernet(entry, device string) string {
	return "[service_" + entry + "]\nType=ethernet\nDeviceName=" + device + "\n"
}

// Files of both formats are followed, one that is wrong costs the others nothing.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "b.config", ethernet("one", "eth1"))
	put(t, dir, "bad.config", "[service_x]\nType=telex\n")
	next := watch(t, dir)
	if got := next(); !slices.Equal(got, []string{"b/one@eth1"}) {
		t.Errorf("at once: %q", got)
	}
	put(t, dir, "new", "[service_two]\nType = \"ethernet\"\nDeviceName = \"eth2\"\n")
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "a.toml")); err != nil {
		t.Fatal(err)
	}
	if got := next(); !slices.Equal(got, []string{"a/two@eth2", "b/one@eth1"}) {
		t.Errorf("added: %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(fullTOML))
	f.Add([]byte("[service_x]\nType=wifi\nSSID=zz\nIPv4=1/2/3\nMAC=x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func(string, []byte) ([]core.ServiceSpec, []keyfile.Problem){Parse, ParseTOML} {
			specs, _ := parse("x", data)
			for _, s := range specs {
				if s.Entry == "" || (s.Type == core.Wifi) != (s.Wifi != nil) || (s.MAC != "" && len(s.MAC) != 6) ||
					(s.IPv4 != nil && s.IPv4.Method == core.IPv4Fixed && !s.IPv4.Address.IsValid()) {
					t.Fatalf("%q gives %+v", data, s)
				}
			}
		}
	})
}
