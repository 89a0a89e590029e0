package background

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// readyVariable tells a daemon started in the background that its starter
// waits, on file descriptor 3, for a byte that says it serves its callers.
const readyVariable = "CONNMAND_STARTED_IN_BACKGROUND"

// Start starts the same command line again, in the background and in a
// session of its own, and returns when that serves its callers or has failed. The
// error is a [FailedStatus] if the daemon has said why. A Go program cannot fork:
// its threads would be left behind.
func Start() error {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot start in the background: %w", err)
	}
	defer ours.Close()
	daemon, err := os.StartProcess("/proc/self/exe", append(os.Args, "--nodaemon"), &os.ProcAttr{
		Env:   append(os.Environ(), readyVariable+"=1"),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, theirs},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	theirs.Close()
	if err != nil {
		return fmt.Errorf("cannot start in the background: %w", err)
	}
	switch _, err := ours.Read(make([]byte, 1)); {
	case errors.Is(err, io.EOF):
		return ended(daemon)
	case err != nil:
		return fmt.Errorf("cannot wait for the daemon: %w", err)
	}
	return nil
}

// FailedStatus is the exit status of a daemon that has said itself why it
// failed: its starter passes it on and adds nothing.
type FailedStatus int

func (s FailedStatus) Error() string { return fmt.Sprintf("the daemon ended with status %d", int(s)) }

// ended says how a daemon that never served anybody ended.
func ended(daemon *os.Process) error {
	state, err := daemon.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("the daemon ended at once: %w", err)
	case state.ExitCode() <= 0: // told to end, or by a signal
		return fmt.Errorf("the daemon ended at once: %v", state)
	}
	return FailedStatus(state.ExitCode())
}

// Inside reports whether [Start] started this process.
func Inside() bool { return os.Getenv(readyVariable) != "" }

// Detach tells the starter that all is well and lets go of its terminal.
func Detach() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return err
		}
	}
	starter := os.NewFile(3, "starter")
	defer starter.Close()
	_, err = starter.Write([]byte{1})
	return err
}
