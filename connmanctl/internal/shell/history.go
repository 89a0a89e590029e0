package shell

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"net.connman/connmanctl/internal/view"
)

// historyLines are kept between runs.
const (
	historyLines = 500
	historyBytes = 1 << 20
)

// history is the file that keeps lines between runs; "" when there is none. It
// is the user's alone. What goes wrong with it is not worth a word.
type history string

// userHistory returns where the XDG Base Directory Specification wants it.
func userHistory() history {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local/state")
	}
	return history(filepath.Join(dir, "connmanctl", "history"))
}

// load returns the lines, the oldest first, and makes the file forget those
// that are too many.
func (h history) load() []string {
	lines := slices.DeleteFunc(strings.Split(h.read(), "\n"), func(line string) bool {
		return line == "" || view.Safe(line) != line
	})
	if len(lines) <= historyLines {
		return lines
	}
	lines = lines[len(lines)-historyLines:]
	shorter := string(h) + ".new"
	if os.WriteFile(shorter, []byte(strings.Join(lines, "\n")+"\n"), 0o600) == nil {
		_ = os.Rename(shorter, string(h))
	}
	return lines
}

// read returns the file's text.
func (h history) read() string {
	file, err := os.OpenFile(string(h), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	data, err := io.ReadAll(io.LimitReader(file, historyBytes))
	if err != nil {
		return ""
	}
	return string(data)
}

// add appends a line.
func (h history) add(line string) {
	if h == "" {
		return
	}
	_ = os.MkdirAll(filepath.Dir(string(h)), 0o700)
	file, err := os.OpenFile(string(h), os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	_ = file.Chmod(0o600)
	_, _ = file.WriteString(line + "\n")
}
