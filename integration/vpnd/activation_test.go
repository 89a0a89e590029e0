//go:build netns

package vpnd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"net.connman/integration/lab"
)

// startedBus is the policed bus of a machine where the project is installed: it
// starts daemons that are called and do not run.
func (w *world) startedBus() {
	w.t.Helper()
	installed := w.t.TempDir()
	install := exec.Command("make", "-C", "../..", "install-files", "DESTDIR="+installed, "PREFIX=/usr", "SBINDIR="+os.Getenv("CONNMAN_BIN"))
	if out, err := install.CombinedOutput(); err != nil {
		w.t.Fatalf("make install-files: %v\n%s", err, out)
	}
	// Where daemons look for the bus unless they are told otherwise.
	socket := w.host.Path("/run/dbus/system_bus_socket")
	config := w.host.Path("/run/started.conf")
	text := fmt.Sprintf(systemBus, socket, filepath.Join(installed, "usr/share/dbus-1/system.d/connman-vpn.conf"))
	services := "<servicedir>" + filepath.Join(installed, "usr/share/dbus-1/system-services") + "</servicedir>\n</busconfig>"
	must(w.t, os.WriteFile(config, []byte(strings.Replace(text, "</busconfig>", services, 1)), 0o644))
	must(w.t, os.Remove(socket)) // of the other bus
	cmd := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+config)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "DBUS_") })
	cmd.Env = append(cmd.Env, "PATH="+w.path+":"+os.Getenv("PATH"))
	_, err := w.host.Start(cmd)
	must(w.t, err)
	must(w.t, lab.Eventually(patience, func() error {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			err = conn.Close()
		}
		return err
	}))
	w.bus = &lab.Bus{Address: "unix:path=" + socket}
	w.client, err = w.bus.Connect()
	must(w.t, err)
	w.t.Cleanup(func() { w.client.Close() })
}

// owner is the unique name of the daemon, "" if it does not run.
func (w *world) owner() string {
	var owner string
	_ = w.client.BusObject().Call("org.freedesktop.DBus.GetNameOwner", 0, busName).Store(&owner)
	return owner
}

// TestActivation: whoever calls the daemon has it started by the bus, with the
// files that are installed. It leaves when it is idle, and is started again.
func TestActivation(t *testing.T) {
	w := newWorld(t)
	must(t, w.host.WriteFile("/etc/connman/connman-vpn.conf", "[General]\nExitWhenIdle = 1\n"))
	w.startedBus()
	if owner := w.owner(); owner != "" {
		t.Fatalf("%s runs before it is called", owner)
	}
	if got := w.connections(); len(got) != 0 {
		t.Errorf("there are %q", got)
	}
	first := w.owner()
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", w.processOf(busName)))
	if err != nil || program != string(ours()) {
		t.Errorf("the bus has started %s, %v", program, err)
	}
	w.named(false)
	w.must("/", managerIface+"GetConnections")
	if again := w.owner(); again == "" || again == first {
		t.Errorf("%q was %q before", again, first)
	}

	// A call at any moment, also just when the daemon leaves, is answered.
	left := 0
	for early := -3 * time.Millisecond; early <= 6*time.Millisecond; early += time.Millisecond {
		last := w.owner()
		w.must("/", managerIface+"GetConnections")
		<-time.After(time.Second + early) // not to wait for something: to call at that moment
		w.must("/", managerIface+"GetConnections")
		if w.owner() != last {
			left++
		}
	}
	t.Logf("it had left before %d of 10 calls", left)
	w.named(false)

	// With a connection it stays; killed, it knows it when it is started again.
	path := w.create(map[string]any{"Domain": "x.test"})
	must(t, syscall.Kill(w.processOf(busName), syscall.SIGKILL))
	w.named(false)
	if got := w.connections(); !slices.Equal(got, []string{filepath.Base(path)}) {
		t.Errorf("the one that was started again knows %q", got)
	}
	must(t, syscall.Kill(w.processOf(busName), syscall.SIGTERM))
	w.named(false)
}
