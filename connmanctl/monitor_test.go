package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"net.connman/connmanctl/internal/lab"
)

const (
	monitorRecording = "testdata/monitor.txt"

	// A client that prints a line about the first of these connections has all
	// its matches in place, and one that prints about the second has printed
	// all before it.
	readyMark = "ready_mark"
	endMark   = "end_mark"
)

// running is a client that prints signals.
type running struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// startMonitor starts a client and waits until it prints signals.
func startMonitor(t *testing.T, cmd *exec.Cmd, w *world) *running {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	run := &running{cmd, bufio.NewReader(out)}
	stop := make(chan struct{})
	go func() { // until one of them gets through
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				w.mark(readyMark)
			}
		}
	}()
	line, err := run.out.ReadString('\n')
	close(stop)
	if err != nil || !strings.Contains(line, readyMark) {
		t.Fatalf("the monitor printed %q and %v", line, err)
	}
	return run
}

func (w *world) mark(name string) {
	_ = w.Emit("/net/connman/vpn/connection/"+name, "net.connman.vpn.Connection", "PropertyChanged", "sv",
		"Ready", dbus.MakeVariant(true))
}

// until returns what the client prints before the end mark.
func (r *running) until(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for {
		line, err := r.out.ReadString('\n')
		switch {
		case err != nil:
			t.Fatalf("the monitor ended with %v after\n%s", err, text.String())
		case strings.Contains(line, endMark):
			return text.String()
		case !strings.Contains(line, readyMark):
			text.WriteString(line)
		}
	}
}

// signals sends one signal of every kind and form.
func (w *world) signals(t *testing.T) {
	t.Helper()
	send := func(path, iface, member, signature string, values ...any) {
		t.Helper()
		if err := w.Emit(path, "net.connman."+iface, member, signature, values...); err != nil {
			t.Fatal(err)
		}
	}
	changed := func(path, iface, property string, value any) {
		t.Helper()
		send(path, iface, "PropertyChanged", "sv", property, lab.Variant(value))
	}
	service := "/net/connman/service/wifi_1"
	changed("/", "Manager", "State", "online")
	changed("/", "Manager", "OfflineMode", true)
	changed(service, "Service", "Strength", byte(71))
	changed(service, "Service", "IPv4", lab.Dict("Method", "dhcp", "Address", "192.0.2.7"))
	changed(service, "Service", "Nameservers", []string{"192.0.2.1", "192.0.2.2"})
	changed(service, "Service", "Domains", []string{})
	changed(service, "Service", "Proxy", lab.Dict())
	changed("/net/connman/technology/a_technology_with_a_long_name", "Technology", "Powered", true)
	send("/", "Manager", "ServicesChanged", "a(oa{sv})ao", append(someServices(), lab.Object{Path: "/net/connman/service/x"}),
		[]dbus.ObjectPath{"/net/connman/service/gone", "/net/connman/service/gone_too"})
	send("/", "Manager", "ServicesChanged", "a(oa{sv})ao", []lab.Object{}, []dbus.ObjectPath{})
	send("/", "Manager", "PeersChanged", "a(oa{sv})ao",
		[]lab.Object{
			{Path: "/net/connman/peer/peer_1", Properties: lab.Dict("Name", "tv", "State", "ready")},
			{Path: "/net/connman/peer/peer_2"},
		},
		[]dbus.ObjectPath{"/net/connman/peer/gone"})
	send("/", "Manager", "TechnologyAdded", "oa{sv}", dbus.ObjectPath("/net/connman/technology/wifi"),
		lab.Dict("Name", "WiFi", "Powered", true))
	send("/", "Manager", "TechnologyRemoved", "o", dbus.ObjectPath("/net/connman/technology/wifi"))
	send("/", "Manager", "TetheringClientsChanged", "asas", []string{"02:00:00:00:00:01"}, []string{})
	send("/", "vpn.Manager", "ConnectionAdded", "oa{sv}", dbus.ObjectPath("/net/connman/vpn/connection/a"), lab.Dict("Name", "office"))
	send("/", "vpn.Manager", "ConnectionRemoved", "o", dbus.ObjectPath("/net/connman/vpn/connection/a"))
	changed("/net/connman/vpn/connection/a", "vpn.Connection", "State", "ready")
	changed(service, "Peer", "State", "nobody asked for this")
	w.mark(endMark)
}

// TestMonitorSameAsReference compares the lines of every kind of signal.
func TestMonitorSameAsReference(t *testing.T) {
	want, err := os.ReadFile(monitorRecording)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	run := startMonitor(t, client(deadline(t), w.Bus, "monitor"), w)
	w.signals(t)
	if diff := cmp.Diff(string(want), run.until(t)); diff != "" {
		t.Errorf("differs from the reference (-reference +ours):\n%s", diff)
	}
	run.stop()
}

// TestMonitorReference checks or, with -update, makes the recording.
func TestMonitorReference(t *testing.T) {
	path := referenceClient()
	if path == "" {
		t.Skip("no reference client: CONNMAN_REFERENCE names no directory with connman/usr/bin/connmanctl")
	}
	w := newWorld(t)
	run := startMonitor(t, program(deadline(t), w.Bus, "stdbuf", "-oL", path, "monitor"), w)
	w.signals(t)
	got := run.until(t)
	run.stop()
	if *update {
		if err := os.WriteFile(monitorRecording, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(monitorRecording)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the reference differs from its recording (-recorded +now):\n%s", diff)
	}
}

func (r *running) stop() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// TestMonitorOne: only the signals asked for are printed.
func TestMonitorOne(t *testing.T) {
	w := newWorld(t)
	run := startMonitor(t, client(deadline(t), w.Bus, "monitor", "vpnconnection"), w)
	w.signals(t)
	if got, want := run.until(t), "Connection   a                    State = ready\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	run.stop()
}
