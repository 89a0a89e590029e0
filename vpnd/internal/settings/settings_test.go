package settings

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"net.connman/pkg/keyfile"
	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a state directory and returns what is in it. The Store ends with
// the test, or with close.
func open(t *testing.T, dir string) (s *Store, kept []core.Saved, log *strings.Builder) {
	t.Helper()
	log = &strings.Builder{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	s, kept, err := Open(loop.New(logger), logger, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, kept, log
}

func put(t *testing.T, dir, id, text string) string {
	t.Helper()
	path := filepath.Join(dir, "provider_"+id, "settings")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// theirs is what the C implementation has written.
const theirs = `[10_0_0_1_x_test]
Name=my VPN
Type=openvpn
Host=10.0.0.1
VPN.Domain=x.test
AuthErrorLimit=3
Networks=4/10.1.0.0/16/10.1.0.9;6/2001:db8::/64/;
OpenVPN.CACert=/etc/ca.pem
OpenVPN.Cert=/etc/with\\sspace.pem
`

var parsed = core.Saved{
	ID: "10_0_0_1_x_test", Type: "openvpn", Name: "my VPN", Host: "10.0.0.1", Domain: "x.test",
	Routes: []core.Route{
		{Dst: netip.MustParsePrefix("10.1.0.0/16"), Gateway: netip.MustParseAddr("10.1.0.9")},
		{Dst: netip.MustParsePrefix("2001:db8::/64")},
	},
	Values: []core.Value{
		{Key: "AuthErrorLimit", Text: "3"}, {Key: "OpenVPN.CACert", Text: "/etc/ca.pem"}, {Key: "OpenVPN.Cert", Text: `/etc/with\sspace.pem`},
	},
}

// compare compares what secrets hide, too.
func compare(a, b any) string {
	return cmp.Diff(a, b, cmpopts.EquateEmpty(), cmp.Comparer(func(x, y netip.Prefix) bool { return x == y }), cmp.Comparer(func(x, y netip.Addr) bool { return x == y }))
}

func TestReadsTheirs(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "10_0_0_1_x_test", theirs)
	_, kept, log := open(t, dir)
	if diff := compare([]core.Saved{parsed}, kept); diff != "" {
		t.Error(diff)
	}
	if log.Len() > 0 {
		t.Error(log)
	}
}

func TestWrites(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	s.Save(parsed)
	s.writer.Flush()
	path := filepath.Join(dir, "provider_10_0_0_1_x_test", "settings")
	want := strings.Replace(theirs, "10.1.0.0/16/", "10.1.0.0/255.255.0.0/", 1)
	if diff := cmp.Diff(want, get(t, path)); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	s.Remove(parsed.ID)
	s.writer.Flush()
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Errorf("the directory is left: %v", err)
	}
}

// What we don't know stays as it is; what is cleared goes.
func TestKeepsTheUnknown(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "a", "# mine\n[a]\nName=A\nType=vpnc\nHost=a\nNetworks=4/10.1.0.0/16/;\nVPNC.PFS=x\nUnknown = y\n[other]\nk=v\n")
	s, kept, _ := open(t, dir)
	c := kept[0]
	c.Name, c.SplitRouting, c.Routes = "B", true, nil
	c.Values = []core.Value{{Key: "VPNC.PFS"}, {Key: "VPNC.Vendor", Text: " z"}}
	s.Save(c)
	s.writer.Flush()
	want := "# mine\n[a]\nName=B\nType=vpnc\nHost=a\nSplitRouting=true\nVPNC.Vendor=\\sz\nUnknown = y\n[other]\nk=v\n"
	if diff := cmp.Diff(want, get(t, path)); diff != "" {
		t.Error(diff)
	}
}

func TestHostileDirectory(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "no_keys", "\x00\xff")
	put(t, dir, "other_group", "[b]\nName=n\nType=t\nHost=h\n")
	put(t, dir, "no_host", "[no_host]\nName=n\nType=t\n")
	put(t, dir, "bad_host", "[bad_host]\nName=n\nType=t\nHost=$(reboot)\n")
	put(t, dir, "bad.name", "[bad.name]\nName=n\nType=t\nHost=h\n")
	put(t, dir, "provisioned", "[provisioned]\nName=n\nType=t\nHost=h\nConfig.file=f\nConfig.ident=provider_x\n")
	put(t, dir, "good", "[good]\nName=n\nType=T\nHost=h\nVPN.Domain=/\nNetworks=4/x;\nSplitRouting=x\n")
	if err := os.MkdirAll(filepath.Join(dir, "provider_dir", "settings"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "ethernet_cable"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, kept, log := open(t, dir)
	if diff := compare([]core.Saved{{ID: "good", Type: "t", Name: "n", Host: "h"}}, kept); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"no_keys", "other_group", "no_host", "bad_host", "dir", "VPN.Domain", "Networks", "SplitRouting"} {
		if !strings.Contains(log.String(), name) {
			t.Errorf("nothing in the log of %s", name)
		}
	}
	if strings.Contains(log.String(), "reboot") {
		t.Error("the log shows values")
	}
}

// FuzzParse gives files any content.
func FuzzParse(f *testing.F) {
	f.Add([]byte(theirs))
	f.Add([]byte("[10_0_0_1_x_test]\nNetworks=;;\nHost=\\"))
	f.Add([]byte("[10_0_0_1_x_test]\nName=n\nType=T\nHost=h\nSplitRouting=true\nSome.Key=a\\sb\\;c\\t\n[other]\nx=y\n# kept"))
	const id = "10_0_0_1_x_test"
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := parse(id, data)
		if err != nil {
			return
		}
		if core.CheckHost(c.Host) != nil || core.CheckName(c.Name) != nil || len(c.Routes) > core.MaxRoutes {
			t.Fatalf("%+v", c)
		}
		// What is saved is what was read.
		file, problems := keyfile.Parse(data, keyfile.Semicolon)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		write(file, c)
		c.Values = slices.DeleteFunc(c.Values, func(v core.Value) bool { return v.Text == "" }) // not kept
		again, _, err := parse(id, file.Bytes())
		slices.SortStableFunc(again.Values, func(a, b core.Value) int { return strings.Compare(a.Key, b.Key) })
		slices.SortStableFunc(c.Values, func(a, b core.Value) int { return strings.Compare(a.Key, b.Key) })
		if d := compare(c, again); err != nil || d != "" {
			t.Fatalf("%v\n%s\n%s", err, d, file.Bytes())
		}
	})
}
