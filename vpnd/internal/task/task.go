package task

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"

	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
	"net.connman/pkg/proc"
)

// The environment by which a script finds its task.
const (
	EnvBusName   = "CONNMAN_BUSNAME"   // the daemon's unique name
	EnvInterface = "CONNMAN_INTERFACE" // net.connman.Task
	EnvPath      = "CONNMAN_PATH"      // the task's object
	// EnvSecret names the file with the task's secret. In what notify is called
	// with, it is the secret itself.
	EnvSecret = "CONNMAN_SECRET"
	// EnvReason is the reason for programs that don't tell their scripts one.
	EnvReason = "CONNMAN_REASON"
	// EnvBus is where the bus is, if it is not where it usually is.
	EnvBus = "DBUS_SYSTEM_BUS_ADDRESS"
)

const (
	pathPrefix = "/net/connman/task/"
	secretFile = "secret"
)

// Runner runs tasks.
type Runner struct {
	loop   *loop.Loop
	conn   *bus.Conn
	log    *slog.Logger
	procs  *proc.Starter
	dir    string
	notify string
}

// New returns a Runner. The tasks' private directories are made in dir, which is
// below /run and which [Clean] has prepared; notify is the path of
// connman-vpn-notify.
func New(l *loop.Loop, conn *bus.Conn, log *slog.Logger, dir, notify string) *Runner {
	return &Runner{loop: l, conn: conn, log: log, procs: proc.New(l, log), dir: dir, notify: notify}
}

// Clean empties dir of what an earlier run of the daemon left, and makes it if
// it is not there. It is for the start of the daemon, before the loop runs.
func Clean(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot clear %s: %w", dir, err)
	}
	// Everybody may pass, so that children that are not root reach their own.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("cannot make the tasks' directory: %w", err)
	}
	return nil
}

// NotifyProgram is what programs run as their script.
func (r *Runner) NotifyProgram() string { return r.notify }

// Close kills the tasks that are left. No handler is called any more.
func (r *Runner) Close() { r.procs.Close() }

// Handler is what becomes of a task. All functions are called on the loop and
// may be nil.
type Handler struct {
	// Notify gets what a script of the child's reports: the reason and the
	// environment, at most 4 MiB in all and otherwise as hostile as its origin. An
	// error makes the script fail.
	Notify func(reason string, env map[string]string) error
	// Getsec is asked by a child for user and password. reply is to be called
	// once.
	Getsec func(reply func(user string, password logx.Secret, err error))
	// Output gets what the child writes; see [proc.Handler].
	Output func(line string)
	// Ended is the last that is heard of the task; nothing of it is left.
	Ended func(proc.Exit)
}

// Task is a program, and what its scripts report to.
type Task struct {
	runner  *Runner
	handler Handler
	id      string
	secret  logx.Secret
	process *proc.Process
	over    bool            // the program has ended
	early   []func()        // calls that came before we knew that the program runs
	trusted map[string]bool // connections that have shown the secret
}

// Task returns a task that does not run yet. Ended is only called once it was
// started.
func (r *Runner) Task(h Handler) *Task {
	return &Task{
		runner: r, handler: h,
		id: random(), secret: logx.Secret(random()),
		trusted: map[string]bool{},
	}
}

// random returns 128 random bits as text.
func random() string {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // never fails: crypto/rand
	return hex.EncodeToString(bits[:])
}

// Dir is the task's private directory. It exists while the child does, who owns
// it; sockets and such are made in it.
func (t *Task) Dir() string { return filepath.Join(t.runner.dir, t.id) }

// File is the path of a file of the task's private directory.
func (t *Task) File(name string) string { return filepath.Join(t.Dir(), name) }

// Env is what a script needs to report, as "NAME=value": for the child's
// environment, or for whatever the program makes its scripts' environment of.
// There are no secrets in it.
func (t *Task) Env() []string {
	env := []string{
		EnvBusName + "=" + t.runner.conn.UniqueName(),
		EnvInterface + "=" + connman.InterfaceTask,
		EnvPath + "=" + string(t.path()),
		EnvSecret + "=" + t.File(secretFile),
	}
	if address := os.Getenv(EnvBus); address != "" {
		env = append(env, EnvBus+"="+address)
	}
	return env
}

func (t *Task) path() bus.ObjectPath { return bus.ObjectPath(pathPrefix + t.id) }

// Start runs the program, at most once. The task decides on the private
// directory and puts spec's files there.
func (t *Task) Start(spec proc.Spec) {
	spec.Private = t.Dir()
	spec.Files = maps.Clone(spec.Files)
	if spec.Files == nil {
		spec.Files = map[string]string{}
	}
	spec.Files[secretFile] = t.secret.Reveal()
	if err := t.runner.conn.ExportHidden(t.path(), connman.ServeTask(server{t})); err != nil {
		t.runner.log.Error("scripts cannot report", "why", err)
	}
	t.process = t.runner.procs.Start(spec, proc.Handler{Started: t.hear, Output: t.handler.Output, Ended: t.ended})
	t.process.Hide(t.secret)
}

// hear goes on with the calls that came too early.
func (t *Task) hear() {
	early := t.early
	t.early = nil
	for _, call := range early {
		call()
	}
}

func (t *Task) ended(exit proc.Exit) {
	t.over = true
	t.hear()
	t.runner.conn.Unexport(t.path())
	if t.handler.Ended != nil {
		t.handler.Ended(exit)
	}
}

// Stop tells the program to end, and kills it if it does not. Ended follows.
func (t *Task) Stop() { t.process.Stop() }

// Send writes to the program's standard input, see [proc.Spec.Input].
func (t *Task) Send(text logx.Secret) { t.process.Send(text) }

// CloseInput ends the program's standard input behind what was sent.
func (t *Task) CloseInput() { t.process.CloseInput() }

// Hide keeps secrets out of the log that reach the program in other ways than by
// its Spec and Send.
func (t *Task) Hide(secrets ...logx.Secret) { t.process.Hide(secrets...) }

// accepts reports whether dict, of a notify, holds the task's secret.
func (t *Task) accepts(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(secret), []byte(t.secret.Reveal())) == 1
}
