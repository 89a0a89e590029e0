//go:build netns

package wired

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

// oneLine objects unless text is a single line with each of the words.
func oneLine(text string, words ...string) error {
	text = strings.TrimSpace(text)
	if text == "" || strings.Contains(text, "\n") {
		return errors.New("not one line: " + text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			return errors.New("nothing about " + word + ": " + text)
		}
	}
	return nil
}

// nobody is a user without privileges.
func nobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

// complaints are the lines of a daemon's output that are not its daily
// business.
func complaints(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		for _, daily := range []string{"connmand starts", "connmand ends", "no DNS proxy", "new device", "serving", "default service", "domain name is set"} {
			if strings.Contains(line, daily) {
				line = ""
			}
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "")
}

// TestStartFailsWithOneLineAndAStatus: whoever starts the daemon wrongly is
// told what to do, once.
func TestStartFailsWithOneLineAndAStatus(t *testing.T) {
	l := lab.ForTest(t)
	h, err := l.Host("machine")
	must(t, err)
	bus, err := h.StartBus()
	must(t, err)
	owner, err := bus.Connect()
	must(t, err)
	defer owner.Close()
	_, err = owner.RequestName("net.connman", dbus.NameFlagDoNotQueue)
	must(t, err)

	connmand := lab.Ours().Path
	tests := []struct {
		name    string
		args    []string
		bus     string
		process *syscall.SysProcAttr
		prepare func()
		status  int
		says    []string
	}{
		{name: "name taken", args: []string{"-n"}, status: 1, says: []string{"net.connman", "stop"}},
		{name: "name taken, in the background", status: 1, says: []string{"net.connman", "stop"}},
		{name: "no bus", args: []string{"-n"}, bus: "unix:path=/run/nothing", status: 1, says: []string{"dbus-daemon"}},
		{name: "not root", args: []string{"-n"}, process: nobody(), status: 1, says: []string{"root"}},
		{name: "unknown flag", args: []string{"--frobnicate"}, status: 2, says: []string{"--frobnicate", "--help"}},
		{name: "unknown argument", args: []string{"frobnicate"}, status: 2, says: []string{"frobnicate", "--help"}},
		{name: "bad pattern", args: []string{"-n", "-i", "eth["}, status: 2, says: []string{"eth["}},
		{name: "state is a file", args: []string{"-n"}, status: 1, says: []string{"/var/lib/connman"}, prepare: func() {
			must(t, os.RemoveAll(h.Path("/var/lib/connman")))
			must(t, os.WriteFile(h.Path("/var/lib/connman"), nil, 0o644))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.prepare != nil {
				tt.prepare()
			}
			var out bytes.Buffer
			cmd := exec.Command(connmand, tt.args...)
			cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &out, &out, tt.process
			address := bus.Address
			if tt.bus != "" {
				address = tt.bus
			}
			cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+address)
			p, err := h.Start(cmd)
			must(t, err)
			var exit *exec.ExitError
			if err := p.Wait(patience); !errors.As(err, &exit) || exit.ExitCode() != tt.status {
				t.Errorf("ended with %v, want exit status %d", err, tt.status)
			}
			if err := oneLine(complaints(out.String()), tt.says...); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStartGoesOnWithoutConfiguration: a file that cannot be read costs a
// warning, not the network.
func TestStartGoesOnWithoutConfiguration(t *testing.T) {
	w := newWorld(t, 1, nil)
	must(t, os.MkdirAll(w.Machine.Path("/etc/connman/main.conf"), 0o755)) // a directory: even root cannot read it
	w.startOnline()
	log, err := os.ReadFile(w.daemon.Log)
	must(t, err)
	if err := oneLine(complaints(string(log)), "main.conf"); err != nil {
		t.Error(err)
	}
}

// TestStartGoesOnWithoutSettings: on a read-only disk the machine comes online
// and one line says that nothing is kept.
func TestStartGoesOnWithoutSettings(t *testing.T) {
	w := newWorld(t, 1, nil)
	must(t, os.MkdirAll(w.Machine.Path("/var/lib/connman"), 0o755))
	must(t, w.Machine.Do(func() error {
		return syscall.Mount("tmpfs", "/var/lib/connman", "tmpfs", syscall.MS_RDONLY, "")
	}))
	w.startOnline()
	w.untilLogged("/var/lib/connman", "read-only file system")
	w.end()
}

// TestBusGoneEndsTheDaemonForRestart: without a bus nobody can steer the
// daemon. It says so and ends with a status that has systemd start it again,
// and the network stays as it is until then.
func TestBusGoneEndsTheDaemonForRestart(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.startOnline()
	before := w.logged()
	must(t, syscall.Kill(w.pidOf("org.freedesktop.DBus"), syscall.SIGKILL))
	var exit *exec.ExitError
	if err := w.daemon.Wait(patience); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit status 1", err)
	}
	if n := count(w.logged()[len(before):], "connmand:", "bus"); n != 1 {
		t.Errorf("%d lines about the bus: %q", n, w.logged()[len(before):])
	}
	must(t, withAddress(w.Links[0]))
}

// pidOf is the process that owns a name on the bus.
func (w *world) pidOf(name string) int {
	w.t.Helper()
	var pid uint32
	must(w.t, w.bus.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, name).Store(&pid))
	return int(pid)
}

// TestBackgroundStartReturnsWhenServed: without -n the command returns once
// the daemon answers, and the daemon lives on without the terminal.
func TestBackgroundStartReturnsWhenServed(t *testing.T) {
	w := newWorld(t, 1, nil)
	must(t, w.Machine.WriteFile("/etc/connman/main.conf", "[General]\n"))
	cmd := exec.Command(lab.Ours().Path)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.Bus.Address)
	_, err := w.Machine.Output(cmd)
	must(t, err)
	must(t, w.call("/", "net.connman.Manager.GetProperties").Err)
	pid := w.pidOf("net.connman")
	defer func() { must(t, syscall.Kill(pid, syscall.SIGKILL)) }()
	w.waitState("online")
	for fd := range 3 {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		must(t, err)
		if target != os.DevNull {
			t.Errorf("descriptor %d of the daemon is %s", fd, target)
		}
	}
}

// TestVersion prints the version and nothing else, whoever asks.
func TestVersion(t *testing.T) {
	for _, flag := range []string{"-v", "--version"} {
		cmd := exec.Command(lab.Ours().Path, flag)
		cmd.SysProcAttr = nobody()
		out, err := cmd.CombinedOutput()
		must(t, err)
		if text := strings.TrimSpace(string(out)); text == "" || strings.Trim(text, "0123456789.") != "" {
			t.Errorf("%s prints %q", flag, out)
		}
	}
}

// TestCallsDuringStartAreAnsweredAtOnce asks from the moment on at which the
// name is owned, with 1,000 saved services and 50 links to bring up. What else
// the machine has to do must not count.
func TestCallsDuringStartAreAnsweredAtOnce(t *testing.T) {
	restore, err := lab.TakePrecedence()
	if err != nil {
		t.Log(err)
	}
	defer restore()
	w := newWorld(t, 50, nil)
	for i := range 1000 {
		id := fmt.Sprintf("wifi_027702990001_%08x_managed_psk", i)
		must(t, w.Machine.WriteFile(stateDir+id+"/settings",
			fmt.Sprintf("[%s]\nName=net%d\nSSID=%08x\nFavorite=true\nAutoConnect=true\n", id, i, i)))
	}
	w.run(lab.Ours())
	for range 100 {
		for _, method := range []string{"GetProperties", "GetTechnologies", "GetServices"} {
			queued, asked := w.queued(), time.Now()
			must(t, w.call(managerPath, "net.connman.Manager."+method).Err)
			took := time.Since(asked)
			if queued := w.queuedSince(queued); took-queued > 500*time.Millisecond {
				t.Errorf("%s took %v, %v of it without a processor", method, took, queued)
			}
		}
	}
	w.until("all connected", w.allConnected)
}
