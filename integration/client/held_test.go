//go:build netns

package client

import (
	"bufio"
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
	"net.connman/integration/lab"
)

// held is a client that runs until it is stopped.
type held struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// hold starts a client whose lines come as they are printed: the reference's
// would otherwise keep them until there are many.
func (w *world) hold(client string, args ...string) *held {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	cmd := exec.CommandContext(ctx, "stdbuf", append([]string{"-oL", client}, args...)...)
	cmd.Env = w.environment()
	out, err := cmd.StdoutPipe()
	must(w.t, err)
	must(w.t, cmd.Start())
	w.t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	return &held{cmd, bufio.NewReader(out)}
}

// until returns what the client prints up to a line with the given text.
func (h *held) until(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	for {
		line, err := h.out.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			t.Fatalf("ended with %v before %q:\n%s", err, text, all.String())
		}
		if strings.Contains(line, text) {
			return all.String()
		}
	}
}

// watched waits until the bus has taken the given number of matches on ConnMan's
// interfaces since a mark.
func (w *world) watched(mark, count int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	_, err := w.recorder.Wait(ctx, mark, func(m *dbus.Message) bool {
		if lab.Header(m, dbus.FieldMember) == "AddMatch" && strings.Contains(m.Body[0].(string), "interface='net.connman.") {
			count--
		}
		return count == 0
	})
	must(w.t, err)
}

// TestMonitorOnReference and TestMonitorOnOurs: both clients watch a daemon at
// the same time and print the same.
func TestMonitorOnReference(t *testing.T) { monitor(t, lab.Reference()) }

// TestMonitorOnOurs is the same with our daemon.
func TestMonitorOnOurs(t *testing.T) { monitor(t, lab.Ours()) }

func monitor(t *testing.T, daemon lab.Manager) {
	w := newWorld(t, daemon)
	mark := w.recorder.Mark()
	theirs, our := w.hold(reference(), "monitor"), w.hold(ours(), "monitor")
	w.watched(mark, 2*5)
	for _, s := range []step{
		{line: "move-before S1 S0", until: states("ready", "online")},
		{line: "disconnect S1", until: states("online", "idle")},
		{line: "connect S1", until: states("online", "ready")},
		{line: "config S0 --ipv4 manual 10.77.0.200 255.255.240.0 10.77.0.1", until: property(0, "IPv4", "Address", "10.77.0.200")},
		{line: "disable ethernet", until: off},
		{line: "enable ethernet", until: property(0, "IPv4", "Address", "10.77.0.200")},
		{line: "config S0 --mdns yes"},
		{line: "config S0 --nameservers 192.0.2.1 192.0.2.2"},
		{line: "config S0 --domains a.example"},
		{line: "config S0 --proxy manual proxy.example:3128 --excludes localhost"},
		{line: "config S0 --remove"},
		{line: "enable offline", until: off},
	} {
		w.run(ours(), w.words(s.line)...)
		if s.until != nil {
			w.await(s.line, s.until)
		}
	}
	w.run(ours(), "disable", "offline")
	const last = "OfflineMode = False"
	if diff := cmp.Diff(theirs.until(t, last), our.until(t, last)); diff != "" {
		t.Errorf("(-reference +ours)\n%s", diff)
	}
}

// ownPaths are of a client's sessions, named after its process and connection.
var ownPaths = regexp.MustCompile(`/sessions/\S+`)

// TestSession: a session on the reference's daemon, which keeps the client
// informed.
func TestSession(t *testing.T) {
	w := newWorld(t, lab.Reference())
	for _, line := range []string{"session on --type internet", "session connect --bearers ethernet", "session on --bogus"} {
		var printed []string
		for _, client := range []string{reference(), ours()} {
			h := w.hold(client, w.words(line)...)
			printed = append(printed, ownPaths.ReplaceAllString(h.until(t, "Bearer"), "PATH"))
			must(t, h.cmd.Process.Kill())
		}
		if diff := cmp.Diff(printed[0], printed[1]); diff != "" {
			t.Errorf("%s: (-reference +ours)\n%s", line, diff)
		}
	}
}
