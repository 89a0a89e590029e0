package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"net.connman/connmanctl/internal/lab"
)

// selfVariable makes the test's own binary run as the client.
const selfVariable = "CONNMANCTL_UNDER_TEST"

// patience bounds every wait for something that should come at once.
const patience = 20 * time.Second

// stateHome is where clients under test keep their history.
var stateHome string

func TestMain(m *testing.M) {
	if os.Getenv(selfVariable) != "" {
		main()
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if stateHome, err = os.MkdirTemp("", "connmanctl"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(stateHome)
	return m.Run()
}

// client returns our client with its arguments, ready to run on a bus.
func client(ctx context.Context, bus *lab.Bus, args ...string) *exec.Cmd {
	return program(ctx, bus, os.Args[0], args...)
}

func program(ctx context.Context, bus *lab.Bus, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(),
		selfVariable+"=1",
		"DBUS_SYSTEM_BUS_ADDRESS="+bus.Address,
		"GORACE=atexit_sleep_ms=0",
		"TERM=dumb",
		"XDG_STATE_HOME="+stateHome,
		"LC_ALL=C.UTF-8",
	)
	return cmd
}

// outcome is what a client's run led to.
type outcome struct {
	Stdout, Stderr string
	Calls          []string // as the daemons saw them
	status         int
}

// finish runs cmd to its end.
func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{Stdout: stdout.String(), Stderr: stderr.String(), status: cmd.ProcessState.ExitCode()}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
