package proc_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
	"net.connman/pkg/proc"
)

const deadline = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv("PROC_TEST_PARENT") != "" {
		parent()
		return
	}
	goleak.VerifyTestMain(m)
}

// world is a loop with a Starter, and what the children's log holds.
type world struct {
	t     *testing.T
	loop  *loop.Loop
	procs *proc.Starter
	log   *logBuffer
}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, log: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.loop = loop.New(log)
	w.procs = proc.New(w.loop, log)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { w.loop.Run(ctx); close(ended) }()
	t.Cleanup(func() { w.procs.Close(); cancel(); <-ended; w.loop.Wait() })
	return w
}

// child is a child that the test watches.
type child struct {
	*proc.Process
	world *world
	lines chan string
	ended chan proc.Exit
}

func (w *world) start(spec proc.Spec) *child {
	c := &child{world: w, lines: make(chan string, 10000), ended: make(chan proc.Exit, 1)}
	started := make(chan struct{})
	w.loop.Post("start", func() {
		c.Process = w.procs.Start(spec, proc.Handler{
			Output: func(line string) { c.lines <- line },
			Ended:  func(e proc.Exit) { close(c.lines); c.ended <- e },
		})
		close(started)
	})
	<-started
	return c
}

func (w *world) sh(script string) *child {
	return w.start(proc.Spec{Program: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}})
}

func (c *child) do(fn func()) { c.world.loop.Post("test", fn) }

func (c *child) line() string {
	c.world.t.Helper()
	select {
	case l := <-c.lines:
		return l
	case <-time.After(deadline):
		c.world.t.Fatal("the child says nothing")
		return ""
	}
}

func (c *child) wait() proc.Exit {
	c.world.t.Helper()
	select {
	case e := <-c.ended:
		return e
	case <-time.After(deadline):
		c.world.t.Fatal("the child does not end")
		return proc.Exit{}
	}
}

func (c *child) rest() []string {
	var lines []string
	for l := range c.lines {
		lines = append(lines, l)
	}
	return lines
}

func TestExit(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct{ script, want string }{
		{"exit 0", "exit status 0"},
		{"exit 7", "exit status 7"},
		{"kill -9 $$", "killed by signal: killed"},
	} {
		if got := w.sh(test.script).wait(); got.String() != test.want {
			t.Errorf("%q: %v, want %s", test.script, got, test.want)
		}
	}
	got := w.start(proc.Spec{Program: "/nonexistent/program"}).wait()
	if got.Err == nil || !strings.Contains(got.String(), "cannot start /nonexistent/program") {
		t.Errorf("a program that isn't there: %v", got)
	}
	got = w.start(proc.Spec{Program: "/bin/true", Identity: proc.Identity{User: "no such user"}}).wait()
	if got.Err == nil || !strings.Contains(got.String(), "no such user") {
		t.Errorf("a user who isn't there: %v", got)
	}
}

// A child gets what its Spec says and nothing else.
func TestChildHasItsOwn(t *testing.T) {
	t.Setenv("OURS", "1")
	w := newWorld(t)
	private := filepath.Join(t.TempDir(), "private")
	c := w.start(proc.Spec{
		Program: "/bin/sh",
		Args: []string{"-c", `env | grep -v -e ^PWD= -e ^SHLVL= -e ^_=; pwd; stat -c %a "$1" "$1/conf"; cat "$1/conf"; cat; cat $2 $2 $3
			ls /proc/self/fd | tr '\n' ' '; echo; ps -o pgid= -p $$ | tr -d ' '; echo $$`,
			"sh", private, proc.SecretPath(0), proc.SecretPath(1)},
		Env:     []string{"PATH=/usr/bin:/bin", "A=b c"},
		Private: private,
		Files:   map[string]string{"conf": "port 1\n"},
		Secrets: []logx.Secret{"first-secret\n", "second-secret\n"},
	})
	c.wait()
	lines := c.rest()
	if len(lines) < 12 {
		t.Fatalf("the child says %q", lines)
	}
	got := strings.Join(lines[:len(lines)-3], "|")
	want := "A=b c|PATH=/usr/bin:/bin|/|700|600|port 1|first-secret|first-secret|second-secret"
	if got != want && got != strings.Replace(want, "A=b c|PATH=/usr/bin:/bin", "PATH=/usr/bin:/bin|A=b c", 1) {
		t.Errorf("the child says\n%s, want\n%s", got, want)
	}
	if fds := lines[len(lines)-3]; fds != "0 1 2 3 4 5 " { // 5 is the directory that ls reads
		t.Errorf("the child has the descriptors %s", fds)
	}
	if lines[len(lines)-2] != lines[len(lines)-1] {
		t.Errorf("the child %s is of the group %s", lines[len(lines)-1], lines[len(lines)-2])
	}
	if log := w.log.String(); strings.Contains(log, "-secret") {
		t.Errorf("a secret is in the log: %s", log)
	}
	if _, err := os.Stat(private); !os.IsNotExist(err) {
		t.Errorf("the private directory is still there: %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"program": 0o755, "text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", "relative:"+dir)
	if path, err := proc.Find("program"); err != nil || path != filepath.Join(dir, "program") {
		t.Errorf("%s, %v", path, err)
	}
	for _, name := range []string{"text", "no-such-program"} {
		if path, err := proc.Find(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %s, %v", name, path, err)
		}
	}
}

// What Prepare makes is there for the child; its error is the child's.
func TestPrepare(t *testing.T) {
	w := newWorld(t)
	private := filepath.Join(t.TempDir(), "private")
	spec := proc.Spec{
		Program: "/bin/cat", Args: []string{filepath.Join(private, "made")}, Private: private,
		Prepare: func() error { return os.WriteFile(filepath.Join(private, "made"), []byte("here\n"), 0o600) },
	}
	c := w.start(spec)
	if got := c.line(); got != "here" {
		t.Error(got)
	}
	c.wait()
	spec.Prepare = func() error { return fmt.Errorf("no luck") }
	if got := w.start(spec).wait(); got.Err == nil || !strings.Contains(got.String(), "no luck") {
		t.Error(got)
	}
	if _, err := os.Stat(private); !os.IsNotExist(err) {
		t.Errorf("the private directory is still there: %v", err)
	}
}

func TestInput(t *testing.T) {
	w := newWorld(t)
	c := w.start(proc.Spec{Program: "/bin/sh", Args: []string{"-c", `printf 'Password: '; read p; echo "$p"; cat`}, Input: true})
	if got := c.line(); got != "Password: " {
		t.Errorf("the prompt is %q", got)
	}
	c.do(func() { c.Send("geheim\n") })
	if got := c.line(); got != "geheim" {
		t.Errorf("the child read %q", got)
	}
	c.do(func() { c.Send("a\n"); c.Send("b\n"); c.CloseInput() })
	if got := c.wait(); got.String() != "exit status 0" {
		t.Error(got)
	}
	if got := strings.Join(c.rest(), "|"); got != "a|b" {
		t.Errorf("the child read %q", got)
	}
	if log := w.log.String(); strings.Contains(log, "geheim") || !strings.Contains(log, "****") {
		t.Errorf("log: %s", log)
	}
}

// Nobody reads what is sent, and nobody is held up.
func TestInputNotRead(t *testing.T) {
	w := newWorld(t)
	c := w.start(proc.Spec{Program: "/bin/sleep", Args: []string{"600"}, Input: true})
	c.do(func() {
		for range 100 {
			c.Send(logx.Secret(strings.Repeat("x", 10_000)))
		}
		c.Stop()
	})
	if got := c.wait(); got.Signal != syscall.SIGTERM {
		t.Error(got)
	}
}

func TestStop(t *testing.T) {
	w := newWorld(t)
	c := w.sh("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
	c.line()
	c.do(func() { c.Stop(); c.Stop() })
	if got := c.wait(); got.Code != 3 {
		t.Error(got)
	}
	if got := c.rest(); len(got) != 1 || got[0] != "bye" {
		t.Errorf("it said %q", got)
	}
}

// A child that is told to end before it began still ends, and is told of.
func TestStopAtOnce(t *testing.T) {
	w := newWorld(t)
	ended := make(chan proc.Exit, 1)
	w.loop.Post("start", func() {
		w.procs.Start(proc.Spec{Program: "/bin/sleep", Args: []string{"600"}}, proc.Handler{Ended: func(e proc.Exit) { ended <- e }}).Stop()
	})
	select {
	case e := <-ended:
		if e.Signal != syscall.SIGTERM {
			t.Error(e)
		}
	case <-time.After(deadline):
		t.Fatal("it does not end")
	}
}

// What does not listen is killed, and so is what it started.
func TestStopTheDeaf(t *testing.T) {
	for name, script := range map[string]string{
		"ignores":   `trap '' TERM; sleep 600 & echo $! $$; while :; do wait; done`,
		"suspended": `sleep 600 & echo $! $$; kill -STOP $$`,
		"left":      `trap '' TERM; sleep 600 & echo $! $$; trap 'exit 0' TERM; while :; do sleep 0.05; done`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.start(proc.Spec{
				Program: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Grace: 300 * time.Millisecond,
			})
			pids := strings.Fields(c.line())
			c.do(c.Stop)
			c.wait()
			for _, pid := range pids {
				n, err := strconv.Atoi(pid)
				if err != nil {
					t.Fatal(err)
				}
				if err := syscall.Kill(n, 0); err == nil && proc.Family(n, n) && !zombie(n) {
					t.Errorf("process %d of %v is still there", n, pids)
				}
			}
		})
	}
}

// zombie reports whether pid has ended and only waits for whoever adopted it.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestFlood(t *testing.T) {
	w := newWorld(t)
	c := w.sh("yes 'a line of some length that nobody wants to read' | head -c 600000; echo")
	c.wait()
	lines := len(c.rest())
	if lines == 0 || lines > 1000 {
		t.Errorf("%d lines were told", lines)
	}
	if log := w.log.String(); !strings.Contains(log, "lines_left_out=") || len(log) > 200_000 {
		t.Errorf("the log has %d bytes: %.1000s", len(log), log)
	}
}

func TestStrangeOutput(t *testing.T) {
	w := newWorld(t)
	c := w.sh(`printf '\377\376 a\033[31m\r\n\n'; head -c 10000 /dev/zero | tr '\0' x; echo; printf tail`)
	c.wait()
	lines := c.rest()
	if len(lines) != 3 || lines[0] != "\uFFFD a\033[31m" || len(lines[1]) != proc.MaxLine || lines[2] != "tail" {
		t.Errorf("lines: %.100q", lines)
	}
	if strings.Contains(w.log.String(), "\033") {
		t.Error("the log has an escape sequence")
	}
}

// Who keeps the pipe open outside the group holds nothing up.
func TestEscapedGrandchild(t *testing.T) {
	w := newWorld(t)
	c := w.sh("setsid sleep 20 & echo $!")
	pid, err := strconv.Atoi(c.line())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	began := time.Now()
	c.wait()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

// The kernel kills the children of a daemon that is killed.
func TestParentKilled(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROC_TEST_PARENT=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for end := time.Now().Add(deadline); syscall.Kill(pid, 0) == nil && !zombie(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the child outlives its parent")
		}
	}
}

// parent is a daemon with a child, that waits to be killed.
func parent() {
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	l.Post("start", func() {
		proc.New(l, log).Start(proc.Spec{Program: "/bin/sh", Args: []string{"-c", "echo $$; exec sleep 600"}}, proc.Handler{
			Output: func(line string) { fmt.Println(line) },
		})
	})
	l.Run(context.Background())
}

func TestCloseKills(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	ctx, cancel := context.WithCancel(context.Background())
	procs := proc.New(l, log)
	pid := 0
	l.Post("start", func() {
		procs.Start(proc.Spec{Program: "/bin/sh", Args: []string{"-c", "echo $$; exec sleep 600"}}, proc.Handler{
			Output: func(line string) { pid, _ = strconv.Atoi(line); cancel() },
		})
	})
	l.Run(ctx)
	procs.Close()
	for end := time.Now().Add(deadline); syscall.Kill(pid, 0) == nil && !zombie(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the child outlives Close")
		}
	}
}

func TestFamily(t *testing.T) {
	w := newWorld(t)
	c := w.sh("echo $$; setsid sh -c 'echo $$; exec sleep 600' & sleep 600 & echo $!; wait")
	var pids []int
	for range 3 {
		pid, err := strconv.Atoi(c.line())
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
		defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	}
	child := make(chan int)
	c.do(func() { child <- c.PID() })
	leader := <-child
	for _, pid := range pids {
		if !proc.Family(pid, leader) {
			t.Errorf("%d is not of the family of %d", pid, leader)
		}
	}
	for _, pid := range []int{0, 1, -1, os.Getpid(), 1 << 30} {
		if proc.Family(pid, leader) {
			t.Errorf("%d is of the family of %d", pid, leader)
		}
	}
	if proc.Family(leader, 0) || proc.Family(0, 0) || proc.Family(leader, 1) {
		t.Error("nobody's family has members")
	}
	c.do(c.Stop)
	c.wait()
}
