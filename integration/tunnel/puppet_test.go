//go:build netns || vm

package tunnel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// A puppet is a program for tunnels that does what the test says, through a socket:
// the test's own program, started by the daemon under another name.

// puppetSocket is the environment in which a puppet finds its socket.
const puppetSocket = "TUNNEL_TEST_PUPPET"

// taskVariables name a program's task.
var taskVariables = []string{"CONNMAN_BUSNAME", "CONNMAN_INTERFACE", "CONNMAN_PATH", "CONNMAN_SECRET", "DBUS_SYSTEM_BUS_ADDRESS"}

// hello is what a puppet says first.
type hello struct {
	Pid  int
	Task map[string]string // of taskVariables
}

// order is what a puppet is to do.
type order struct {
	What string   // one of the orders below
	Env  [][]byte // more environment for the script
	Args int      // which of wrongCalls
	Text string
}

const (
	runScript = "run the script"
	callWrong = "call notify wrongly"
	callRight = "call notify with a text as IPv4 address"
	callGet   = "call getsec"
	floodWith = "write a text again and again, without an end"
	stayAlive = "take no hint to end"
)

// wrongCalls are arguments that notify doesn't have.
var wrongCalls = [][]any{
	{},
	{"connect"},
	{"connect", map[string]dbus.Variant{"INTERNAL_IP4_ADDRESS": dbus.MakeVariant("10.99.0.2")}},
	{uint32(7), map[string]string{}},
	{"connect", []string{"INTERNAL_IP4_ADDRESS", "10.99.0.2"}},
	{"connect", map[string]string{}, "more"},
	{map[string]string{}, "connect"},
	{"connect", map[string]map[string]string{"a": {"b": "c"}}},
	{"connect", dbus.MakeVariant(map[string]string{})},
}

// play is the puppet's life.
func play(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	h := hello{os.Getpid(), map[string]string{}}
	for _, name := range taskVariables {
		h.Task[name] = os.Getenv(name)
		// Openvpn is told its script's environment by its arguments.
		if i := slices.Index(os.Args, name); i > 0 && os.Args[i-1] == "--setenv" {
			h.Task[name] = os.Args[i+1]
		}
	}
	to, from := json.NewEncoder(conn), json.NewDecoder(conn)
	if err := to.Encode(h); err != nil {
		return err
	}
	for {
		var o order
		if err := from.Decode(&o); err != nil {
			return err
		}
		said := ""
		if err := h.do(o); err != nil {
			said = err.Error()
		}
		if err := to.Encode(said); err != nil {
			return err
		}
	}
}

func (h hello) do(o order) error {
	switch o.What {
	case runScript:
		cmd := exec.Command(script())
		for name, value := range h.Task {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		for _, variable := range o.Env {
			cmd.Env = append(cmd.Env, string(variable))
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %.1000s", err, out)
		}
		return nil
	case callWrong:
		return h.call("notify", wrongCalls[o.Args]...)
	case callRight:
		secret, err := os.ReadFile(h.Task["CONNMAN_SECRET"])
		if err != nil {
			return err
		}
		return h.call("notify", "connect", map[string]string{"CONNMAN_SECRET": string(secret), "INTERNAL_IP4_ADDRESS": o.Text})
	case callGet:
		return h.call("getsec")
	case floodWith:
		go func() {
			for {
				if _, err := io.WriteString(os.Stdout, o.Text); err != nil {
					return
				}
			}
		}()
		return nil
	case stayAlive:
		signal.Ignore(syscall.SIGTERM)
		return nil
	}
	return errors.New("no such order")
}

// script is the program that reports.
func script() string {
	for i, arg := range os.Args {
		switch arg {
		case "--script":
			return os.Args[i+1]
		case "--up":
			return strings.Trim(os.Args[i+1], `"`)
		}
		if file, ok := strings.CutPrefix(arg, "--config="); ok {
			options, _ := os.ReadFile(file) // it may be read once
			_, after, _ := strings.Cut(string(options), "script=")
			script, _, _ := strings.Cut(after, "\n")
			return script
		}
	}
	// Pppd is told in a file, which is beside the secret.
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(os.Getenv("CONNMAN_SECRET")), "*"))
	for _, file := range files {
		options, _ := os.ReadFile(file) // sockets cannot be read
		if _, after, ok := strings.Cut(string(options), "ip-up-script "); ok {
			script, _, _ := strings.Cut(after, "\n")
			return strings.Trim(script, `" `)
		}
	}
	return ""
}

// call calls the puppet's task over a connection of its own.
func (h hello) call(method string, args ...any) error { return callTask(h.Task, method, args...) }

func callTask(task map[string]string, method string, args ...any) error {
	conn, err := dbus.Connect(task["DBUS_SYSTEM_BUS_ADDRESS"])
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Object(task["CONNMAN_BUSNAME"], dbus.ObjectPath(task["CONNMAN_PATH"])).
		Call(task["CONNMAN_INTERFACE"]+"."+method, 0, args...).Err
}

// stage is where puppets appear.
type stage struct {
	t      *testing.T
	listen *net.UnixListener
}

// setStage has the machine's programs be puppets. It comes before the daemon.
func (w *world) setStage(t *testing.T, programs ...string) *stage {
	t.Helper()
	socket := w.machine.Path("/run/puppets")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	w.path = w.machine.Path("/run/bin")
	must(t, os.Mkdir(w.path, 0o755))
	self, err := os.Executable()
	must(t, err)
	for _, name := range programs {
		text := fmt.Sprintf("#!/bin/sh\nexport %s='%s'\nexec '%s' \"$@\"\n", puppetSocket, socket, self)
		must(t, os.WriteFile(filepath.Join(w.path, name), []byte(text), 0o755))
	}
	return &stage{t, listener}
}

// puppet is one that was started.
type puppet struct {
	hello
	t    *testing.T
	conn net.Conn
	to   *json.Encoder
	from *json.Decoder
}

// enter waits for the next puppet.
func (s *stage) enter() *puppet {
	s.t.Helper()
	must(s.t, s.listen.SetDeadline(time.Now().Add(patience)))
	conn, err := s.listen.Accept()
	must(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	p := &puppet{t: s.t, conn: conn, to: json.NewEncoder(conn), from: json.NewDecoder(conn)}
	must(s.t, conn.SetDeadline(time.Now().Add(10*patience)))
	must(s.t, p.from.Decode(&p.hello))
	return p
}

// ended is what a puppet says that the daemon has ended meanwhile.
const ended = "it has ended"

// obey has it do something and returns what went wrong, "" if nothing did.
func (p *puppet) obey(o order) string {
	p.t.Helper()
	var said string
	if p.to.Encode(o) != nil || p.from.Decode(&said) != nil {
		return ended
	}
	return said
}

// report has its script report with an environment.
func (p *puppet) report(environment ...string) string {
	p.t.Helper()
	o := order{What: runScript}
	for _, variable := range environment {
		o.Env = append(o.Env, []byte(variable))
	}
	return p.obey(o)
}
