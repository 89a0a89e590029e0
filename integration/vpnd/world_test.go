//go:build netns

package vpnd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"net.connman/integration/lab"
	"net.connman/pkg/bus/bustest"
)

const (
	// patience is how long anything may take before it counts as failed.
	patience = 60 * time.Second
	busName  = "net.connman.vpn"

	managerIface    = "net.connman.vpn.Manager."
	connectionIface = "net.connman.vpn.Connection."
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// daemon is a VPN daemon's program.
type daemon string

func ours() daemon      { return daemon(filepath.Join(os.Getenv("CONNMAN_BIN"), "connman-vpnd")) }
func reference() daemon { return daemon(peers("usr/sbin/connman-vpnd")) }

func peers(path string) string {
	return filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "connman-vpn", path)
}

// world is a machine with a bus and a VPN daemon.
type world struct {
	t      *testing.T
	host   *lab.Host
	bus    *lab.Bus
	client *dbus.Conn
	daemon *lab.Process
	path   string // PATH of the daemon
}

// newWorld makes a machine without a daemon. Its openvpn is a program that hangs.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	w.host, err = lab.ForTest(t).Host("machine")
	must(t, err)
	w.bus, err = w.host.StartBus()
	must(t, err)
	w.client, err = w.bus.Connect()
	must(t, err)
	t.Cleanup(func() { w.client.Close() })
	must(t, w.host.Do(showPlugins))
	w.path = w.host.Path("/var/lib/bin")
	must(t, os.Mkdir(w.path, 0o755))
	must(t, os.WriteFile(filepath.Join(w.path, "openvpn"), []byte("#!/bin/sh\nexec /bin/sleep 1000\n"), 0o755))
	return w
}

// showPlugins puts the reference's plugins where it looks for them.
func showPlugins() error {
	const libraries = "/usr/lib/x86_64-linux-gnu"
	theirs := peers(libraries)
	if _, err := os.Stat(theirs); err != nil {
		return nil // no reference, or of another machine
	}
	return unix.Mount("overlay", libraries, "overlay", 0, "lowerdir="+theirs+":"+libraries)
}

// start starts a daemon without waiting for it.
func (w *world) start(d daemon, args ...string) {
	w.t.Helper()
	cmd := exec.Command(string(d), args...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.bus.Address, "PATH="+w.path+":"+os.Getenv("PATH"))
	var err error
	w.daemon, err = w.host.Start(cmd)
	must(w.t, err)
}

// run starts a daemon and waits until it serves its callers.
func (w *world) run(d daemon, args ...string) {
	w.t.Helper()
	w.start(d, append([]string{"-n"}, args...)...)
	w.named(true)
}

// named waits until somebody owns the bus name, or nobody.
func (w *world) named(owned bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	must(w.t, w.bus.WaitName(ctx, busName, owned))
}

// stop ends the daemon in good order, and waits until the bus knows.
func (w *world) stop() {
	w.t.Helper()
	must(w.t, w.daemon.Stop(patience))
	w.named(false)
}

// call calls the daemon and returns the values of its answer.
func (w *world) call(path, method string, args ...any) ([]any, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	c := w.client.Object(busName, dbus.ObjectPath(path)).CallWithContext(ctx, method, 0, args...)
	return c.Body, c.Err
}

// must calls the daemon, which must not refuse.
func (w *world) must(path, method string, args ...any) []any {
	w.t.Helper()
	body, err := w.call(path, method, args...)
	must(w.t, err)
	return body
}

// create makes a connection and returns its object.
func (w *world) create(properties map[string]any) string {
	w.t.Helper()
	for key, value := range map[string]any{"Type": "openvpn", "Name": "n", "Host": "10.0.0.1"} {
		if properties[key] == nil {
			properties[key] = value
		}
	}
	return string(w.must("/", managerIface+"Create", properties)[0].(dbus.ObjectPath))
}

func (w *world) set(path, name string, value any) error {
	_, err := w.call(path, connectionIface+"SetProperty", name, dbus.MakeVariant(value))
	return err
}

func (w *world) properties(path string) map[string]dbus.Variant {
	w.t.Helper()
	return w.must(path, connectionIface+"GetProperties")[0].(map[string]dbus.Variant)
}

// connections lists the identifiers.
func (w *world) connections() []string {
	w.t.Helper()
	var list []struct {
		Path       dbus.ObjectPath
		Properties map[string]dbus.Variant
	}
	must(w.t, dbus.Store(w.must("/", managerIface+"GetConnections"), &list))
	ids := []string{}
	for _, c := range list {
		ids = append(ids, filepath.Base(string(c.Path)))
	}
	return ids
}

// until waits until the connections are those.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		if !ok() {
			return errors.New(what)
		}
		return nil
	}))
}

// record records what goes over the bus.
func (w *world) record() *bustest.Trace {
	return (&bustest.Bus{Address: w.bus.Address}).Record(w.t)
}

// links lists the tunnels on the machine.
func (w *world) links() (names []string) {
	w.t.Helper()
	list, err := w.host.Netlink.LinkList()
	must(w.t, err)
	for _, l := range list {
		if strings.HasPrefix(l.Attrs().Name, "vpn") {
			names = append(names, l.Attrs().Name)
		}
	}
	return names
}

// errorName is the last part of an error's name, "" if there is none.
func errorName(err error) string {
	if e, ok := errors.AsType[dbus.Error](err); ok {
		return e.Name[strings.LastIndexByte(e.Name, '.')+1:]
	}
	return fmt.Sprint(err)
}
