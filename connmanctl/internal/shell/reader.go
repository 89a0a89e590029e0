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

	// Remember puts a line into the history, and with keep also into the one
	// that outlasts the run.
	Remember(line string, keep bool)
	Stdout() io.Writer
	Stderr() io.Writer
	Close() error
}

func isTerminal() bool {
	return readline.IsTerminal(int(os.Stdin.Fd())) && readline.IsTerminal(int(os.Stdout.Fd()))
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

func (s *stream) Remember(string, bool) {}
func (s *stream) Stdout() io.Writer     { return os.Stdout }
func (s *stream) Stderr() io.Writer     { return os.Stderr }
func (s *stream) Close() error          { return nil }
