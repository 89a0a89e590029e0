package task_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/task"
)

const deadline = 30 * time.Second

// notifyProgram is connman-vpn-notify, built for the tests.
var notifyProgram string

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		askBack()
		return
	}
	dir, err := os.MkdirTemp("", "task")
	if err != nil {
		panic(err)
	}
	notifyProgram = filepath.Join(dir, "connman-vpn-notify")
	if out, err := exec.Command("go", "build", "-o", notifyProgram, "net.connman/vpnd/cmd/connman-vpn-notify").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build connman-vpn-notify: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// world is a Runner on a bus, and what its tasks report.
type world struct {
	t       testing.TB
	bus     *bustest.Bus
	loop    *loop.Loop
	conn    *bus.Conn
	runner  *task.Runner
	dir     string
	reports chan report
	lines   chan string
	ended   chan proc.Exit
}

type report struct {
	reason string
	env    map[string]string
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, bus: bustest.Start(t), reports: make(chan report, 100), lines: make(chan string, 1000), ended: make(chan proc.Exit, 1)}
	t.Setenv(task.EnvBus, w.bus.Address)
	w.loop, w.conn = w.bus.Join(t)
	w.dir = filepath.Join(t.TempDir(), "tasks")
	if err := task.Clean(w.dir); err != nil {
		t.Fatal(err)
	}
	w.runner = task.New(w.loop, w.conn, logger(t), w.dir, notifyProgram)
	t.Cleanup(func() { bustest.Do(w.loop, w.runner.Close) })
	return w
}

func (w *world) handler() task.Handler {
	return task.Handler{
		Notify: func(reason string, env map[string]string) error {
			w.reports <- report{reason, env}
			if reason == "wrong" {
				return fmt.Errorf("no such reason")
			}
			return nil
		},
		Getsec: func(reply func(string, logx.Secret, error)) { reply("someone", "geheim", nil) },
		Output: func(line string) { w.lines <- line },
		Ended:  func(e proc.Exit) { w.ended <- e },
	}
}

// run runs a shell script as a task; $NOTIFY is the notify program.
func (w *world) run(script string, h task.Handler) *task.Task {
	var t *task.Task
	bustest.Do(w.loop, func() {
		t = w.runner.Task(h)
		t.Start(proc.Spec{
			Program: "/bin/sh", Args: []string{"-c", script},
			Env: append(t.Env(), "PATH=/usr/bin:/bin", "NOTIFY="+w.runner.NotifyProgram()),
		})
	})
	return t
}

func receive[T any](t testing.TB, from chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(deadline):
		t.Fatal("nothing happens")
		panic("unreachable")
	}
}

// value returns what an environment says of a name.
func value(env []string, name string) string {
	for _, variable := range env {
		if v, ok := strings.CutPrefix(variable, name+"="); ok {
			return v
		}
	}
	return ""
}

func TestScriptReports(t *testing.T) {
	w := newWorld(t)
	w.run(`script_type=up ifconfig_local='192.0.2.2; $(touch x)' $NOTIFY && echo taken
		(exec env -i DBUS_SYSTEM_BUS_ADDRESS="$DBUS_SYSTEM_BUS_ADDRESS" CONNMAN_BUSNAME=$CONNMAN_BUSNAME CONNMAN_INTERFACE=$CONNMAN_INTERFACE \
			CONNMAN_PATH=$CONNMAN_PATH CONNMAN_SECRET=$CONNMAN_SECRET CONNMAN_REASON=ip-up setsid $NOTIFY 3<&- 4<&-) && echo taken too
		reason=wrong $NOTIFY || echo refused
		reason=pre-init $NOTIFY && echo ignored`, w.handler())
	first := receive(t, w.reports)
	if first.reason != "up" || first.env["ifconfig_local"] != "192.0.2.2; $(touch x)" {
		t.Errorf("%+v", first)
	}
	for name := range first.env {
		if strings.HasPrefix(name, "CONNMAN_") {
			t.Errorf("the report has %s", name)
		}
	}
	if second := receive(t, w.reports); second.reason != "ip-up" || len(second.env) != 0 {
		t.Errorf("%+v", second)
	}
	if third := receive(t, w.reports); third.reason != "wrong" {
		t.Errorf("%+v", third)
	}
	if exit := receive(t, w.ended); exit.Code != 0 {
		t.Error(exit)
	}
	close(w.lines)
	var said []string
	for line := range w.lines {
		if !strings.HasPrefix(line, "connman-vpn-notify: ") {
			said = append(said, line)
		}
	}
	if got := strings.Join(said, "|"); got != "taken|taken too|refused|ignored" {
		t.Errorf("the script says %q", got)
	}
	if left, _ := os.ReadDir(w.dir); len(left) != 0 {
		t.Errorf("there is still %v", left)
	}
}

// notify calls a task's object from another connection.
func notify(from *bus.Conn, env []string, secret string) error {
	var entries []any
	if secret != "" {
		entries = append(entries, bus.Struct{task.EnvSecret, secret})
	}
	return reportTo(from, env, "up", append(entries, bus.Struct{"x", "y"}))
}

func reportTo(from *bus.Conn, env []string, reason string, entries []any) error {
	_, err := from.Wait(context.Background(), bus.MethodCall{
		Destination: value(env, task.EnvBusName), Path: bus.ObjectPath(value(env, task.EnvPath)),
		Interface: value(env, task.EnvInterface), Member: "notify",
		Args: []any{reason, bus.Array{Elem: "{ss}", Items: entries}},
	})
	return err
}

// silent is a fuzz test whose world may log while its target runs.
type silent struct{ testing.TB }

func (silent) Log(...any) {}

// FuzzNotify has a stranger report anything, with the secret that he has stolen or
// without. He hears that he may not, the program's handler hears nothing.
func FuzzNotify(f *testing.F) {
	f.Add("up", "ifconfig_local", "192.0.2.2", true, 1)
	f.Add("", task.EnvSecret, "", true, 0)
	f.Add("up", task.EnvSecret, "0", false, 100)
	f.Add("\xff\x00", "\x00", "\xff", true, 2)
	all := silent{f}
	w := newWorld(all)
	started := w.run("echo ready; exec sleep 600", w.handler())
	receive(all, w.lines)
	_, stranger := w.bus.Join(all)
	stolen, err := os.ReadFile(value(started.Env(), task.EnvSecret))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, reason, name, text string, knows bool, times int) {
		var entries []any
		if knows {
			entries = append(entries, bus.Struct{task.EnvSecret, string(stolen)})
		}
		for range min(max(times, 0), 1000) {
			entries = append(entries, bus.Struct{name, text})
		}
		if err := reportTo(stranger, started.Env(), reason, entries); !isDenied(err) {
			t.Errorf("answer %v", err)
		}
		if len(w.reports) != 0 {
			t.Errorf("taken: %v", <-w.reports)
		}
	})
}

func getsec(from *bus.Conn, env []string) ([]any, error) {
	return from.Wait(context.Background(), bus.MethodCall{
		Destination: value(env, task.EnvBusName), Path: bus.ObjectPath(value(env, task.EnvPath)),
		Interface: value(env, task.EnvInterface), Member: "getsec",
	})
}

// A process that the program has not started is refused, even when it has stolen
// the secret.
func TestStrangersAreRefused(t *testing.T) {
	w := newWorld(t)
	started := w.run("echo ready; exec sleep 600", w.handler())
	receive(t, w.lines)
	_, stranger := w.bus.Join(t)
	stolen, err := os.ReadFile(value(started.Env(), task.EnvSecret))
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{"none": "", "wrong": strings.Repeat("0", 32), "stolen": string(stolen)} {
		if err := notify(stranger, started.Env(), secret); !isDenied(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := getsec(stranger, started.Env()); !isDenied(err) {
		t.Errorf("getsec: %v", err)
	}
	xml, err := bus.Result[string](stranger.Wait(t.Context(), bus.MethodCall{
		Destination: w.conn.UniqueName(), Path: "/", Interface: "org.freedesktop.DBus.Introspectable", Member: "Introspect",
	}))
	if err != nil || strings.Contains(xml, "net") && strings.Contains(xml, `node name="net"`) {
		t.Errorf("the root says %q, %v", xml, err)
	}
	env := started.Env()
	bustest.Do(w.loop, started.Stop)
	receive(t, w.ended)
	if err := notify(stranger, env, string(stolen)); err == nil || isDenied(err) {
		t.Errorf("the object is still there: %v", err)
	}
	if len(w.reports) != 0 {
		t.Errorf("reports were taken: %v", <-w.reports)
	}
}

func isDenied(err error) bool {
	denied, ok := err.(*bus.Error)
	return ok && denied.Name == bus.ErrPermissionDenied.Name
}

// The secret of one task opens no other.
func TestSecretsAreDifferent(t *testing.T) {
	w := newWorld(t)
	h := w.handler()
	other := w.run("echo ready; exec sleep 600", h)
	receive(t, w.lines)
	w.run(`CONNMAN_PATH=`+value(other.Env(), task.EnvPath)+` reason=connect $NOTIFY || echo refused`, h)
	for line := receive(t, w.lines); line != "refused"; line = receive(t, w.lines) {
	}
	receive(t, w.ended)
	bustest.Do(w.loop, other.Stop)
	receive(t, w.ended)
}

// A child that talks to the bus by itself may ask back, once it has shown the
// secret.
func TestGetsec(t *testing.T) {
	w := newWorld(t)
	bustest.Do(w.loop, func() {
		child := w.runner.Task(w.handler())
		child.Start(proc.Spec{Program: os.Args[0], Env: append(child.Env(), childVariable+"=1")})
	})
	want := []string{
		"before: [] Permission denied",
		"after: [someone geheim] <nil>",
	}
	for _, line := range want {
		if got := receive(t, w.lines); got != line {
			t.Errorf("the child says %q, want %q", got, line)
		}
	}
	if r := receive(t, w.reports); r.reason != "up" || r.env["x"] != "y" || len(r.env) != 1 {
		t.Errorf("%+v", r)
	}
	receive(t, w.ended)
}

const childVariable = "TASK_TEST_CHILD"

// askBack is the program of TestGetsec.
func askBack() {
	l := loop.New(slog.New(slog.DiscardHandler))
	conn, err := bus.Dial(context.Background(), l, slog.New(slog.DiscardHandler), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	go l.Run(context.Background())
	env := os.Environ()
	values, err := getsec(conn, env)
	fmt.Println("before:", values, err)
	secret, _ := os.ReadFile(value(env, task.EnvSecret))
	if err := notify(conn, env, string(secret)); err != nil {
		fmt.Println(err)
	}
	values, err = getsec(conn, env)
	fmt.Println("after:", values, err)
}

func TestEnvHasNoSecrets(t *testing.T) {
	w := newWorld(t)
	started := w.run("echo ready; exec sleep 600", w.handler())
	receive(t, w.lines)
	secret, err := os.ReadFile(started.File("secret"))
	if err != nil || len(secret) < 32 {
		t.Fatalf("%q, %v", secret, err)
	}
	if env := strings.Join(started.Env(), " "); strings.Contains(env, string(secret)) {
		t.Error("the secret is in the environment")
	}
	bustest.Do(w.loop, started.Stop)
	receive(t, w.ended)
}

func TestClean(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "tasks")
	for range 2 {
		if err := task.Clean(dir); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%v, %v", left, err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "old", "older"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}
