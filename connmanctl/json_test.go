package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/lab"
)

// jsonRecording holds what --json prints: a documented schema that programs
// rely on.
const jsonRecording = "testdata/json.txt"

var jsonLines = []string{
	"state --json", "clock --json", "technologies --json", "services --json", "services --json wifi_6",
	"services wifi_7 --json", "peers --json", "peers --json peer_1", "tethering_clients --json", "vpnconnections --json",
	"vpnconnections a --json",
}

func TestJSON(t *testing.T) {
	var all strings.Builder
	w := newWorld(t)
	for _, line := range jsonLines {
		got := finish(t, client(deadline(t), w.Bus, words(line)...))
		if got.status != int(command.Worked) || got.Stderr != "" {
			t.Errorf("%s: status %d, %q", line, got.status, got.Stderr)
		}
		all.WriteString("# " + line + "\n" + got.Stdout)
	}
	run := startMonitor(t, client(deadline(t), w.Bus, "monitor", "--json"), w)
	w.signals(t)
	all.WriteString("# monitor --json\n" + run.until(t))
	run.stop()
	for line := range strings.Lines(all.String()) {
		if line[0] != '#' && !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if *update {
		if err := os.WriteFile(jsonRecording, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(jsonRecording)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), all.String()); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", jsonRecording, diff)
	}
}

// TestJSONRefusals: only what prints something takes the option, and errors are
// text, where errors go.
func TestJSONRefusals(t *testing.T) {
	w := newWorld(t)
	for line, want := range map[string]command.Status{
		"connect --json wifi_1":    command.Misused,
		"monitor --json bogus":     command.Misused,
		"clock x --json":           command.Misused,
		"peers --json none":        command.Refused,
		"session --json connect":   command.Refused,
		"services --json none":     command.Refused,
		"services --json wifi_1 x": command.Misused,
		"help --json":              command.Worked,
	} {
		got := finish(t, client(deadline(t), w.Bus, words(line)...))
		failed := got.status != int(command.Worked)
		if got.status != int(want) || failed == (got.Stdout != "") || failed != (got.Stderr != "") {
			t.Errorf("%s: status %d, want %d; printed %q and %q", line, got.status, want, got.Stdout, got.Stderr)
		}
	}
}

// The original daemon knows no diagnostics, and nobody hears of it.
func TestJSONWithoutDiagnostics(t *testing.T) {
	w := newWorld(t)
	with := finish(t, client(deadline(t), w.Bus, "services", "--json", "wifi_6")).Stdout
	w.Answer("/ net.connman.Diagnostics.GetServices", lab.Answer{Error: "org.freedesktop.DBus.Error.UnknownMethod", Text: "none"})
	got := finish(t, client(deadline(t), w.Bus, "services", "--json", "wifi_6"))
	properties, _, found := strings.Cut(with, `,"diagnostics":`)
	if !found || got.Stdout != properties+"}\n" || got.Stderr != "" || got.status != int(command.Worked) {
		t.Errorf("status %d, %q, %q; with diagnostics %q", got.status, got.Stdout, got.Stderr, with)
	}
}
