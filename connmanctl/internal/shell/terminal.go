package shell

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/chzyer/readline"

	"net.connman/connmanctl/internal/agent"
	"net.connman/pkg/loop"
)

// terminal reads with line editing, and puts questions above the line being
// typed. Readline changes that line in a goroutine of its own, and when a line
// is finished without its lock; so the keys that finish one pass through
// finishing, and nothing is redrawn after it.
type terminal struct {
	rl     *readline.Instance // nil when there are only questions
	past   history
	loop   *loop.Loop
	asking atomic.Bool // a question has the line, so that readline must not draw

	mu       sync.Mutex // guards what follows
	typed    *sync.Cond // tells of bytes for readline
	input    []byte     // for readline, or kept back until an answer is dealt with
	older    int        // so much of input is readline's whatever is asked
	ended    bool       // the input
	dealing  bool       // with an answer: who gets input is not known
	question *question
	finished bool   // readline's line, or it may be
	kept     string // line for the history, to be written before the next is read
	mode     readline.RawMode
	raw      int // how many want raw mode
}

// Person is who sits at the terminal, to be asked without a prompt.
type Person struct {
	terminal terminal
	before   func()
	reading  sync.Once
}

// NewPerson returns who sits at the terminal, nil when there is none. Nothing
// is read before the first question; before runs before each.
func NewPerson(l *loop.Loop, before func()) *Person {
	if !isTerminal() {
		return nil
	}
	p := &Person{before: before}
	p.terminal.init(l)
	return p
}

// Ask implements agent.Person.
func (p *Person) Ask(q agent.Question, answer func(line string, ok bool)) (withdraw func()) {
	p.before()
	withdraw = p.terminal.Ask(q, answer)
	p.reading.Do(func() { go p.terminal.pump(os.Stdin) })
	return withdraw
}

// Close gives the terminal back as it was.
func (p *Person) Close() error { return p.terminal.Close() }

func (t *terminal) init(l *loop.Loop) {
	t.loop = l
	t.typed = sync.NewCond(&t.mu)
}

func newTerminal(l *loop.Loop, complete readline.AutoCompleter) (*terminal, error) {
	t := &terminal{finished: true}
	t.init(l)
	rl, err := readline.NewEx(&readline.Config{
		Prompt:                 "connmanctl> ",
		AutoComplete:           complete,
		DisableAutoSaveHistory: true,
		EOFPrompt:              "\n",
		InterruptPrompt:        "^C",
		Stdin:                  t,
		Stdout:                 drawing{t},
		FuncFilterInputRune:    t.finishing,
		FuncMakeRaw:            stayRaw,
		FuncExitRaw:            stayRaw,
	})
	if err == nil {
		err = t.wantRaw()
	}
	if err != nil {
		return nil, err
	}
	t.rl, t.past = rl, userHistory()
	for _, line := range t.past.load() {
		_ = rl.SaveHistory(line)
	}
	go t.pump(os.Stdin)
	return t, nil
}

func (t *terminal) ReadLine() (string, error) {
	t.mu.Lock()
	kept := t.kept
	t.kept = ""
	t.mu.Unlock()
	if kept != "" {
		t.past.add(kept)
	}
	t.setFinished(false)
	line, err := t.rl.Readline()
	t.setFinished(true) // also at the end of the input, which no key told of
	if errors.Is(err, readline.ErrInterrupt) {
		return line, errInterrupt
	}
	return line, err
}

func (t *terminal) Remember(line string, keep bool) {
	_ = t.rl.SaveHistory(line)
	if keep {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.kept = line
	}
}

func (t *terminal) Stdout() io.Writer { return above{t, os.Stdout} }
func (t *terminal) Stderr() io.Writer { return above{t, os.Stderr} }

// pump takes in what is typed, until the input ends.
func (t *terminal) pump(in io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := in.Read(buf)
		t.mu.Lock()
		t.input = append(t.input, buf[:n]...)
		t.ended = err != nil
		t.hand()
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// hand gives the input to the question, or to readline.
func (t *terminal) hand() {
	for t.question != nil && len(t.input) > t.older {
		key := t.input[t.older]
		t.input = slices.Delete(t.input, t.older, t.older+1)
		if end, ok := t.question.key(key, os.Stdout); end {
			t.answered(ok)
		}
	}
	if t.question != nil && t.ended {
		t.answered(false)
	}
	t.typed.Broadcast()
}

// Read gives readline its input.
func (t *terminal) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.older == 0 && (t.dealing || t.question != nil || len(t.input) == 0) {
		if t.ended && len(t.input) == 0 {
			return 0, io.EOF
		}
		t.typed.Wait()
	}
	n := len(t.input)
	if t.older > 0 {
		n = t.older
	}
	n = copy(p, t.input[:n])
	t.input, t.older = t.input[n:], max(0, t.older-n)
	return n, nil
}

// Close gives the terminal back as it was. It does not wait for ReadLine, as
// readline's own Close does.
func (t *terminal) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mode.Exit()
}

func (t *terminal) setFinished(finished bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = finished
}

// finishing notes keys that may finish a line, before readline acts on them.
func (t *terminal) finishing(key rune) (rune, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch key {
	case readline.CharCtrlZ:
		t.suspend()
		return key, false
	case readline.CharInterrupt:
		// Readline would close the list of completions and keep the line.
		t.rl.Operation.ExitCompleteMode(true)
	}
	switch key {
	case readline.CharEnter, readline.CharCtrlJ, readline.CharInterrupt, readline.CharDelete:
		t.finished = true
	default:
		t.finished = false
	}
	return key, true
}

// stayRaw keeps readline from leaving raw mode between lines, where the kernel
// would echo what is typed, hold it until the line ends, and act on Ctrl-C.
func stayRaw() error { return nil }

// suspend stops the process as Ctrl-Z does outside raw mode, and comes back when
// it is continued, or at once where nobody could continue it.
func (t *terminal) suspend() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	t.rl.Clean()
	_ = t.mode.Exit()
	_ = syscall.Kill(0, syscall.SIGTSTP)
	select {
	case <-continued:
	case <-time.After(100 * time.Millisecond):
	}
	_ = t.mode.Enter()
}

func (t *terminal) wantRaw() error {
	if t.raw++; t.raw > 1 {
		return nil
	}
	return t.mode.Enter()
}

func (t *terminal) unwantRaw() error {
	if t.raw--; t.raw > 0 {
		return nil
	}
	return t.mode.Exit()
}

// editing reports whether readline shows a line. Readline draws one before it
// says that it reads, and stops saying so before it acts on the key that
// finishes it; each lasts for microseconds only, in which nothing can be told
// of the screen, so they are waited for.
func (t *terminal) editing() bool {
	for t.rl != nil && !t.finished && !t.rl.Terminal.IsReading() {
		t.mu.Unlock()
		runtime.Gosched()
		t.mu.Lock()
	}
	return t.rl != nil && !t.finished
}

// drawing is where readline draws.
type drawing struct{ t *terminal }

func (d drawing) Write(p []byte) (int, error) {
	if d.t.asking.Load() {
		return len(p), nil
	}
	return os.Stdout.Write(p)
}

// above writes above the line being typed.
type above struct {
	t *terminal
	w io.Writer
}

func (a above) Write(p []byte) (int, error) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	switch {
	case a.t.question != nil:
		a.t.question.erase(os.Stdout)
		defer a.t.question.draw(os.Stdout)
	case a.t.editing():
		a.t.rl.Clean()
		defer a.t.rl.Refresh()
	}
	return a.w.Write(p)
}
