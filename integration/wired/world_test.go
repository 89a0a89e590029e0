//go:build netns

package wired

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"net.connman/integration/home"
	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// patience is how long anything may take before it counts as failed.
const patience = 20 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a home with our daemon in it, and someone who watches the bus.
type world struct {
	*home.Home
	t        *testing.T
	lab      *lab.Lab
	daemon   *lab.Process
	recorder *lab.Recorder
	bus      *dbus.Conn
}

// newWorld builds a home whose cables are plugged in and whose daemon does not
// run yet. adjust changes the router and may be nil.
func newWorld(t *testing.T, links int, adjust func(*router.Config)) *world {
	t.Helper()
	w := &world{t: t, lab: lab.ForTest(t)}
	var err error
	w.Home, err = home.New(w.lab, links, adjust)
	must(t, err)
	t.Cleanup(func() {
		if err := w.Home.Close(); err != nil {
			t.Error(err)
		}
	})
	w.recorder, err = w.Bus.Record()
	must(t, err)
	t.Cleanup(w.recorder.Close)
	w.bus, err = w.Bus.Connect()
	must(t, err)
	t.Cleanup(func() { w.bus.Close() })
	must(t, w.Plug())
	return w
}

// configure writes main.conf.
func (w *world) configure(text string) {
	w.t.Helper()
	must(w.t, w.Machine.WriteFile("/etc/connman/main.conf", text))
}

// start runs the daemon and waits for its first answer.
func (w *world) start(args ...string) {
	w.t.Helper()
	var err error
	w.daemon, err = lab.Ours().Run(w.Machine, w.Bus, args...)
	must(w.t, err)
	must(w.t, lab.Eventually(patience, func() error {
		select {
		case <-w.daemon.Done():
			return nil // the next call says so
		default:
			return w.call("/", "net.connman.Manager.GetProperties").Err
		}
	}))
}

// startOnline runs the daemon and waits until it is online.
func (w *world) startOnline(args ...string) {
	w.t.Helper()
	w.start(args...)
	w.waitState("online")
}

// end lets the daemon end as it should.
func (w *world) end() {
	w.t.Helper()
	must(w.t, w.daemon.Stop(patience))
}

// call calls the daemon.
func (w *world) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.bus.Object("net.connman", path).CallWithContext(ctx, method, 0, args...)
}

// properties are an object's.
func (w *world) properties(path dbus.ObjectPath, of string) (map[string]dbus.Variant, error) {
	var p map[string]dbus.Variant
	err := w.call(path, "net.connman."+of+".GetProperties").Store(&p)
	return p, err
}

// servicePath is the path of the service of link i.
func (w *world) servicePath(i int) dbus.ObjectPath {
	mac := strings.ReplaceAll(w.Links[i].Link.Attrs().HardwareAddr.String(), ":", "")
	return dbus.ObjectPath("/net/connman/service/ethernet_" + mac + "_cable")
}

// waitState waits until the manager is in a state.
func (w *world) waitState(state string) {
	w.t.Helper()
	must(w.t, w.eventually("manager state", state, func() (any, error) {
		p, err := w.properties("/", "Manager")
		return p["State"].Value(), err
	}))
}

// eventually waits until get returns want.
func (w *world) eventually(what string, want any, get func() (any, error)) error {
	return lab.Eventually(patience, func() error {
		got, err := get()
		if err == nil && got != want {
			err = fmt.Errorf("%s is %v, want %v", what, got, want)
		}
		return err
	})
}

// addresses are the IPv4 addresses of an interface, with their prefixes.
func addresses(end lab.End) ([]string, error) {
	list, err := end.Host.Netlink.AddrList(end.Link, netlink.FAMILY_V4)
	var texts []string
	for _, a := range list {
		texts = append(texts, a.IPNet.String())
	}
	return texts, err
}

// gone objects to any of the addresses or routes that the daemon gave.
func (w *world) gone(end lab.End) error {
	texts, err := addresses(end)
	if err != nil {
		return err
	}
	if len(texts) > 0 {
		return fmt.Errorf("%s has %v", end.Name(), texts)
	}
	routes, err := w.Machine.Netlink.RouteList(end.Link, netlink.FAMILY_V4)
	if err == nil && len(routes) > 0 {
		err = fmt.Errorf("%s has %v", end.Name(), routes)
	}
	return err
}

// withAddress objects unless the interface has an address of the home network.
func withAddress(end lab.End) error {
	texts, err := addresses(end)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if strings.HasPrefix(text, "10.77.") {
			return nil
		}
	}
	return fmt.Errorf("%s has no address of the router: %q", end.Name(), texts)
}
