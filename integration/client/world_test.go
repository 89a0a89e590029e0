//go:build netns

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"net.connman/integration/home"
	"net.connman/integration/lab"
)

// patience is how long anything may take before it counts as failed.
const patience = 30 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a machine on two cables with a daemon, and the reference's daemon
// for VPN connections.
type world struct {
	*home.Home
	t        *testing.T
	bus      *dbus.Conn
	recorder *lab.Recorder
	services [2]string // identifiers of the cables' services
	begin    string    // the snapshot that each tour begins and ends with
}

// vpnConnections are what the VPN daemon is configured with.
const vpnConnections = `[global]
Name = Example
[provider_office]
Type = WireGuard
Name = Office
Host = 192.0.2.77
Domain = office.example
WireGuard.Address = 10.9.0.2/24
WireGuard.PrivateKey = oFzbTvlnSkVp14Wpr2wVNdiHfWKLTgw1Q6DsGlDzZ0Y=
WireGuard.PublicKey = cWBMzFOmgKPQV5MC9bAXP8Iq0aYLKlqd2ChW6eIoNDY=
WireGuard.AllowedIPs = 10.9.0.0/24
`

func newWorld(t *testing.T, daemon lab.Manager) *world {
	t.Helper()
	l := lab.ForTest(t)
	h, err := home.New(l, 2, nil)
	must(t, err)
	t.Cleanup(func() { must(t, h.Close()) })
	w := &world{Home: h, t: t}
	for i, link := range h.Links {
		mac := strings.ReplaceAll(link.Link.Attrs().HardwareAddr.String(), ":", "")
		w.services[i] = "ethernet_" + mac + "_cable"
	}
	w.bus, err = h.Bus.Connect()
	must(t, err)
	t.Cleanup(func() { w.bus.Close() })
	w.recorder, err = h.Bus.Record()
	must(t, err)
	t.Cleanup(w.recorder.Close)

	w.startVPN()
	_, err = daemon.Run(h.Machine, h.Bus)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, h.Bus.WaitName(ctx, "net.connman", true))
	must(t, h.Bus.WaitName(ctx, "net.connman.vpn", true))
	must(t, h.Ports[0].Up()) // the first service is the default one
	w.await("the first cable", states("online", ""))
	must(t, h.Ports[1].Up())
	w.await("the second cable", states("online", "ready"))
	w.warmUp()
	return w
}

// warmUp brings the daemon where the tour can bring it back to: nothing takes a
// proxy setting back, nor the proxy that a default service once had, and the reference sets the frequency of a technology that
// is enabled again.
func (w *world) warmUp() {
	w.t.Helper()
	for _, id := range w.services {
		w.run(reference(), "config", id, "--proxy", "direct")
	}
	w.run(reference(), "enable", "ethernet")
	w.await("both services", states("online", "ready"))
	var err error
	w.begin, err = w.snapshot()
	must(w.t, err)
}

// words are those of a line of the tour.
func (w *world) words(line string) []string {
	line = strings.NewReplacer("S0", w.services[0], "S1", w.services[1]).Replace(line)
	words := strings.Fields(line)
	for i := range words {
		words[i] = strings.TrimSuffix(words[i], "|")
	}
	return words
}

// startVPN runs the reference's VPN daemon, whose plugins it finds in its own
// place only.
func (w *world) startVPN() {
	w.t.Helper()
	peer := filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "connman-vpn")
	plugins, _ := filepath.Glob(filepath.Join(peer, "usr/lib/*/connman"))
	if len(plugins) != 1 {
		w.t.Fatalf("the reference's VPN daemon is not below %s", peer)
	}
	libraries := strings.TrimPrefix(filepath.Dir(plugins[0]), peer)
	must(w.t, w.Machine.WriteFile("/var/lib/connman-vpn/office.config", vpnConnections))
	must(w.t, w.Machine.Do(func() error {
		return unix.Mount("overlay", libraries, "overlay", unix.MS_RDONLY, "lowerdir="+peer+libraries+":"+libraries)
	}))
	cmd := exec.Command(filepath.Join(peer, "usr/sbin/connman-vpnd"), "-n")
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.Bus.Address)
	_, err := w.Machine.Start(cmd)
	must(w.t, err)
}

type dict = map[string]dbus.Variant

type object struct {
	Path       dbus.ObjectPath
	Properties dict
}

func (w *world) ask(method string, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.bus.Object("net.connman", "/").CallWithContext(ctx, "net.connman.Manager."+method, 0).Store(result)
}

// snapshot is all that the daemon tells of itself.
func (w *world) snapshot() (string, error) {
	var b strings.Builder
	var manager dict
	err := w.ask("GetProperties", &manager)
	write := func(path dbus.ObjectPath, properties dict) {
		for _, key := range slices.Sorted(maps.Keys(properties)) {
			fmt.Fprintf(&b, "%s %s %s\n", path, key, properties[key])
		}
	}
	write("/", manager)
	for _, method := range []string{"GetTechnologies", "GetServices"} {
		var objects []object
		err = errors.Join(err, w.ask(method, &objects))
		for _, o := range objects {
			write(o.Path, o.Properties)
		}
	}
	return b.String(), err
}

// service returns the properties of the service of cable i, none when it is not
// there.
func (w *world) service(i int) (dict, error) {
	var objects []object
	err := w.ask("GetServices", &objects)
	for _, o := range objects {
		if strings.HasSuffix(string(o.Path), "/"+w.services[i]) {
			return o.Properties, err
		}
	}
	return nil, err
}

// condition is something to wait for: it returns what is missing.
type condition func(*world) error

func (w *world) await(what string, c condition) {
	w.t.Helper()
	if err := lab.Eventually(patience, func() error { return c(w) }); err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// states wants the services in these states; "" is for one that is not there.
func states(want ...string) condition {
	return func(w *world) error {
		for i, state := range want {
			p, err := w.service(i)
			if err != nil {
				return err
			}
			if got, _ := p["State"].Value().(string); got != state {
				return fmt.Errorf("service %d is %q, want %q", i, got, state)
			}
		}
		return nil
	}
}

// settled: everything is as it was in the beginning.
func settled(w *world) error {
	now, err := w.snapshot()
	if err == nil && now != w.begin {
		err = fmt.Errorf("it is not as it was (-then +now):\n%s", cmp.Diff(w.begin, now))
	}
	return err
}

// inOrder prefers the first service when the second has become online, and
// wants the first to be.
func inOrder(w *world) error {
	if states("ready", "online")(w) == nil {
		const path = "/net/connman/service/"
		call := w.bus.Object("net.connman", dbus.ObjectPath(path+w.services[0])).
			Call("net.connman.Service.MoveBefore", 0, dbus.ObjectPath(path+w.services[1]))
		if call.Err != nil {
			return call.Err
		}
	}
	return states("online", "ready")(w)
}

// restored is settled after the first service was gone: which of them comes
// back first, and is preferred, is chance.
func restored(w *world) error {
	if err := inOrder(w); err != nil {
		return err
	}
	return settled(w)
}

// off wants Ethernet to be off, and nothing left of it.
func off(w *world) error {
	var technologies []object
	if err := w.ask("GetTechnologies", &technologies); err != nil {
		return err
	}
	if len(technologies) != 1 || technologies[0].Properties["Powered"].Value() != false {
		return fmt.Errorf("there is %v", technologies)
	}
	return states("", "")(w)
}

// outcome is what a client's run led to.
type outcome struct {
	Stdout, Stderr string
	Status         int
}

// environment is a client's.
func (w *world) environment() []string {
	return append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.Bus.Address, "LC_ALL=C.UTF-8", "TERM=dumb")
}

// run runs a client to its end.
func (w *world) run(client string, args ...string) outcome {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, client, args...)
	cmd.Env = w.environment()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		w.t.Fatalf("%s %q: %v", client, args, err)
	}
	return outcome{Stdout: stdout.String(), Stderr: stderr.String(), Status: cmd.ProcessState.ExitCode()}
}

// The two clients.
func ours() string { return filepath.Join(os.Getenv("CONNMAN_BIN"), "connmanctl") }
func reference() string {
	return filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "connman/usr/bin/connmanctl")
}
