//go:build netns

package wired

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// stateDir is where the daemon keeps its settings.
const stateDir = "/var/lib/connman/"

// read reads a file of the machine, "" when there is none.
func (w *world) read(path string) string {
	w.t.Helper()
	data, err := os.ReadFile(w.Machine.Path(path))
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return string(data)
}

// settingsLines are a file's lines that say something.
func settingsLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// logged are the lines that the daemon wrote to its log.
func (w *world) logged() []string {
	w.t.Helper()
	data, err := os.ReadFile(w.daemon.Log)
	must(w.t, err)
	return settingsLines(string(data))
}

// untilLogged waits for a line with all the parts in it.
func (w *world) untilLogged(parts ...string) {
	w.t.Helper()
	w.until("log", func() error {
		if count(w.logged(), parts...) == 0 {
			return fmt.Errorf("no line with %q in\n%s", parts, strings.Join(w.logged(), "\n"))
		}
		return nil
	})
}

// shell runs a command on the machine.
func (w *world) shell(command string) {
	w.t.Helper()
	_, err := w.Machine.Output(exec.Command("sh", "-ec", command))
	must(w.t, err)
}

func ipCommand(args ...string) *exec.Cmd { return exec.Command("ip", args...) }

func catCommand(path string) *exec.Cmd { return exec.Command("cat", path) }
