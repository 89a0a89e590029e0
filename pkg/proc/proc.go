package proc

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
)

// Starter starts children. They die with it.
type Starter struct {
	loop    *loop.Loop
	log     *slog.Logger
	launch  chan launch
	closed  chan struct{}
	running bool
}

// launch is a command on its way to the thread that starts it.
type launch struct {
	cmd    *exec.Cmd
	result chan error
}

// New returns a Starter whose children write to log.
func New(l *loop.Loop, log *slog.Logger) *Starter {
	return &Starter{loop: l, log: log, launch: make(chan launch), closed: make(chan struct{})}
}

// Close kills the children that are left, and starts no more. Call it from the
// loop or after the loop's Run. No handler is called any more.
func (s *Starter) Close() { close(s.closed) }

// serve is the thread that all children belong to: the kernel kills them when
// it ends (PR_SET_PDEATHSIG of prctl(2) means the thread, not the process).
func (s *Starter) serve() {
	runtime.LockOSThread() // never unlocked, so that the thread ends with the goroutine
	// What we inherited is not the children's.
	if err := unix.CloseRange(firstSecret, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		s.log.Warn("children may inherit files", "why", err)
	}
	for {
		select {
		case l := <-s.launch:
			l.result <- l.cmd.Start()
		case <-s.closed:
			return
		}
	}
}

func (s *Starter) start(cmd *exec.Cmd) error {
	l := launch{cmd, make(chan error, 1)}
	select {
	case s.launch <- l:
		return <-l.result
	case <-s.closed:
		return errors.New("the daemon is ending")
	}
}

// Handler is what a child's life means to who started it. All functions may be
// nil and are called on the loop.
type Handler struct {
	// Started says that the child runs.
	Started func()
	// Output gets what the child writes, a line at a time, as valid UTF-8, cut at
	// MaxLine bytes. A prompt, which is a line without an end, comes when nothing
	// has followed it for a while. Of a flood there are gaps.
	Output func(line string)
	// Ended is called once, after the last Output, when nothing of the child is
	// left.
	Ended func(Exit)
}

// Exit says how a child ended.
type Exit struct {
	Err    error          // it could not be started
	Code   int            // its exit status, if it ended by itself
	Signal syscall.Signal // what killed it, 0 if nothing did
}

// String says it for the log.
func (e Exit) String() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case e.Signal != 0:
		return "killed by signal: " + e.Signal.String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Process is a child.
type Process struct {
	starter *Starter
	spec    Spec
	handler Handler
	log     *slog.Logger

	// Owned by the loop.
	os       *os.Process // nil before it runs and when it has ended
	uid      uint32
	stopping bool
	kill     *loop.Timer
	input    *input
	secrets  []string

	scrub atomic.Pointer[strings.Replacer] // hides the secrets in what it writes
}

// Start has a child started. Whether that worked is told by h.Ended.
func (s *Starter) Start(spec Spec, h Handler) *Process {
	if !s.running {
		s.running = true
		go s.serve()
	}
	p := &Process{starter: s, spec: spec, handler: h, log: s.log.With("program", filepath.Base(spec.Program))}
	if spec.Input {
		p.input = newInput()
	}
	p.Hide(spec.Secrets...)
	go p.run()
	return p
}

// Hide keeps secrets out of the log should the child write them: those in the
// Spec and those sent are hidden without being told.
func (p *Process) Hide(secrets ...logx.Secret) {
	const shortest = 4 // shorter ones are in every other line
	for _, s := range secrets {
		if text := strings.TrimSpace(s.Reveal()); len(text) >= shortest {
			p.secrets = append(p.secrets, text, s.String())
		}
	}
	p.scrub.Store(strings.NewReplacer(p.secrets...))
}

// PID returns the child's process ID, 0 while it has none. It is good for
// showing and for comparing, not for signals.
func (p *Process) PID() int {
	if p.os == nil {
		return 0
	}
	return p.os.Pid
}

// UID returns the user that the child was started as; it means nothing while
// PID is 0.
func (p *Process) UID() uint32 { return p.uid }

// Send writes text to the child's standard input, behind what was sent before.
func (p *Process) Send(text logx.Secret) {
	p.Hide(text)
	p.input.send(text)
}

// CloseInput ends the child's standard input behind what was sent.
func (p *Process) CloseInput() { p.input.close() }

// Stop tells the child to end, and kills it if it does not. Ended follows.
func (p *Process) Stop() {
	if p.stopping {
		return
	}
	p.stopping = true
	if p.os != nil {
		p.terminate()
	}
}

func (p *Process) terminate() {
	grace := p.spec.Grace
	if grace == 0 {
		grace = DefaultGrace
	}
	_ = p.os.Signal(syscall.SIGTERM) // it may have ended meanwhile
	p.kill = p.starter.loop.After("child", grace, func() {
		p.log.Warn("the program does not end: killing it", "pid", p.os.Pid)
		_ = p.os.Kill()
	})
}
