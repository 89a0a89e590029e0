package settings

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ core.Storage = (*Store)(nil)

const cable = "ethernet_027702000002_cable"

// open runs a loop and a store on dir until the test ends.
func open(t *testing.T, dir string) (*Store, core.GlobalSettings, *messages) {
	t.Helper()
	var out messages
	log := slog.New(slog.NewTextHandler(&out, nil))
	l := loop.New(log)
	s, global, err := Open(l, log, dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; l.Wait(); s.Close() })
	return s, global, &out
}

type messages struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.Write(p)
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

func load(t *testing.T, s *Store, id string) (core.ServiceSettings, bool) {
	t.Helper()
	type answer struct {
		settings core.ServiceSettings
		found    bool
	}
	answers := make(chan answer, 1)
	s.loop.Post("test", func() {
		s.LoadService(id, func(settings core.ServiceSettings, found bool) { answers <- answer{settings, found} })
	})
	select {
	case a := <-answers:
		return a.settings, a.found
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		panic("unreachable")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The files in testdata/reference were written by the C implementation, 1.41,
// while its client configured one service, step by step. Reading and writing
// each must give the same bytes, on a fresh disk and on the step before it.
func TestSameBytesAsTheCImplementation(t *testing.T) {
	files, err := filepath.Glob("testdata/reference/*")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	before := ""
	for _, name := range files {
		want := read(t, name)
		dir := t.TempDir()
		path := filepath.Join(dir, cable, "settings")
		write(t, path, want)
		s, _, log := open(t, dir)
		settings, found := load(t, s, cable)
		if !found || log.String() != "" {
			t.Fatalf("%s: found %t, log %s", name, found, log)
		}
		for _, base := range []string{"", before} {
			write(t, path, base)
			s.SaveService(cable, settings)
			s.writer.Flush()
			if diff := cmp.Diff(want, read(t, path)); diff != "" {
				t.Errorf("%s over %q:\n%s", name, base, diff)
			}
		}
		before = want
	}
}

func TestServiceValues(t *testing.T) {
	auto := false
	want := core.ServiceSettings{
		Name: "Wired", AutoConnect: &auto, Favorite: true,
		Modified: time.Date(2026, 11, 22, 8, 59, 18, 0, time.Local),
		IPv4:     core.IPv4Settings{Method: core.IPv4Manual, Address: netip.MustParsePrefix("10.77.0.50/24"), Gateway: netip.MustParseAddr("10.77.0.1")},
		IPv6: core.IPv6Settings{
			Method: core.IPv6Manual, Privacy: core.PrivacyDisabled,
			Address: netip.MustParsePrefix("2001:db8::5/64"), Gateway: netip.MustParseAddr("2001:db8::1"),
		},
		Nameservers: []string{"10.77.0.1", "192.0.2.53"},
		Timeservers: []string{"ntp.example.org", "192.0.2.123"},
		Domains:     []string{"example.org", "lab.example"},
		Proxy: netcfg.ProxyConfig{
			Method: netcfg.ProxyDirect, URL: "http://wpad.example/wpad.dat",
			Servers: []string{"http://proxy.example:3128"}, Excludes: []string{"localhost", ".example.org"},
		},
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, cable, "settings"), read(t, "testdata/reference/11-ipv6manual"))
	s, _, _ := open(t, dir)
	got, _ := load(t, s, cable)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// A VPN's addresses are its tunnel's, whatever the C implementation wrote.
func TestVPN(t *testing.T) {
	const id = "vpn_10_77_0_1_office_test"
	const old = `[vpn_10_77_0_1_office_test]
Name=Office
SplitRouting=true
AutoConnect=true
Modified=2026-11-22T08:59:18Z
IPv4.method=fixed
IPv4.netmask_prefixlen=24
IPv4.local_address=10.9.0.2
IPv6.method=off
`
	dir := t.TempDir()
	file := filepath.Join(dir, id, "settings")
	write(t, file, old)
	s, _, _ := open(t, dir)
	got, found := load(t, s, id)
	if !found || !got.SplitRouting || !*got.AutoConnect {
		t.Fatalf("read %+v", got)
	}
	got.SplitRouting = false
	s.SaveService(id, got)
	s.Close()
	if got, want := read(t, file), strings.Replace(old, "SplitRouting=true", "SplitRouting=false", 1); got != want {
		t.Errorf("wrote %s", got)
	}
}

func TestWhatIsNotKnownStays(t *testing.T) {
	const id = "wifi_020000000001_6c6162_managed_psk"
	const old = `# by hand
[` + id + `]
Name=lab
SSID=6c6162
Frequency=2412
Favorite=true
AutoConnect=true
Modified=2026-01-01T00:00:00Z
Passphrase=top\\\\secret
IPv4.method=dhcp
IPv6.method=auto
IPv6.privacy=disabled
IPv6.DHCP.LastPrefixes=2001:db8::/56;
Hidden=true
Vendor.Key=x

[Other]
a=b
`
	dir := t.TempDir()
	path := filepath.Join(dir, id, "settings")
	write(t, path, old)
	s, _, _ := open(t, dir)
	settings, found := load(t, s, id)
	if !found || !settings.Favorite {
		t.Fatalf("found %t, %+v", found, settings)
	}
	settings.IPv4.LastAddress = netip.MustParseAddr("192.0.2.7")
	settings.Nameservers = []string{"192.0.2.1"}
	s.SaveService(id, settings)
	s.writer.Flush()
	want := strings.Replace(old, "IPv4.method=dhcp\n", "IPv4.method=dhcp\nIPv4.DHCP.LastAddress=192.0.2.7\n", 1)
	want = strings.Replace(want, "Hidden=true\n", "Nameservers=192.0.2.1;\nHidden=true\n", 1)
	// Nameservers goes behind the last key before it that is there.
	if diff := cmp.Diff(want, read(t, path)); diff != "" {
		t.Error(diff)
	}
}

// The format of Config.file and Config.ident is that of service_save in the C
// implementation's src/service.c.
func TestProvisionedServiceNamesItsGroup(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	s.SaveService(cable, core.ServiceSettings{ConfigFile: "office", ConfigEntry: "desk"})
	s.writer.Flush()
	if got := read(t, filepath.Join(dir, cable, "settings")); !strings.HasSuffix(got, "\nConfig.file=office\nConfig.ident=service_desk\n") {
		t.Errorf("got %q", got)
	}
	if got, _ := load(t, s, cable); got.ConfigFile != "office" || got.ConfigEntry != "desk" {
		t.Errorf("got %q %q", got.ConfigFile, got.ConfigEntry)
	}
}

// Sync does not wait for the delay that gathers changes.
func TestSync(t *testing.T) {
	dir := t.TempDir()
	s, global, _ := open(t, dir)
	global.OfflineMode = true
	synced := make(chan string)
	s.loop.Post("test", func() {
		s.SaveGlobal(global)
		s.Sync(func() { synced <- read(t, filepath.Join(dir, "settings")) })
	})
	if got := <-synced; !strings.Contains(got, "OfflineMode=true") {
		t.Errorf("synced, and the file holds\n%s", got)
	}
}

func TestGlobal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "settings")
	s, global, _ := open(t, dir)
	if global.OfflineMode || len(global.Technologies) != 0 {
		t.Errorf("without a file: %+v", global)
	}
	global.Technologies[core.Ethernet] = core.TechnologySettings{Enable: true}
	s.SaveGlobal(global)
	global.Technologies[core.Ethernet] = core.TechnologySettings{} // the store has its own copy
	s.writer.Flush()
	if diff := cmp.Diff(read(t, "testdata/global-first"), read(t, path)); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	s.SaveGlobal(core.GlobalSettings{OfflineMode: true, Technologies: map[core.Type]core.TechnologySettings{core.Ethernet: {}, core.VPN: {Enable: true}}})
	s.writer.Flush()
	if diff := cmp.Diff(read(t, "testdata/global-disabled"), read(t, path)); diff != "" {
		t.Error(diff)
	}
}

func TestGlobalTethering(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "settings")
	const text = "[global]\nOfflineMode=true\n\n[WiFi]\nEnable=true\nTethering=true\nTethering.Identifier=\\slab\n" +
		`Tethering.Passphrase=a\\"b\\\\c\\303\\251` + "\nTethering.Freq=5180\n\n[Wifi]\nkept=1\n\n[Cellular]\nTethering=false\n"
	write(t, path, text)
	s, global, log := open(t, dir)
	want := core.TechnologySettings{Enable: true, Tethering: true, TetheringIdentifier: " lab", TetheringPassphrase: `a"b\cé`, TetheringFreq: 5180}
	if got := global.Technologies[core.Wifi]; got != want || !global.OfflineMode || len(global.Technologies) != 1 {
		t.Errorf("got %+v (%q)", global, got.TetheringPassphrase.Reveal())
	}
	s.SaveGlobal(global)
	s.writer.Flush()
	if diff := cmp.Diff(text, read(t, path)); diff != "" || log.String() != "" {
		t.Error(diff, log)
	}
}

func TestPassphraseEscapesAsGLib(t *testing.T) {
	for plain, escaped := range map[string]string{
		"abc": "abc", `a"b`: `a\"b`, `a\b`: `a\\b`, "café": `caf\303\251`, "\x01\x7f\x1f": `\001\177\037`,
		"\n\t\r\b\f\v": `\n\t\r\b\f\v`, " x ": " x ", "'": "'",
	} {
		if got := escapeC(plain); got != escaped {
			t.Errorf("%q escapes as %q, want %q", plain, got, escaped)
		}
		if got := unescapeC(escaped); got != plain {
			t.Errorf("%q unescapes as %q, want %q", escaped, got, plain)
		}
	}
	for escaped, plain := range map[string]string{`\x`: "x", `\8`: "8", `\1`: "\x01", `\12x`: "\nx", `\1234`: "S4", `a\`: "a"} {
		if got := unescapeC(escaped); got != plain {
			t.Errorf("%q unescapes as %q, want %q", escaped, got, plain)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if got := unescapeC(escapeC(s)); got != s {
			t.Fatalf("%q came back as %q", s, got)
		}
	})
}

// What DHCPv6 needs to get the same address again.
func TestDHCPv6Identity(t *testing.T) {
	dir := t.TempDir()
	want := core.ServiceSettings{
		Name: "Wired", IPv6: core.IPv6Settings{Method: core.IPv6Auto, Privacy: core.PrivacyEnabled},
		LastAddress6: netip.MustParseAddr("2001:db8::50"), DUID: "\x00\x01\x00\x01\x30\xe8\x75\x80\x02\x00\x00\x00\x00\x01",
	}
	s, _, _ := open(t, dir)
	s.SaveService(cable, want)
	s.writer.Flush()
	text := read(t, filepath.Join(dir, cable, "settings"))
	if !strings.Contains(text, "IPv6.privacy=enabled\nIPv6.DHCP.LastAddress=2001:db8::50\n") ||
		!strings.HasSuffix(strings.TrimSpace(text), "\nIPv6.DHCP.DUID=0001000130e87580020000000001") {
		t.Errorf("written as\n%s", text)
	}
	if got, _ := load(t, s, cable); got.LastAddress6 != want.LastAddress6 || got.DUID != want.DUID {
		t.Errorf("read as %+v", got)
	}
}

func TestHostileValuesAreReported(t *testing.T) {
	tests := []string{
		"Name=\xff\xfe", `Name=\q`, "AutoConnect=perhaps", "Modified=yesterday", "IPv4.method=carrier-pigeon",
		"IPv4.DHCP.LastAddress=2001:db8::1", "IPv4.DHCP.LastAddress=$(reboot)", "IPv4.method=manual",
		"IPv4.method=manual\nIPv4.local_address=192.0.2.1\nIPv4.netmask_prefixlen=33",
		"IPv6.method=manual\nIPv6.local_address=192.0.2.1\nIPv6.netmask_prefixlen=24",
		"IPv6.DHCP.LastAddress=192.0.2.1", "IPv6.DHCP.DUID=0001000", "IPv6.DHCP.DUID=0001", "IPv6.DHCP.DUID=" + strings.Repeat("00", 131), "IPv6.DHCP.DUID=xyz",
		"IPv6.privacy=total", "Nameservers=dns.example;", "Timeservers=a b;", "Domains=\\n;", "Proxy.Method=magic", "mDNS=2",
	}
	for _, text := range tests {
		dir := t.TempDir()
		write(t, filepath.Join(dir, cable, "settings"), "["+cable+"]\n"+text+"\n")
		s, _, log := open(t, dir)
		got, found := load(t, s, cable)
		if diff := cmp.Diff(core.ServiceSettings{}, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" || !found {
			t.Errorf("%q: found %t, %s", text, found, diff)
		}
		if !strings.Contains(log.String(), "left out") || !strings.Contains(log.String(), "line ") {
			t.Errorf("%q: not reported with its line: %s", text, log)
		}
	}
}

func TestCorruptFilesAreSetAside(t *testing.T) {
	dir := t.TempDir()
	garbage := "[" + cable + "]\nName=x\n" + strings.Repeat("\x00", 100)
	for _, path := range []string{filepath.Join(dir, "settings"), filepath.Join(dir, cable, "settings")} {
		write(t, path, garbage)
	}
	s, global, log := open(t, dir)
	if global.OfflineMode || len(global.Technologies) != 0 {
		t.Errorf("corrupt settings gave %+v", global)
	}
	if _, found := load(t, s, cable); found {
		t.Error("a corrupt file gave settings")
	}
	s.SaveService(cable, core.ServiceSettings{Name: "Wired"})
	s.writer.Flush()
	if got := read(t, filepath.Join(dir, cable, "settings")); !strings.HasPrefix(got, "["+cable+"]\nName=Wired\n") {
		t.Errorf("saved over a corrupt file: %q", got)
	}
	for _, path := range []string{filepath.Join(dir, "settings.corrupt"), filepath.Join(dir, cable, "settings.corrupt")} {
		if read(t, path) != garbage || !strings.Contains(log.String(), path) {
			t.Errorf("%s: not kept or not named in the log", path)
		}
	}
	s.RemoveService(cable)
	s.writer.Flush()
	if _, err := os.Stat(filepath.Join(dir, cable)); !os.IsNotExist(err) {
		t.Errorf("the service's directory is still there: %v", err)
	}
}

func TestIdentifiersStayInTheDirectory(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "state")
	s, _, log := open(t, dir)
	bad := []string{"", "wifi", "wifi_", "settings", "../x", "wifi_/../../x", "wifi_..\x00", "wifi_a/b", "telex_1", "wifi_ä", "wifi_" + strings.Repeat("x", 260)}
	for _, id := range bad {
		s.SaveService(id, core.ServiceSettings{Name: "x"})
		s.RemoveService(id)
		if _, found := load(t, s, id); found {
			t.Errorf("%q has settings", id)
		}
	}
	s.writer.Flush()
	var files []string
	if err := filepath.WalkDir(outside, func(path string, _ os.DirEntry, err error) error {
		files = append(files, path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 {
		t.Errorf("written: %v", files)
	}
	if got := strings.Count(log.String(), "level=ERROR"); got != 3*len(bad) {
		t.Errorf("%d refusals logged, want %d", got, 3*len(bad))
	}
}

func TestSavedIsLoadedBeforeItIsWritten(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	s.SaveService(cable, core.ServiceSettings{Name: "first"})
	s.SaveService(cable, core.ServiceSettings{Name: "second"})
	if got, found := load(t, s, cable); !found || got.Name != "second" {
		t.Errorf("found %t, %q", found, got.Name)
	}
	s.RemoveService(cable)
	if _, found := load(t, s, cable); found {
		t.Error("a removed service has settings")
	}
}

func TestClosedDirectoryKeepsTheLast(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s, _, err := Open(loop.New(log), log, dir)
	if err != nil {
		t.Fatal(err)
	}
	s.SaveService(cable, core.ServiceSettings{Name: "last"})
	s.Close()
	if got := read(t, filepath.Join(dir, cable, "settings")); !strings.Contains(got, "Name=last\n") {
		t.Errorf("got %q", got)
	}
}

func FuzzReadService(f *testing.F) {
	for _, name := range []string{"01-dhcp", "11-ipv6manual", "15-mdns"} {
		data, err := os.ReadFile("testdata/reference/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("[" + cable + "]\nIPv4.method=manual\nIPv4.local_address=::ffff:1.2.3.4\nIPv4.netmask_prefixlen=99\n"))
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s := &Store{log: log, dir: f.TempDir()}
	path := s.servicePath(cable)
	f.Fuzz(func(t *testing.T, data []byte) {
		first, found := s.readService(path, cable, data)
		s.readGlobal(s.globalPath(), data)
		if !found {
			return
		}
		file := keyfile.New(keyfile.Semicolon)
		writeService(file, cable, first)
		second, found := s.readService(path, cable, file.Bytes())
		if !found || !slices.Equal(first.Nameservers, second.Nameservers) || first.Name != second.Name ||
			first.IPv4.Address != second.IPv4.Address || first.IPv6.Gateway != second.IPv6.Gateway || !first.Proxy.Equal(second.Proxy) {
			t.Fatalf("%+v came back as %+v from %q", first, second, file.Bytes())
		}
	})
}
