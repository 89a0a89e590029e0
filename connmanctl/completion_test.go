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
		"--complete vpn":                "vpn vpnagent vpnconnections",
		"--complete vpn |":              "import",
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
	for name, bus := range map[string]*lab.Bus{"daemon": nobody, "bus": {Address: "unix:path=/nonexistent/bus"}} {
		got := finish(t, client(deadline(t), bus, "--complete", "enable", ""))
		if got.Stdout != "offline\n" || got.Stderr != "" || got.status != int(command.Worked) {
			t.Errorf("without a %s: status %d, %q, %q", name, got.status, got.Stdout, got.Stderr)
		}
	}
}

// shellCompletions are command lines and what they may become, in every shell.
var shellCompletions = map[string]string{
	"connmanctl sta":                  "state",
	"connmanctl vpn":                  "vpn vpnagent vpnconnections",
	"connmanctl disconnect peer":      "peer_1 peer_2",
	"connmanctl move-before wifi_1 e": "ethernet_027702000002_cable",
	"connmanctl tether ":              "empty ethernet wifi",
	"connmanctl vpnconnections ":      "a b c d",
	"connmanctl config wifi_1 ipv":    "ipv4 ipv6",
	"connmanctl connect wifi_1 --pas": "--passphrase-fd --passphrase-file",
	"connmanctl services --":          "--json",
	"connmanctl bogus ":               "",
}

// fileCompletions are left to the shell.
var fileCompletions = []string{"connmanctl connect wifi_1 --passphrase-file completion/_", "connmanctl vpn import completion/_"}

// testShell compares what a shell finds; its program gets the line typed so far
// as its last argument.
func testShell(t *testing.T, files string, program ...string) {
	t.Helper()
	if _, err := exec.LookPath(program[0]); err != nil {
		t.Skipf("no %s: integration/peers.sh installs it", program[0])
	}
	dir := t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "connmanctl")); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	try := func(typed, want string) {
		t.Helper()
		cmd := exec.CommandContext(deadline(t), program[0], append(program[1:], typed)...)
		cmd.Env = append(client(deadline(t), w.Bus).Env, "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir)
		text, err := cmd.CombinedOutput()
		if got := strings.Join(strings.Fields(string(text)), " "); err != nil || got != want {
			t.Errorf("%s: %q and %v, want %q", typed, got, err, want)
		}
	}
	for typed, want := range shellCompletions {
		try(typed, want)
	}
	for _, typed := range fileCompletions {
		try(typed, files)
	}
}

// TestBashCompletion runs the completion in the shell that it is for, and so do
// the others.
func TestBashCompletion(t *testing.T) {
	script := `. completion/connmanctl.bash
		COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1)
		case $1 in *" ") COMP_WORDS+=("");; esac
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		compopt() { COMPREPLY=() files=yes; }
		_connmanctl
		[ -z "$files" ] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
		echo "${COMPREPLY[*]}"`
	testShell(t, "completion/_connmanctl", "bash", "-c", script, "bash")
}

func TestFishCompletion(t *testing.T) {
	testShell(t, "completion/_connmanctl", "fish", "--no-config", "-c", "source completion/connmanctl.fish; complete -C $argv[1]")
}

// TestZshCompletion types into a zsh at a terminal of its own, whose compadd says
// what it is given: zsh completes nowhere else.
func TestZshCompletion(t *testing.T) {
	script := `zmodload zsh/zpty
		zpty inner zsh -f -i
		zpty -w inner 'PS1= PROMPT_SP= ; fpath=($PWD/completion $fpath); autoload -U compinit; compinit -u -d $HOME/dump'
		zpty -w inner 'compadd() { local -a shown; builtin compadd -O shown "$@"; print -l -- "<${^shown}>"; builtin compadd "$@" }'
		zpty -w inner 'zle -C report complete-word report; report() { _main_complete; print "<end>"; exit }'
		zpty -w inner 'bindkey "^T" report; print -r -- "<re""ady>"'
		zpty -r inner seen '*<ready>*'
		zpty -w -n inner "$1"$'\C-t'
		zpty -r inner seen '*<end>*'
		print -r -- "$seen" | tr -d '\r' | sed -n 's/^.*<\(.*\)>$/\1/p' | grep -vx end | sort -u`
	testShell(t, "_connmanctl completion", "zsh", "-f", "-c", script, "zsh")
}
