//go:build netns

package vpnd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"net.connman/integration/lab"
)

// systemBus is how a system bus begins: what nobody allows is denied.
const systemBus = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>%s</include>
</busconfig>
`

// TestPolicy: root may do everything; others may only report on tasks, where the
// daemon looks who they are.
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	policy, err := filepath.Abs("../../systemd/connman-vpn.conf")
	must(t, err)
	socket := w.host.Path("/run/policed")
	config := w.host.Path("/run/policed.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, systemBus, socket, policy), 0o644))
	_, err = w.host.Start(exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+config))
	must(t, err)
	must(t, lab.Eventually(patience, func() error {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			err = conn.Close()
		}
		return err
	}))
	must(t, os.Chmod(filepath.Dir(w.host.Path("")), 0o755)) // others must reach the socket
	must(t, os.Chmod(w.host.Path(""), 0o755))
	w.bus = &lab.Bus{Address: "unix:path=" + socket}
	w.run(ours())

	const nobody = 65534
	for _, tt := range []struct {
		uid    uint32
		method string
		args   []string
		denied bool
	}{
		{0, "net.connman.vpn.Manager.GetConnections", nil, false},
		{0, "net.connman.vpn.Provisioning.Import", []string{"string:x"}, false},
		{nobody, "net.connman.vpn.Manager.GetConnections", nil, true},
		{nobody, "net.connman.vpn.Provisioning.Import", []string{"string:x"}, true},
		{nobody, "net.connman.Task.notify", []string{"string:x"}, false},
	} {
		cmd := exec.Command("dbus-send", append([]string{"--bus=" + w.bus.Address, "--print-reply", "--dest=" + busName, "/", tt.method}, tt.args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tt.uid, Gid: tt.uid}}
		out, err := w.host.Output(cmd)
		denied := err != nil && strings.Contains(err.Error(), "org.freedesktop.DBus.Error.AccessDenied")
		if denied != tt.denied {
			t.Errorf("user %d calls %s: %s, %v", tt.uid, tt.method, out, err)
		}
	}
	w.stop()
}
