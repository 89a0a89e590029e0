package main

import (
	"strings"
	"testing"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/lab"
)

func TestExitStatus(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		line string
		want command.Status
	}{
		{"state", command.Worked},
		{"help", command.Worked},
		{"exit", command.Worked},
		{"monitor off", command.Worked},
		{"monitor services off", command.Worked},
		{"connect wifi_1", command.Worked},
		{"config wifi_1 --autoconnect yes --mdns no", command.Worked},
		{"connect locked", command.Refused},
		{"services none", command.Refused},
		{"enable done", command.Refused},
		{"enable nowhere", command.Refused},
		{"config locked --autoconnect yes", command.Refused},
		{"config locked --autoconnect yes --mdns no", command.Refused},
		{"tether wifi on ssid", command.Worked},
		{"bogus", command.Misused},
		{"state x", command.Misused},
		{"connect", command.Misused},
		{"connect a-b", command.Misused},
		{"move-before a b-c", command.Misused},
		{"config wifi_1 --bogus", command.Misused},
		{"config wifi_1 --ipv6 bogus", command.Misused},
		{"enable silent", command.NoDaemon},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			got := finish(t, client(deadline(t), w.Bus, words(tt.line)...))
			if got.status != int(tt.want) {
				t.Errorf("status %d, want %d\n%s%s", got.status, tt.want, got.Stdout, got.Stderr)
			}
		})
	}
}

// TestEveryErrorIsPrinted: the reference leaves after the first answer.
func TestEveryErrorIsPrinted(t *testing.T) {
	w := newWorld(t)
	got := finish(t, client(deadline(t), w.Bus, words("config locked --autoconnect yes --mdns no")...))
	if want := strings.Repeat("Error locked: Permission denied\n", 2); withoutHints(got.Stderr) != want {
		t.Errorf("got %q, want %q", got.Stderr, want)
	}
}

func TestNobodyAnswers(t *testing.T) {
	bus := lab.StartBus(t)
	tests := []struct {
		name, address, stderr string
	}{
		{"no daemon", bus.Address, "Error: The name net.connman was not provided by any .service files\n"},
		{"no bus", "unix:path=/nonexistent/bus", "Error: Failed to connect to socket /nonexistent/bus: No such file or directory\n"},
		{"no address", "nonsense", "Error: cannot connect to the bus: unsupported bus address \"nonsense\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := finish(t, client(deadline(t), &lab.Bus{Address: tt.address}, "services"))
			if got.status != int(command.NoDaemon) || withoutHints(got.Stderr) != tt.stderr || got.Stdout != "" {
				t.Errorf("status %d, printed %q and %q", got.status, got.Stdout, got.Stderr)
			}
		})
	}
}

// TestBusGoes: a client that watches signals leaves when the bus does.
func TestBusGoes(t *testing.T) {
	w := newWorld(t)
	run := startMonitor(t, client(deadline(t), w.Bus, "monitor"), w)
	w.Bus.Stop()
	if err := run.cmd.Wait(); err == nil || run.cmd.ProcessState.ExitCode() != int(command.NoDaemon) {
		t.Errorf("ended with %v", err)
	}
}
