package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"net.connman/connmanctl/internal/lab"
)

// selfVariable makes the test's own binary run as the program.
const selfVariable = "WAIT_ONLINE_UNDER_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(selfVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

func start(t *testing.T, address string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), selfVariable+"=1", "DBUS_SYSTEM_BUS_ADDRESS="+address, "GORACE=atexit_sleep_ms=0")
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &text
}

func finish(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

func services(states ...string) lab.Answer {
	var all []lab.Object
	for i, state := range states {
		id := string(rune('0' + i))
		all = append(all, lab.Object{Path: dbus.ObjectPath("/net/connman/service/s" + id),
			Properties: lab.Dict("State", state, "Ethernet", lab.Dict("Method", "auto", "Interface", "eth"+id))})
	}
	return lab.Objects(all...)
}

// TestWants: states and families of single interfaces.
func TestWants(t *testing.T) {
	service := func(iface, state string, pairs ...any) lab.Object {
		return lab.Object{Path: dbus.ObjectPath("/net/connman/service/" + iface),
			Properties: lab.Dict(append(pairs, "State", state, "Ethernet", lab.Dict("Interface", iface))...)}
	}
	v4, v6 := lab.Dict("Address", "192.0.2.7"), lab.Dict("Address", "2001:db8::7")
	answer := lab.Objects(
		service("eth0", "online", "IPv4", v4, "IPv6", lab.Dict()),
		service("eth1", "ready", "IPv6", v6),
		service("eth2", "idle"),
	)
	tests := map[string]int{
		"":                                 up,
		"--state=online":                   up,
		"--state=online -I eth0":           timedOut,
		"--state=online -i eth1":           timedOut,
		"-i eth0:online":                   up,
		"-i eth1:ready":                    up,
		"-i eth1:online":                   timedOut,
		"-i eth0:online,eth1:ready":        up,
		"-i eth0:online,eth1:online":       timedOut,
		"-i eth0:online,eth1:online --any": up,
		"-i eth0:online,eth2":              timedOut,
		"-i eth0:online,eth2 --any":        up,
		"-i eth0:online,eth1,eth2":         up,
		"-i eth1:ready --state=online":     up,
		"-i eth1 --any":                    up,
		"-i eth2:ready,eth3 --any":         timedOut,
		"-i eth0:ready -I eth0":            timedOut,
		"--family=4":                       up,
		"--family=4 -i eth1":               timedOut,
		"--family=6 -i eth1":               up,
		"--family=6 --state=online":        timedOut,
		"--family=any -i eth0":             up,
		"--family=5":                       misused,
		"--state=idle":                     misused,
		"-i eth0:idle":                     misused,
	}
	bus := lab.StartBus(t)
	daemon := lab.StartDaemon(t, bus, "net.connman")
	daemon.Answer("net.connman.Manager.GetServices", answer)
	for args, want := range tests {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			cmd, text := start(t, bus.Address, append([]string{"--timeout=1"}, strings.Fields(args)...)...)
			if got := finish(t, cmd); got != want || (text.Len() > 0) != (want == misused) {
				t.Errorf("status %d, want %d; printed %q", got, want, text)
			}
		})
	}
}

func TestWait(t *testing.T) {
	none := lab.Objects(lab.Object{Path: "/net/connman/service/x", Properties: lab.Dict("State", "online")})
	tests := []struct {
		name   string
		answer lab.Answer
		args   string
		want   int
	}{
		{"online", services("online"), "", up},
		{"ready", services("idle", "ready"), "", up},
		{"not connected", services("idle", "association", "failure"), "", timedOut},
		{"the interface", services("ready", "idle"), "-i eth0", up},
		{"another interface", services("ready", "idle"), "-i eth1", timedOut},
		{"one of several", services("idle", "ready"), "--interface=eth7,eth1", up},
		{"ignored", services("ready"), "-I eth0", timedOut},
		{"one ignored", services("ready", "ready"), "--ignore eth0", up},
		{"asked for and ignored", services("ready"), "-i eth0 -I eth0", timedOut},
		{"no interface", none, "", timedOut},
		{"error", lab.Answer{Error: "net.connman.Error.Failed", Text: "no"}, "", timedOut},
		{"wrong type", lab.Answer{Signature: "s", Values: []any{"x"}}, "", timedOut},
		{"nothing", lab.Answer{}, "", timedOut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bus := lab.StartBus(t)
			daemon := lab.StartDaemon(t, bus, "net.connman")
			daemon.Answer("net.connman.Manager.GetServices", tt.answer)
			cmd, text := start(t, bus.Address, append([]string{"--timeout=1"}, strings.Fields(tt.args)...)...)
			if got := finish(t, cmd); got != tt.want || text.Len() > 0 {
				t.Errorf("status %d, want %d; printed %q", got, tt.want, text)
			}
		})
	}
}

const listing = "/ net.connman.Manager.GetServices"

func TestComesUpLater(t *testing.T) {
	for _, iface := range []string{"net.connman.Manager", "net.connman.Service"} {
		t.Run(iface, func(t *testing.T) {
			bus := lab.StartBus(t)
			daemon := lab.StartDaemon(t, bus, "net.connman")
			daemon.Answer("GetServices", services("idle"))
			cmd, _ := start(t, bus.Address)
			daemon.Await(t, listing)
			daemon.Answer("GetServices", services("ready"))
			if err := daemon.Emit("/x", iface, "PropertyChanged", "sv", "State", dbus.MakeVariant("ready")); err != nil {
				t.Fatal(err)
			}
			if got := finish(t, cmd); got != up {
				t.Errorf("status %d", got)
			}
		})
	}
}

// TestAddressComesLater: a service that is ready may still wait for an address.
func TestAddressComesLater(t *testing.T) {
	bus := lab.StartBus(t)
	daemon := lab.StartDaemon(t, bus, "net.connman")
	service := func(address string) lab.Answer {
		return lab.Objects(lab.Object{Path: "/s", Properties: lab.Dict("State", "ready",
			"Ethernet", lab.Dict("Interface", "eth0"), "IPv6", lab.Dict("Address", address))})
	}
	daemon.Answer("GetServices", service(""))
	cmd, _ := start(t, bus.Address, "--family=6")
	daemon.Await(t, listing)
	daemon.Answer("GetServices", service("2001:db8::7"))
	if err := daemon.Emit("/s", "net.connman.Service", "PropertyChanged", "sv", "IPv6", lab.Variant(lab.Dict())); err != nil {
		t.Fatal(err)
	}
	if got := finish(t, cmd); got != up {
		t.Errorf("status %d", got)
	}
}

func TestDaemonComesLater(t *testing.T) {
	bus := lab.StartBus(t)
	first := lab.StartDaemon(t, bus, "net.connman")
	first.Answer("GetServices", services("idle"))
	cmd, _ := start(t, bus.Address)
	first.Await(t, listing)
	first.Stop()
	second := lab.StartDaemon(t, bus)
	second.Answer("GetServices", services("online"))
	second.Own(t, "net.connman")
	if got := finish(t, cmd); got != up {
		t.Errorf("status %d", got)
	}
}

func TestStatusAndText(t *testing.T) {
	bus := lab.StartBus(t)
	tests := []struct {
		name, address, args string
		want                int
		text                string
	}{
		{"no daemon", bus.Address, "--timeout=1", timedOut, ""},
		{"no bus", "unix:path=/nonexistent", "", noBus, "Error: Failed to connect to socket /nonexistent: No such file or directory\n"},
		{"unknown option", bus.Address, "--bogus", misused, "unknown flag: --bogus\n"},
		{"no value", bus.Address, "-i", misused, "flag needs an argument: 'i' in -i\n"},
		{"version", "nonsense", "-v", up, version + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd, text := start(t, tt.address, strings.Fields(tt.args)...)
			if got := finish(t, cmd); got != tt.want || text.String() != tt.text {
				t.Errorf("status %d, want %d; printed %q, want %q", got, tt.want, text, tt.text)
			}
		})
	}
}

func TestBusGoes(t *testing.T) {
	bus := lab.StartBus(t)
	daemon := lab.StartDaemon(t, bus, "net.connman")
	daemon.Answer("GetServices", services("idle"))
	cmd, _ := start(t, bus.Address)
	daemon.Await(t, listing)
	bus.Stop()
	if got := finish(t, cmd); got != noBus {
		t.Errorf("status %d, want %d", got, noBus)
	}
}
