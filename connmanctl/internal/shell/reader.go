package shell

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/chzyer/readline"
)

// errInterrupt ends a line that Ctrl-C abandoned.
var errInterrupt = errors.New("interrupted")

// lineReader is where lines come from and answers go. What is written while
// ReadLine waits does not tear the line being typed.
type lineReader interface {
	ReadLine() (string, error) // io.EOF at the end of the input, errInterrupt
	Remember(line string)      // in the history
	Stdout() io.Writer
	Stderr() io.Writer
	Close() error
}

func isTerminal() bool {
	return readline.IsTerminal(int(os.Stdin.Fd())) && readline.IsTerminal(int(os.Stdout.Fd()))
}

// terminal reads with line editing.
type terminal struct{ *readline.Instance }

func newTerminal(complete readline.AutoCompleter) (*terminal, error) {
	rl, err := readline.NewEx(&readline.Config{
		Prompt:                 "connmanctl> ",
		AutoComplete:           complete,
		DisableAutoSaveHistory: true,
		EOFPrompt:              "\n",
		InterruptPrompt:        "^C",
	})
	return &terminal{rl}, err
}

func (t *terminal) ReadLine() (string, error) {
	line, err := t.Readline()
	if errors.Is(err, readline.ErrInterrupt) {
		return line, errInterrupt
	}
	return line, err
}

// Close gives the terminal back as it was. It does not wait for ReadLine, as
// readline's own Close does.
func (t *terminal) Close() error { return t.Terminal.ExitRawMode() }

func (t *terminal) Stdout() io.Writer { return above{t.Instance, os.Stdout} }
func (t *terminal) Stderr() io.Writer { return above{t.Instance, os.Stderr} }

func (t *terminal) Remember(line string) { _ = t.SaveHistory(line) }

// above writes above the line being typed, as readline's own writers do, which
// however look at the state of a completion without its lock.
type above struct {
	rl *readline.Instance
	w  io.Writer
}

func (a above) Write(p []byte) (int, error) {
	if !a.rl.Terminal.IsReading() {
		return a.w.Write(p)
	}
	a.rl.Clean()
	defer a.rl.Refresh()
	return a.w.Write(p)
}

// stream reads lines as they are.
type stream struct{ in *bufio.Reader }

func (s *stream) ReadLine() (string, error) {
	line, err := s.in.ReadString('\n')
	if err == io.EOF && line != "" {
		err = nil
	}
	return strings.TrimSuffix(line, "\n"), err
}

func (s *stream) Remember(string)   {}
func (s *stream) Stdout() io.Writer { return os.Stdout }
func (s *stream) Stderr() io.Writer { return os.Stderr }
func (s *stream) Close() error      { return nil }
