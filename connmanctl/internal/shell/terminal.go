package shell

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/chzyer/readline"
)

// terminal reads with line editing. Readline changes the line being typed in a
// goroutine of its own, and when a line is finished without its lock; so the
// keys that finish one pass through finishing, and nothing is redrawn after it.
type terminal struct {
	rl *readline.Instance

	mu       sync.Mutex // guards what follows
	finished bool       // the line, or it may be
	mode     readline.RawMode
}

func newTerminal(complete readline.AutoCompleter) (*terminal, error) {
	t := &terminal{}
	rl, err := readline.NewEx(&readline.Config{
		Prompt:                 "connmanctl> ",
		AutoComplete:           complete,
		DisableAutoSaveHistory: true,
		EOFPrompt:              "\n",
		InterruptPrompt:        "^C",
		FuncFilterInputRune:    t.finishing,
		FuncMakeRaw:            t.enterRaw,
		FuncExitRaw:            t.exitRaw,
	})
	t.rl = rl
	return t, err
}

func (t *terminal) ReadLine() (string, error) {
	t.mu.Lock()
	t.finished = false
	t.mu.Unlock()
	line, err := t.rl.Readline()
	if errors.Is(err, readline.ErrInterrupt) {
		return line, errInterrupt
	}
	return line, err
}

func (t *terminal) Remember(line string) { _ = t.rl.SaveHistory(line) }

func (t *terminal) Stdout() io.Writer { return above{t, os.Stdout} }
func (t *terminal) Stderr() io.Writer { return above{t, os.Stderr} }

// Close gives the terminal back as it was. It does not wait for ReadLine, as
// readline's own Close does.
func (t *terminal) Close() error { return t.exitRaw() }

// finishing notes keys that may finish a line, before readline acts on them.
func (t *terminal) finishing(key rune) (rune, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch key {
	case readline.CharEnter, readline.CharCtrlJ, readline.CharInterrupt, readline.CharDelete:
		t.finished = true
	default:
		t.finished = false
	}
	return key, true
}

func (t *terminal) enterRaw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mode.Enter()
}

func (t *terminal) exitRaw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mode.Exit()
}

// above writes above the line being typed.
type above struct {
	t *terminal
	w io.Writer
}

func (a above) Write(p []byte) (int, error) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	if a.t.finished || !a.t.rl.Terminal.IsReading() {
		return a.w.Write(p)
	}
	a.t.rl.Clean()
	defer a.t.rl.Refresh()
	return a.w.Write(p)
}
