//go:build netns

package vpnd

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"net.connman/integration/lab"
)

const provisioned = `[global]
Name = Example

[provider_one]
Type = OpenVPN
Name = one
Host = 10.0.0.1
Domain = x.test
Networks = 10.10.20.0/255.255.255.0/10.20.1.5,2001:db8::1/64
OpenVPN.CACert = /etc/ca.pem
OpenVPN.Cert = /etc/cert.pem
OpenVPN.Key = /etc/key.pem
`

// TestProvisioning: files make connections, change them and take them away while
// the daemon runs. Nobody else does.
func TestProvisioning(t *testing.T) {
	w := newWorld(t)
	const file = "/var/lib/connman-vpn/a.config"
	must(t, w.host.WriteFile(file, provisioned))
	w.run(ours())
	const path = "/net/connman/vpn/connection/10_0_0_1_x_test"
	is := func(ids ...string) func() bool { return func() bool { return slices.Equal(w.connections(), ids) } }
	w.until("the connection is there", is("10_0_0_1_x_test"))
	p := w.properties(path)
	if routes, _ := p["UserRoutes"].Value().([][]any); p["Immutable"].Value() != true || p["Type"].Value() != "openvpn" || len(routes) != 2 {
		t.Errorf("%v", p)
	}
	if got := errorName(w.set(path, "Name", "x")); got != "NotSupported" {
		t.Errorf("SetProperty: %s", got)
	}
	if _, err := w.call("/", managerIface+"Remove", dbus.ObjectPath(path)); errorName(err) != "PermissionDenied" {
		t.Errorf("Remove: %v", err)
	}

	must(t, w.host.WriteFile(file, strings.Replace(provisioned, "Name = one", "Name = new", 1)))
	w.until("the change is there", func() bool {
		list := w.connections()
		return len(list) == 1 && w.properties(path)["Name"].Value() == "new"
	})
	two := strings.NewReplacer("provider_one", "provider_two", "10.0.0.1", "10.0.0.2").Replace(provisioned)
	must(t, w.host.WriteFile("/var/lib/connman-vpn/b.config", two))
	w.until("the second is there", is("10_0_0_1_x_test", "10_0_0_2_x_test"))
	must(t, os.Remove(w.host.Path(file)))
	w.until("the first is gone", is("10_0_0_2_x_test"))
	must(t, w.host.WriteFile("/var/lib/connman-vpn/b.config", strings.Replace(two, "Type = OpenVPN", "Type = Nothing", 1)))
	w.until("nothing is left", is())
	log, err := os.ReadFile(w.daemon.Log)
	must(t, err)
	if !bytes.Contains(log, []byte("b.config: line 5: [provider_two] Type: none of ")) {
		t.Error("the log does not name the mistake")
	}
	if _, err := os.Stat(w.host.Path("/var/lib/connman")); err != nil {
		t.Error(err)
	}
	w.stop()
}

// TestIdentifiers: connections of two types to the same place don't collide, and
// keep their names over a restart.
func TestIdentifiers(t *testing.T) {
	w := newWorld(t)
	must(t, os.WriteFile(filepath.Join(w.path, "vpnc"), []byte("#!/bin/sh\n"), 0o755))
	w.run(ours())
	w.create(map[string]any{"Domain": "x.test"})
	w.create(map[string]any{"Domain": "x.test", "Type": "vpnc"})
	want := []string{"10_0_0_1_x_test", "10_0_0_1_x_test_vpnc"}
	if got := w.connections(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	w.stop()
	w.run(ours())
	if got := w.connections(); !slices.Equal(got, want) {
		t.Errorf("%q after a restart, want %q", got, want)
	}
	w.stop()
}

// connecting has a new connection connect by the program that hangs, and returns
// the program's process.
func (w *world) connecting() (path string, pid int, reply *dbus.Call) {
	w.t.Helper()
	path = w.create(map[string]any{"Domain": "x.test", "OpenVPN.CACert": "/etc/ca.pem", "OpenVPN.Cert": "/etc/c.pem", "OpenVPN.Key": "/etc/k.pem"})
	reply = w.client.Object(busName, dbus.ObjectPath(path)).Go(connectionIface+"Connect", 0, make(chan *dbus.Call, 1))
	w.until("the program runs and its link is there", func() bool {
		pid = child(w.t, w.daemon.Pid())
		return pid != 0 && len(w.links()) == 1
	})
	return path, pid, reply
}

// child is a program that pid started, 0 if there is none.
func child(t *testing.T, pid int) int {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	for _, file := range files {
		text, _ := os.ReadFile(file) // the thread may have ended
		if words := strings.Fields(string(text)); len(words) > 0 {
			n, err := strconv.Atoi(words[0])
			must(t, err)
			return n
		}
	}
	return 0
}

// processOf is the process behind a name on the bus.
func (w *world) processOf(name string) int {
	w.t.Helper()
	pid := uint32(0)
	must(w.t, w.client.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, name).Store(&pid))
	return int(pid)
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

// TestEnds: told to end, the daemon leaves nothing of a tunnel, and answers who
// waits for it.
func TestEnds(t *testing.T) {
	w := newWorld(t)
	w.run(ours())
	_, pid, reply := w.connecting()
	w.stop()
	if running(pid) || len(w.links()) != 0 {
		t.Errorf("left: program %v, links %q", running(pid), w.links())
	}
	if err := (<-reply.Done).Err; errorName(err) != "OperationAborted" {
		t.Errorf("Connect ends with %v", err)
	}
	if entries, _ := os.ReadDir(w.host.Path("/run/connman-vpn")); len(entries) != 0 {
		t.Errorf("%d files are left", len(entries))
	}
}

// TestKilled: when the daemon is killed, its programs die with it; the next run
// takes away the rest, and nothing of others.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	_, err := w.host.Output(exec.Command("ip", "tuntap", "add", "vpn7", "mode", "tun"))
	must(t, err)
	w.run(ours())
	w.create(map[string]any{"Host": "10.0.0.9"})
	path := w.create(map[string]any{"Domain": "x.test", "OpenVPN.CACert": "/etc/ca.pem", "OpenVPN.Cert": "/etc/c.pem", "OpenVPN.Key": "/etc/k.pem"})
	w.client.Object(busName, dbus.ObjectPath(path)).Go(connectionIface+"Connect", 0, make(chan *dbus.Call, 1))
	pid := 0
	w.until("the program runs", func() bool { pid = child(t, w.daemon.Pid()); return pid != 0 && len(w.links()) == 2 })
	w.daemon.Kill()
	w.named(false)
	w.until("the program dies with the daemon", func() bool { return !running(pid) })
	if len(w.links()) != 2 {
		t.Fatal("the link went by itself: nothing is left to take away")
	}
	w.run(ours())
	w.until("the link is taken away", func() bool { return slices.Equal(w.links(), []string{"vpn7"}) })
	if state := w.properties(path)["State"].Value(); state != "idle" {
		t.Errorf("the connection is %v", state)
	}
	if entries, _ := os.ReadDir(w.host.Path("/run/connman-vpn")); len(entries) != 0 {
		t.Errorf("%d files are left", len(entries))
	}
	w.stop()
}

// TestDisconnect: it is answered at once, and then Connect is; the state says
// when the program is gone.
func TestDisconnect(t *testing.T) {
	w := newWorld(t)
	w.run(ours())
	path, pid, reply := w.connecting()
	if _, err := w.call(path, connectionIface+"Connect"); errorName(err) != "InProgress" {
		t.Errorf("a second Connect: %v", err)
	}
	w.must(path, connectionIface+"Disconnect")
	if err := (<-reply.Done).Err; errorName(err) != "OperationAborted" {
		t.Errorf("Connect ends with %v", err)
	}
	w.until("it is idle", func() bool { return w.properties(path)["State"].Value() == "idle" })
	if running(pid) || len(w.links()) != 0 {
		t.Errorf("left: program %v, links %q", running(pid), w.links())
	}
	w.stop()
}

// TestMissingProgram: connections of that type are there and cannot connect; new
// ones are refused, and others work.
func TestMissingProgram(t *testing.T) {
	w := newWorld(t)
	w.run(ours())
	path, other := w.create(map[string]any{}), "/net/connman/vpn/connection/10_0_0_2"
	must(t, os.Remove(filepath.Join(w.path, "openvpn")))
	if _, err := exec.LookPath("openvpn"); err == nil {
		t.Log("openvpn is installed: it cannot be missing")
		return
	}
	if _, err := w.call(path, connectionIface+"Connect"); errorName(err) != "NotSupported" || !strings.Contains(err.Error(), "openvpn is not installed") {
		t.Errorf("Connect: %v", err)
	}
	_, err := w.call("/", managerIface+"Create", map[string]any{"Type": "openvpn", "Name": "n", "Host": "10.0.0.2"})
	if errorName(err) != "NotSupported" || !strings.Contains(err.Error(), "openvpn is not installed") {
		t.Errorf("Create: %v", err)
	}
	if got := w.connections(); slices.Contains(got, other) || len(got) != 1 {
		t.Errorf("%q", got)
	}
	w.stop()
}

// TestExitWhenIdle: the daemon leaves when nobody has use of it, if it may, and
// not before.
func TestExitWhenIdle(t *testing.T) {
	w := newWorld(t)
	must(t, w.host.WriteFile("/etc/connman/connman-vpn.conf", "[General]\nExitWhenIdle = 2\n"))
	w.run(ours())
	stays := func(why string) {
		t.Helper()
		select {
		case <-w.daemon.Done():
			t.Fatal(why)
		case <-time.After(5 * time.Second): // more than twice the time
		}
	}
	w.must("/", managerIface+"RegisterAgent", dbus.ObjectPath("/a"))
	stays("it left an agent behind")
	path := w.create(map[string]any{"Domain": "x.test"})
	w.must("/", managerIface+"UnregisterAgent", dbus.ObjectPath("/a"))
	stays("it left a connection behind, which nobody sees any more")
	w.must("/", managerIface+"Remove", dbus.ObjectPath(path))
	must(t, w.daemon.Wait(patience))
}

// TestStart: one daemon is enough, and what is wrong is said.
func TestStart(t *testing.T) {
	w := newWorld(t)
	w.run(ours(), "-P", "openvpn")
	if _, err := w.call("/", managerIface+"Create", map[string]any{"Type": "openvpn", "Name": "n", "Host": "h"}); errorName(err) != "NotSupported" {
		t.Errorf("a type that was switched off: %v", err)
	}
	first := w.daemon
	w.start(ours(), "-n")
	if err := w.daemon.Wait(patience); err == nil {
		t.Error("a second daemon")
	}
	must(t, first.Stop(patience))
	w.named(false)

	w.start(ours()) // in the background
	must(t, w.daemon.Wait(patience))
	w.named(true)
	must(t, syscall.Kill(w.processOf(busName), syscall.SIGTERM))
	w.named(false)

	out, err := w.host.Output(exec.Command(string(ours()), "--version"))
	if err != nil || strings.Count(string(out), ".") != 2 {
		t.Errorf("version %q, %v", out, err)
	}
	w.start(ours(), "--nonsense")
	if err := w.daemon.Wait(patience); err == nil || w.daemon == nil {
		t.Error("nonsense is taken")
	}
}

// TestLosesBus: without the bus the daemon ends, and leaves nothing.
func TestLosesBus(t *testing.T) {
	w := newWorld(t)
	w.run(ours())
	_, pid, _ := w.connecting()
	must(t, syscall.Kill(w.processOf("org.freedesktop.DBus"), syscall.SIGKILL))
	if err := w.daemon.Wait(patience); err == nil {
		t.Error("it ends as if nothing had happened")
	}
	if running(pid) || len(w.links()) != 0 {
		t.Errorf("left: program %v, links %q", running(pid), w.links())
	}
}

// TestBudget holds the idle daemon to the memory that small products have for
// it, and its program to their disks.
func TestBudget(t *testing.T) {
	const rss, program = 10, 8 // MB
	info, err := os.Stat(string(ours()))
	must(t, err)
	size := float64(info.Size()) / 1e6
	if size > program {
		t.Errorf("the program has %.1f MB, budget %d", size, program)
	}
	w := newWorld(t)
	must(t, w.host.WriteFile("/var/lib/connman-vpn/a.config", provisioned))
	w.run(ours())
	w.until("the connection is there", func() bool { return len(w.connections()) == 1 })
	var used float64
	must(t, lab.Eventually(patience, func() error {
		if used = memory(t, w.daemon.Pid()); used > rss {
			return fmt.Errorf("Rss %.1f MB, budget %d", used, rss)
		}
		return nil
	}))
	t.Logf("program %.1f MB, Rss %.1f MB", size, used)
	w.stop()
}

// memory is the Rss of a process in megabytes of 10^6 bytes.
func memory(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Rss:"); ok {
			kB, err := strconv.Atoi(strings.Fields(rest)[0])
			must(t, err)
			return float64(kB) * 1024 / 1e6
		}
	}
	t.Fatal("no Rss")
	return 0
}
