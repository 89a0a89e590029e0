//go:build netns

package vpn

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/home"
	"net.connman/integration/lab"
)

// patience is how long anything may take before it counts as failed.
const patience = 20 * time.Second

// serverAddress is where VPNs are served, beyond the router.
const serverAddress = "203.0.113.5"

// office is the VPN's service.
const office = "vpn_work_office_test"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a machine at home with a VPN daemon.
type world struct {
	*home.Home
	t        *testing.T
	bus      *dbus.Conn
	daemon   *lab.Process
	recorder *lab.Recorder
	vpnd     *vpnd
	office   *connection
}

// newWorld builds a machine with the given number of cables, plugged in, and a
// scripted VPN daemon that knows the office. Our daemon does not run yet.
func newWorld(t *testing.T, links int) *world {
	t.Helper()
	w := newHome(t, links)
	w.startVPN()
	return w
}

// newHome is newWorld without a VPN daemon.
func newHome(t *testing.T, links int) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	w.Home, err = home.New(lab.ForTest(t), links, nil)
	must(t, err)
	t.Cleanup(func() {
		if err := w.Home.Close(); err != nil {
			t.Error(err)
		}
	})
	w.bus, err = w.Bus.Connect()
	must(t, err)
	t.Cleanup(func() { w.bus.Close() })
	w.recorder, err = w.Bus.Record()
	must(t, err)
	t.Cleanup(w.recorder.Close)
	must(t, w.Plug())
	return w
}

func (w *world) startVPN() {
	w.t.Helper()
	w.vpnd = startVPN(w.t, w.Machine, w.Bus)
	w.office = w.vpnd.add("work_office_test", properties{"Name": "Office"})
}

// run runs a daemon.
func (w *world) run(m lab.Manager) {
	w.t.Helper()
	var err error
	w.daemon, err = m.Run(w.Machine, w.Bus)
	must(w.t, err)
}

// connected runs our daemon and has it connect the VPN.
func (w *world) connected() {
	w.t.Helper()
	w.run(lab.Ours())
	w.until(office, "idle")
	w.until(w.cable(0), "online")
	must(w.t, w.call(servicePath(office), "Service.Connect").Err)
	w.until(office, "ready", "online")
}

// cable is the service of link i.
func (w *world) cable(i int) string {
	mac := strings.ReplaceAll(w.Links[i].Link.Attrs().HardwareAddr.String(), ":", "")
	return "ethernet_" + mac + "_cable"
}

// call calls the daemon.
func (w *world) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.bus.Object("net.connman", path).CallWithContext(ctx, "net.connman."+method, 0, args...)
}

func servicePath(id string) dbus.ObjectPath { return dbus.ObjectPath("/net/connman/service/" + id) }

// service are a service's properties.
func (w *world) service(id string) (map[string]dbus.Variant, error) {
	var p map[string]dbus.Variant
	err := w.call(servicePath(id), "Service.GetProperties").Store(&p)
	return p, err
}

// until waits until a service is in one of the states.
func (w *world) until(id string, states ...any) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		p, err := w.service(id)
		if err == nil && !slices.Contains(states, p["State"].Value()) {
			err = fmt.Errorf("%s is %v, want %v", id, p["State"], states)
		}
		return err
	}))
}

// ip is what ip(8) says on the machine, sorted and without padding.
func (w *world) ip(args string) string {
	w.t.Helper()
	out, err := w.Machine.Output(exec.Command("ip", strings.Fields(args)...))
	must(w.t, err)
	var lines []string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// ours are all routes that daemons made.
func (w *world) ours() (routes []string) {
	w.t.Helper()
	for line := range strings.Lines(w.ip("-4 route show proto 67") + "\n" + w.ip("-6 route show proto 67")) {
		if line = strings.TrimSuffix(strings.TrimSpace(line), " pref medium"); line != "" {
			routes = append(routes, line)
		}
	}
	slices.Sort(routes)
	return routes
}

// untilRoutes waits until the routes that the daemon made are these and no
// others.
func (w *world) untilRoutes(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	must(w.t, lab.Eventually(patience, func() error {
		if got := w.ours(); !slices.Equal(got, want) {
			return fmt.Errorf("the routes are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		return nil
	}))
}

// low is the default route of link i that nothing chooses.
func (w *world) low(i int) string {
	index := w.Links[i].Index()
	return fmt.Sprintf("default via 10.77.0.1 dev eth%d metric %d", i, 1<<32-1-index<<10)
}

const (
	// toServer is the way to the VPN's server.
	toServer = serverAddress + " via 10.77.0.1 dev eth0"
	toOffice = "10.50.0.0/16 via 10.9.0.1 dev vpn0"
	refused  = "unreachable default dev lo metric 1"
)
