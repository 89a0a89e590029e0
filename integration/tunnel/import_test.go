//go:build netns

package tunnel

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// A profile of OpenVPN's, given to connmanctl, makes a tunnel; its script is not
// run, and nobody else reads its key.
func TestImportOpenVPN(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, nil)
	cert, key := pki.issue("client", false)
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	read := func(path string) string {
		text, err := os.ReadFile(path)
		must(t, err)
		return string(text)
	}
	must(t, os.WriteFile(filepath.Join(dir, "client.crt"), []byte(read(cert)), 0o644))
	profile := filepath.Join(dir, "my office.ovpn")
	must(t, os.WriteFile(profile, []byte("client\ndev tun\nremote "+serverIP+" 1194 udp\nremote-cert-tls server\ntls-version-min 1.2\n"+
		"script-security 2\nup \"/usr/bin/touch "+ran+"\"\ncert client.crt\n"+
		"<ca>\n"+read(pki.CA)+"</ca>\n<key>\n"+read(key)+"</key>\n"), 0o600))

	out := w.control("vpn", "import", profile)
	id, worked := strings.CutPrefix(strings.TrimSpace(out), "Imported my_office as ")
	if !worked {
		t.Fatalf("connmanctl says %q", out)
	}
	for _, name := range []string{"my_office.config", "my_office/key", "my_office/options.conf"} {
		if info, err := os.Stat(w.machine.Path("/var/lib/connman-vpn/" + name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	path := dbus.ObjectPath("/net/connman/vpn/connection/" + id)
	if p := w.properties(path); p["Immutable"].Value() != true || p["Name"].Value() != "my office" {
		t.Errorf("the connection is %v", p)
	}
	must(t, w.connect(path))
	w.configure(path)
	w.route(path, insideNetwork+"/24")
	w.passes(insideServer)
	if _, err := os.Stat(ran); err == nil {
		t.Error("the profile's script was run")
	}
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.leavesNothing()
}

// TestImportPKCS12 has certificates and key in one file, which the user's word opens.
func TestImportPKCS12(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, nil)
	cert, key := pki.issue("client", false)
	dir := t.TempDir()
	const passphrase = "open sesame"
	export := exec.Command("openssl", "pkcs12", "-export", "-in", cert, "-inkey", key, "-certfile", pki.CA, "-passout", "stdin",
		"-out", filepath.Join(dir, "client.p12"))
	export.Stdin = strings.NewReader(passphrase + "\n")
	if out, err := export.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	profile := filepath.Join(dir, "office.ovpn")
	must(t, os.WriteFile(profile, []byte("client\ndev tun\nremote "+serverIP+" 1194 udp\nremote-cert-tls server\npkcs12 client.p12\n"), 0o600))
	id, worked := strings.CutPrefix(strings.TrimSpace(w.control("vpn", "import", profile)), "Imported office as ")
	if !worked {
		t.Fatal(id)
	}
	path := dbus.ObjectPath("/net/connman/vpn/connection/" + id)
	w.agent.will(map[string]string{"OpenVPN.PrivateKeyPassword": passphrase})
	must(t, w.connect(path))
	w.configure(path)
	w.route(path, insideNetwork+"/24")
	w.passes(insideServer)
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.leavesNothing()
}

// control runs connmanctl on the machine and returns what it prints.
func (w *world) control(words ...string) string {
	w.t.Helper()
	cmd := exec.Command(filepath.Join(os.Getenv("CONNMAN_BIN"), "connmanctl"), words...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.bus.Address)
	out, err := w.machine.Output(cmd)
	must(w.t, err)
	return string(out)
}
