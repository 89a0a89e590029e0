//go:build vm

package wifi

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// patience is how long anything may take before it counts as failed. The machine
// is emulated.
const patience = 4 * time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a machine with a radio and a house full of access points.
type world struct {
	lab     *lab.Lab
	machine *lab.Host
	house   *lab.Host
	bus     *lab.Bus
	router  *router.Router
	conn    *dbus.Conn
	news    chan *dbus.Signal // what the daemon says

	supplicant *lab.Process
}

var theWorld *world

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	l, err := lab.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer l.Close()
	if theWorld, err = newWorld(l); err != nil {
		fmt.Fprintln(os.Stderr, "cannot make the world:", err)
		return 1
	}
	return m.Run()
}

func newWorld(l *lab.Lab) (w *world, err error) {
	w = &world{lab: l}
	if w.machine, err = l.Host("machine"); err != nil {
		return nil, err
	}
	if w.house, err = l.Host("house"); err != nil {
		return nil, err
	}
	if err := w.spreadRadios(); err != nil {
		return nil, err
	}
	if w.bus, err = w.machine.StartBus(); err != nil {
		return nil, err
	}
	if w.conn, err = w.bus.Connect(); err != nil {
		return nil, err
	}
	w.news = make(chan *dbus.Signal, 64)
	w.conn.Signal(w.news)
	if err := w.conn.AddMatchSignal(dbus.WithMatchSender("net.connman")); err != nil {
		return nil, err
	}
	address := netip.MustParsePrefix("10.77.0.1/20")
	bridge, err := w.house.Bridge("home", address.String())
	if err != nil {
		return nil, err
	}
	err = w.house.Do(func() (err error) {
		w.router, err = router.Start(router.Config{
			Interface: bridge.Name(), Address: address, First: netip.MustParseAddr("10.77.1.0"),
			Count: 2000, Lease: time.Hour, Domain: "home.test",
		})
		return err
	})
	return w, err
}

// spreadRadios gives the first radio to the machine and the others to the house.
func (w *world) spreadRadios() error {
	radios, err := filepath.Glob("/sys/class/ieee80211/*")
	if err != nil || len(radios) < 3 {
		return errors.Join(err, fmt.Errorf("%d radios, want at least 3: load mac80211_hwsim", len(radios)))
	}
	for i, radio := range radios {
		host := w.house
		if i == 0 {
			host = w.machine
		}
		// A network namespace goes by the number of a thread in it.
		var thread int
		if err := host.Do(func() error { thread = unix.Gettid(); return nil }); err != nil {
			return err
		}
		iw := exec.Command(peer("iw/sbin/iw"), "phy", filepath.Base(radio), "set", "netns", strconv.Itoa(thread))
		if out, err := iw.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot move %s: %w: %s", radio, err, out)
		}
	}
	return nil
}

func peer(path string) string { return filepath.Join(os.Getenv("CONNMAN_REFERENCE"), path) }

// startSupplicant runs wpa_supplicant until stopSupplicant.
func (w *world) startSupplicant(t *testing.T) {
	t.Helper()
	cmd := exec.Command(peer("wpasupplicant/sbin/wpa_supplicant"), "-u", "-t")
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.bus.Address)
	var err error
	w.supplicant, err = w.machine.Start(cmd)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, w.bus.WaitName(ctx, "fi.w1.wpa_supplicant1", true))
}

// session is a run of the daemon, with nothing remembered from another test.
type session struct {
	*world
	t      *testing.T
	daemon *lab.Process
}

// start begins a session.
func start(t *testing.T) *session {
	t.Helper()
	s := &session{world: theWorld, t: t}
	state := s.machine.Path("/var/lib/connman")
	must(t, os.RemoveAll(state))
	must(t, os.RemoveAll(s.machine.Path("/run/connman-leases")))
	t.Cleanup(func() {
		if t.Failed() {
			s.logOutputs()
		}
	})
	s.startSupplicant(t)
	t.Cleanup(func() { s.supplicant.Stop(patience) })
	s.run()
	t.Cleanup(func() { s.daemon.Stop(patience) })
	return s
}

// logOutputs shows what the programs said.
func (s *session) logOutputs() {
	files, _ := filepath.Glob(filepath.Join(s.lab.Dir, "*", "*.log"))
	access, _ := filepath.Glob(s.house.Path("/run/*.log"))
	files = append(files, access...)
	for _, file := range files {
		data, _ := os.ReadFile(file)
		s.t.Logf("%s:\n%s", filepath.Base(file), data[max(0, len(data)-12<<10):])
	}
}

// run starts the daemon and powers Wi-Fi.
func (s *session) run() {
	s.t.Helper()
	var err error
	s.daemon, err = lab.Ours().Run(s.machine, s.bus, "-d")
	must(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	must(s.t, s.bus.WaitName(ctx, "net.connman", true))
	s.eventually("technology wifi", true, func() (any, error) {
		p, err := s.properties("/net/connman/technology/wifi", "Technology")
		return p != nil, err
	})
	if p, _ := s.properties("/net/connman/technology/wifi", "Technology"); p["Powered"].Value() != true {
		err := s.call("/net/connman/technology/wifi", "net.connman.Technology.SetProperty", "Powered", dbus.MakeVariant(true)).Err
		if err != nil && !strings.Contains(err.Error(), "Already") && !strings.Contains(err.Error(), "progress") &&
			!strings.Contains(err.Error(), "timeout") {
			s.t.Fatal(err)
		}
	}
	s.eventually("wifi is powered", true, func() (any, error) {
		p, err := s.properties("/net/connman/technology/wifi", "Technology")
		return p["Powered"].Value(), err
	})
}

// restart ends the daemon and starts it again.
func (s *session) restart() {
	s.t.Helper()
	must(s.t, s.daemon.Stop(patience))
	s.run()
}

// call calls the daemon.
func (s *session) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	return s.conn.Object("net.connman", path).CallWithContext(ctx, method, 0, args...)
}

// properties are an object's.
func (s *session) properties(path dbus.ObjectPath, of string) (map[string]dbus.Variant, error) {
	var p map[string]dbus.Variant
	err := s.call(path, "net.connman."+of+".GetProperties").Store(&p)
	return p, err
}

// eventually waits until get returns want. It asks again whenever the daemon
// says that something changed.
func (s *session) eventually(what string, want any, get func() (any, error)) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		got, err := get()
		if err == nil && got == want {
			return
		}
		select {
		case <-s.news:
		case <-deadline:
			s.t.Fatalf("%s is %v, want %v: %v", what, got, want, err)
		}
	}
}

// path is the path of the service with that SSID and security.
func (s *session) path(ssid, security string) dbus.ObjectPath {
	s.t.Helper()
	var mac string
	must(s.t, s.machine.Do(func() error {
		data, err := os.ReadFile("/sys/class/net/wlan0/address")
		mac = strings.ReplaceAll(strings.TrimSpace(string(data)), ":", "")
		return err
	}))
	return dbus.ObjectPath(fmt.Sprintf("/net/connman/service/wifi_%s_%x_managed_%s", mac, ssid, security))
}

// wantSeen waits until a service is there.
func (s *session) wantSeen(path dbus.ObjectPath, seen bool) {
	s.t.Helper()
	s.eventually(string(path)+" is there", seen, func() (any, error) {
		p, err := s.properties(path, "Service")
		var gone dbus.Error
		if errors.As(err, &gone) && gone.Name == "org.freedesktop.DBus.Error.UnknownObject" {
			return false, nil
		}
		return p != nil, nil
	})
}

// wantState waits until a service is in one of the states.
func (s *session) wantState(path dbus.ObjectPath, states ...string) {
	s.t.Helper()
	s.eventually("state of "+string(path), true, func() (any, error) {
		p, err := s.properties(path, "Service")
		if err != nil {
			return nil, err
		}
		for _, state := range states {
			if p["State"].Value() == state {
				return true, nil
			}
		}
		return nil, fmt.Errorf("state is %v, want %v", p["State"], states)
	})
}

// ctl runs the client and returns what it printed.
func (s *session) ctl(args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(os.Getenv("CONNMAN_BIN"), "connmanctl"), args...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+s.bus.Address)
	out, err := s.machine.Output(cmd)
	return string(out), err
}
