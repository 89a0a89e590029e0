package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/lab"
)

// TestComplete: what shells ask the program.
func TestComplete(t *testing.T) {
	w := newWorld(t)
	nobody := lab.StartBus(t)
	for typed, want := range map[string]string{
		"--complete":                    "",
		"--complete vpn":                "vpnagent vpnconnections",
		"--complete connect eth":        "ethernet_027702000002_cable",
		"--complete connect wifi_1 --p": "--passphrase-fd --passphrase-file",
		"--complete config wifi_1 i":    "ipv4 ipv6",
		"--complete peers |":            "peer_1 peer_2",
		"--complete vpnconnections |":   "a b c d",
		"--complete enable |":           "empty ethernet offline wifi",
		"--complete bogus |":            "",
	} {
		got := finish(t, client(deadline(t), w.Bus, words(typed)...))
		if strings.Join(strings.Fields(got.Stdout), " ") != want || got.Stderr != "" || got.status != int(command.Worked) {
			t.Errorf("%s: status %d, %q, %q", typed, got.status, got.Stdout, got.Stderr)
		}
	}
	got := finish(t, client(deadline(t), nobody, "--complete", "enable", ""))
	if got.Stdout != "offline\n" || got.Stderr != "" {
		t.Errorf("without a daemon: %q, %q", got.Stdout, got.Stderr)
	}
}

// TestBashCompletion runs the completion in the shell that it is for.
func TestBashCompletion(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "connmanctl")); err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{
		"connmanctl sta":                                "state",
		"connmanctl disconnect peer":                    "peer_1 peer_2",
		"connmanctl move-before wifi_1 e":               "ethernet_027702000002_cable",
		"connmanctl connect wifi_1 --passphrase-file x": "",
	} {
		script := `. completion/connmanctl.bash; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _connmanctl; echo "${COMPREPLY[*]}"`
		cmd := exec.CommandContext(deadline(t), "bash", append([]string{"-c", script, "bash"}, strings.Fields(typed)...)...)
		cmd.Env = append(client(deadline(t), w.Bus).Env, "PATH="+dir+":"+os.Getenv("PATH"))
		text, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(text)) != want {
			t.Errorf("%s: %q, %v", typed, text, err)
		}
	}
}
