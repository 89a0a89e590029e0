package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/lab"
)

const importedProfile = "remote vpn.test 1194\nca ca.crt\nup /bin/sh\n"

// importing is a world whose daemon takes profiles, and a directory with some.
func importing(t *testing.T) (w *world, dir string) {
	t.Helper()
	w, dir = newWorld(t), t.TempDir()
	w.Answer("/ net.connman.vpn.Provisioning.Import",
		lab.Answer{Signature: "o", Values: []any{dbus.ObjectPath("/net/connman/vpn/connection/vpn_test")}})
	for name, text := range map[string]string{
		"office.ovpn": importedProfile, "ca.crt": "CA", "nowhere.ovpn": "client\n", "lost.ovpn": "remote h\nca gone.crt\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.ovpn"), 0o700); err != nil {
		t.Fatal(err)
	}
	return w, dir
}

// A profile is handed over with the files that it names; what is left out is
// told.
func TestImport(t *testing.T) {
	w, dir := importing(t)
	got := finish(t, client(deadline(t), w.Bus, "vpn", "import", filepath.Join(dir, "office.ovpn")))
	if got.status != int(command.Worked) || got.Stdout != "Imported office as vpn_test\n" {
		t.Errorf("status %d, %q", got.status, got.Stdout)
	}
	if want := "Warning: office.ovpn:3: up runs programs or writes files: left out\n"; got.Stderr != want {
		t.Errorf("warnings %q, want %q", got.Stderr, want)
	}
	calls := strings.Join(w.Calls(), "\n")
	for _, part := range []string{"Provisioning.Import", "office", "Host=vpn.test", "OpenVPN.CACert=/var/lib/connman-vpn/office/ca", "CA"} {
		if !strings.Contains(calls, part) {
			t.Errorf("%q is not in the call\n%s", part, calls)
		}
	}
}

// What cannot be imported says why, and nothing is asked of the daemon.
func TestImportWrong(t *testing.T) {
	w, dir := importing(t)
	for file, want := range map[string]string{
		"missing.ovpn": "no such file or directory", "nowhere.ovpn": "there is no remote", "lost.ovpn": "gone.crt: no such file",
		"ca.crt": "neither in .ovpn nor in .conf", "dir.ovpn": "no regular file",
	} {
		got := finish(t, client(deadline(t), w.Bus, "vpn", "import", filepath.Join(dir, file)))
		if got.status != int(command.Misused) || !strings.Contains(got.Stderr, want) || got.Stdout != "" {
			t.Errorf("%s: status %d, %q, %q", file, got.status, got.Stdout, got.Stderr)
		}
	}
	for _, line := range []string{"vpn", "vpn import", "vpn export x", "vpn import a b"} {
		if got := finish(t, client(deadline(t), w.Bus, words(line)...)); got.status != int(command.Misused) {
			t.Errorf("%s: status %d", line, got.status)
		}
	}
	if calls := w.Calls(); len(calls) > 0 {
		t.Errorf("the daemon was asked for %q", calls)
	}
}

// The daemon may know better.
func TestImportRefused(t *testing.T) {
	w, dir := importing(t)
	w.Answer("/ net.connman.vpn.Provisioning.Import", lab.Answer{Error: refused + "AlreadyExists", Text: "Already exists"})
	got := finish(t, client(deadline(t), w.Bus, "vpn", "import", filepath.Join(dir, "office.ovpn")))
	if got.status != int(command.Refused) || !strings.Contains(got.Stderr, "Error office: Already exists\n") {
		t.Errorf("status %d, %q", got.status, got.Stderr)
	}
}
