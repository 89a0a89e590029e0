package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const api = "../../../api"

// The committed bindings are what the generator writes today.
func TestBindingsAreFresh(t *testing.T) {
	for pkg, pattern := range map[string]string{"connman": "net.connman.[A-Z]*.xml", "vpn": "net.connman.vpn.*.xml", "supplicant": "fi.w1.wpa_supplicant1*.xml",
		"properties": "org.freedesktop.DBus.Properties.xml"} {
		files, err := filepath.Glob(filepath.Join(api, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no input for %s: %v", pkg, err)
		}
		want, err := bindings(pkg, files)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../../api", pkg, pkg+".go"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("pkg/api/%s is stale: run go generate ./api/... in pkg", pkg)
		}
	}
}

func TestFaultyInputIsNamed(t *testing.T) {
	for name, c := range map[string]struct{ xml, want string }{
		"not XML":      {`<node`, "cannot parse"},
		"no direction": {`<method name="M"><arg name="a" type="s"/></method>`, "argument a has no direction"},
		"no Go type":   {`<method name="M"><arg name="a" type="(s)" direction="in"/></method>`, "no Go type for (s)"},
		"bad signal":   {`<signal name="S"><arg name="a" type="h"/></signal>`, "signal S: no Go type"},
		"bad access":   {`<c:dict name="D"><c:key name="K" type="s" access="r"/></c:dict>`, "key D.K: access"},
		"bad key type": {`<c:dict name="D"><c:key name="K" type="ss" access="read"/></c:dict>`, "not a D-Bus type"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.xml")
			text := `<node xmlns:c="net.connman"><interface name="a.B">` + c.xml + `</interface></node>`
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := bindings("x", []string{file})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
