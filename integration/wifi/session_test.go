//go:build vm

package wifi

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

	"net.connman/integration/lab"
)

// session is a run of the daemon, with nothing remembered from another test.
type session struct {
	*world
	t      testing.TB
	daemon *lab.Process

	manager lab.Manager
}

// start begins a session of our daemon, beside those of other tests.
func start(t *testing.T) *session {
	t.Helper()
	t.Parallel()
	s := begin(t, lab.Ours())
	s.run()
	return s
}

// begin gets everything ready for a run of a network manager.
func begin(t testing.TB, manager lab.Manager) *session {
	t.Helper()
	s := prepare(t, manager)
	s.startSupplicant(t)
	t.Cleanup(func() { s.supplicant.Stop(patience) })
	return s
}

// prepare does so without a supplicant.
func prepare(t testing.TB, manager lab.Manager) *session {
	t.Helper()
	s := &session{world: inWorld(t), t: t, manager: manager}
	state := s.machine.Path("/var/lib/connman")
	must(t, os.RemoveAll(state))
	must(t, os.RemoveAll(s.machine.Path("/run/connman-leases")))
	t.Cleanup(func() {
		if t.Failed() {
			s.logOutputs()
		}
	})
	t.Cleanup(func() {
		if s.daemon != nil {
			s.daemon.Stop(patience)
		}
	})
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

// configure writes the daemon's configuration for this session: lines of the group
// General.
func (s *session) configure(lines string) {
	s.t.Helper()
	const config = "/etc/connman/main.conf"
	must(s.t, s.machine.WriteFile(config, "[General]\n"+lines+"\n"))
	s.t.Cleanup(func() { must(s.t, os.Remove(s.machine.Path(config))) })
}

// run starts the daemon and powers Wi-Fi.
func (s *session) run() {
	s.t.Helper()
	s.launch()
	s.powerOn()
}

// launch starts the daemon and waits until it has found the adapter.
func (s *session) launch() {
	s.t.Helper()
	var err error
	s.daemon, err = s.manager.Run(s.machine, s.bus, "-d")
	must(s.t, err)
	ctx, cancel := s.patient()
	defer cancel()
	must(s.t, s.bus.WaitName(ctx, "net.connman", true))
	s.eventually("technology wifi", true, func() (any, error) {
		p, err := s.properties("/net/connman/technology/wifi", "Technology")
		return p != nil, err
	})
}

// powerOn powers Wi-Fi, unless it is by now.
func (s *session) powerOn() {
	s.t.Helper()
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

// patient lasts as long as anything may take.
func (s *session) patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.t.Context(), patience)
}

// call calls the daemon.
func (s *session) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := s.patient()
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
