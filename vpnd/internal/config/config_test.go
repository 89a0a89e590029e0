package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"net.connman/pkg/keyfile"
	"net.connman/pkg/proc"
)

// write puts files into a new directory.
func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// example is that of connman-vpn.conf(5).
const example = `[General]
InputRequestTimeout = 600

[DACPrivileges]
User = vpn_user
Group = vpn
SupplementaryGroups = inet, net_admin
`

func TestLoad(t *testing.T) {
	whole := proc.Identity{User: "vpn_user", Group: "vpn", Groups: []string{"inet", "net_admin"}}
	for name, tt := range map[string]struct {
		files    map[string]string
		timeout  time.Duration
		exit     time.Duration
		general  proc.Identity
		openvpn  proc.Identity
		problems []string
	}{
		"nothing": {timeout: 300 * time.Second},
		"example": {files: map[string]string{"connman-vpn.conf": example}, timeout: 600 * time.Second, general: whole, openvpn: whole},
		"TOML": {
			files: map[string]string{"connman-vpn.toml": "[General]\nExitWhenIdle = 30\n[DACPrivileges]\nUser = 'vpn_user'\n" +
				"Group = 'vpn'\nSupplementaryGroups = ['inet', 'net_admin']\n"},
			timeout: 300 * time.Second, exit: 30 * time.Second, general: whole, openvpn: whole,
		},
		"override": {
			files: map[string]string{
				"connman-vpn.conf":        example,
				"vpn-plugin/openvpn.conf": "[DACPrivileges]\nUser = 1000\nSupplementaryGroups =\n",
				"vpn-plugin/vpnc.toml":    "[DACPrivileges]\nUser = 'other'\n",
			},
			timeout: 600 * time.Second, general: whole, openvpn: proc.Identity{User: "1000", Group: "vpn", Groups: []string{}},
		},
		"wrong": {
			files: map[string]string{
				"connman-vpn.conf": "[General]\nInputRequestTimeout = 0\nExitWhenIdle = soon\nColour = blue\n[Other]\nx=y\n" +
					"[DACPrivileges]\nUser = a b\nGroup =\nSupplementaryGroups = a,b/c,\nnonsense\n",
				"vpn-plugin/openvpn.conf": "[General]\nInputRequestTimeout = 7\n",
			},
			timeout: 300 * time.Second, general: proc.Identity{Groups: []string{"a"}}, openvpn: proc.Identity{Groups: []string{"a"}},
			problems: []string{"line 2: [General] InputRequestTimeout", "line 3: [General] ExitWhenIdle", "line 4: [General] Colour",
				"line 5: [Other]", "line 8: [DACPrivileges] User", "line 9: [DACPrivileges] Group",
				"line 10: [DACPrivileges] SupplementaryGroups", "line 11: ", "openvpn.conf: line 1: [General]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, tt.files)
			c, problems := Load(DefaultPath(dir), dir, []string{"openvpn", "vpnc"})
			if c.InputRequestTimeout != tt.timeout || c.ExitWhenIdle != tt.exit {
				t.Errorf("timeouts %v, %v", c.InputRequestTimeout, c.ExitWhenIdle)
			}
			if diff := cmp.Diff(tt.general, c.Identity("l2tp")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.openvpn, c.Identity("openvpn")); diff != "" {
				t.Error(diff)
			}
			checkProblems(t, problems, tt.problems)
		})
	}
}

// checkProblems wants each problem to contain one of want, and each of those in
// one.
func checkProblems(t *testing.T, problems []keyfile.Problem, want []string) {
	t.Helper()
	var all strings.Builder
	for _, p := range problems {
		all.WriteString(p.Error() + "\n")
	}
	for _, w := range want {
		if !strings.Contains(all.String(), w) {
			t.Errorf("no problem %q", w)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems, want %d:\n%s", len(problems), len(want), all.String())
	}
}

func TestUnreadable(t *testing.T) {
	dir := write(t, map[string]string{"connman-vpn.conf/x": ""})
	c, problems := Load(DefaultPath(dir), dir, nil)
	if c.InputRequestTimeout != 300*time.Second || len(problems) != 1 {
		t.Errorf("%v, %v", c, problems)
	}
}

// FuzzLoad gives the files any content, in both formats: that of all programs and
// that of one type's. Nothing but accounts' names becomes accounts.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(example), []byte("[DACPrivileges]\nUser = other\n"), false)
	f.Add([]byte("[General]\nInputRequestTimeout=99999999999\nExitWhenIdle=-1\n"), []byte("[DACPrivileges]\nGroup = -1\nSupplementaryGroups=,;,"), false)
	f.Add([]byte("[General]\nInputRequestTimeout = 10\n"), []byte("[DACPrivileges]\nSupplementaryGroups = ['a', 'b c']\n"), true)
	dir := f.TempDir()
	if err := os.Mkdir(filepath.Join(dir, overrideDir), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data, override []byte, inTOML bool) {
		name := mainName + confEnding
		if inTOML {
			name = mainName + tomlEnding
		}
		own := filepath.Join(dir, overrideDir, "openvpn")
		for path, content := range map[string][]byte{filepath.Join(dir, name): data, own + filepath.Ext(name): override} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(path)
		}
		c, problems := Load(filepath.Join(dir, name), dir, []string{"openvpn"})
		if c.InputRequestTimeout < time.Second || c.ExitWhenIdle < 0 {
			t.Errorf("%+v", c)
		}
		for _, typ := range []string{"openvpn", "vpnc"} {
			id := c.Identity(typ)
			for _, account := range append([]string{id.User, id.Group}, id.Groups...) {
				if strings.ContainsAny(account, " \t\n\x00:/") {
					t.Errorf("%q is nobody's name", account)
				}
			}
		}
		for _, p := range problems {
			if filepath.Dir(p.File) != dir && filepath.Dir(p.File) != filepath.Dir(own) {
				t.Errorf("%v does not name its file", p)
			}
		}
	})
}
