//go:build netns

package vpn

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestClients has both clients show and connect the VPN: they print the same. What
// a VPN daemon's dictionaries hold has no order here.
func TestClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.connected()
	ours := filepath.Join(os.Getenv("CONNMAN_BIN"), "connmanctl")
	reference := filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "connman/usr/bin/connmanctl")
	for _, line := range []string{"services", "services " + office, "vpnconnections", "vpnconnections work_office_test",
		"disconnect " + office, "connect " + office} {
		var printed []string
		for _, client := range []string{ours, reference} {
			if strings.HasPrefix(line, "connect") {
				_ = w.call(servicePath(office), "Service.Disconnect")
			} else {
				_ = w.call(servicePath(office), "Service.Connect")
			}
			cmd := exec.Command(client, strings.Fields(line)...)
			cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.Bus.Address)
			out, err := w.Machine.Output(cmd)
			if err != nil {
				t.Errorf("%s %s: %v", client, line, err)
			}
			words := strings.FieldsFunc(string(out), func(c rune) bool { return strings.ContainsRune(" ,\n", c) })
			slices.Sort(words)
			printed = append(printed, strings.Join(words, " "))
		}
		if printed[0] != printed[1] {
			t.Errorf("%s: ours prints\n%s\nthe reference\n%s", line, printed[0], printed[1])
		}
	}
}
