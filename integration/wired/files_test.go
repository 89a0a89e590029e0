//go:build netns

package wired

import (
	"os"
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
