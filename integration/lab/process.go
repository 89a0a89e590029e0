package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is a program that runs on a host.
type Process struct {
	// Started is the moment just before the program was executed.
	Started time.Time
	// Log is the file with its output.
	Log string

	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start runs a program on the host, its output in a log file. It is killed
// with the host, at the latest.
func (h *Host) Start(cmd *exec.Cmd) (*Process, error) {
	name := filepath.Base(cmd.Path)
	out, err := os.OpenFile(filepath.Join(h.dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	defer out.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = out
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	// Only a program that reads the terminal is meant by its Ctrl-C.
	cmd.SysProcAttr.Setpgid = cmd.Stdin == nil

	p := &Process{cmd: cmd, done: make(chan struct{}), Log: out.Name()}
	err = h.Do(func() error {
		p.Started = time.Now()
		return cmd.Start()
	})
	if err != nil {
		return nil, fmt.Errorf("cannot start %s on %s: %w", name, h.Name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	h.mu.Lock()
	h.processes = append(h.processes, p)
	h.mu.Unlock()
	return p, nil
}

// Output runs a program on the host to its end and returns what it printed
// on its standard output.
func (h *Host) Output(cmd *exec.Cmd) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	p, err := h.Start(cmd)
	if err != nil {
		return nil, err
	}
	<-p.done
	if p.err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), p.err, errs.Bytes())
	}
	return out.Bytes(), nil
}

// Pid is the program's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal to the program; one that has ended does not mind.
func (p *Process) Signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// Kill ends the program at once.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop asks the program to end and waits for it up to the deadline. It
// returns the program's exit status as exec.Cmd.Wait does.
func (p *Process) Stop(deadline time.Duration) error {
	p.Signal(syscall.SIGTERM)
	return p.Wait(deadline)
}

// Wait waits for the program to end by itself. One that does not is killed,
// and that is an error.
func (p *Process) Wait(deadline time.Duration) error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(deadline):
		p.Kill()
		return fmt.Errorf("%s did not end within %v", filepath.Base(p.cmd.Path), deadline)
	}
}
