package proc

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/pkg/logx"
)

// run is a child's whole life, in a goroutine of its own.
func (p *Process) run() {
	exit := p.live()
	if p.spec.Private != "" {
		if err := os.RemoveAll(p.spec.Private); err != nil {
			p.log.Error("cannot remove what a program leaves", "why", err)
		}
	}
	p.starter.loop.Post("child", func() {
		p.os = nil
		p.kill.Stop()
		p.input.close()
		if p.handler.Ended != nil {
			p.handler.Ended(exit)
		}
	})
}

func (p *Process) live() Exit {
	cmd, out, err := p.begin()
	if err != nil {
		return Exit{Err: fmt.Errorf("cannot start %s: %w", p.spec.Program, err)}
	}
	defer out.Close()
	uid := uint32(os.Geteuid())
	if c := cmd.SysProcAttr.Credential; c != nil {
		uid = c.Uid
	}
	p.starter.loop.Post("child", func() {
		p.os, p.uid = cmd.Process, uid
		if p.handler.Started != nil {
			p.handler.Started()
		}
		if p.stopping {
			p.terminate()
		}
	})
	read := make(chan struct{})
	go func() { p.readOutput(out); close(read) }()
	exit := await(cmd)
	select {
	case <-read:
	case <-time.After(drainTime): // somebody outside the group has the pipe
		out.Close()
		<-read
	}
	return exit
}

// drainTime is how long what is still in the pipe is read after the end.
const drainTime = 2 * time.Second

// await waits until cmd and its group have ended. The child stays a zombie until
// the last of the group is gone: so long its number stands for nothing else.
func await(cmd *exec.Cmd) Exit {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	endGroup(cmd.Process.Pid)
	err := cmd.Wait()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		return Exit{Err: fmt.Errorf("cannot wait for %s: %w", cmd.Path, err)}
	}
	state := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if state.Signaled() {
		return Exit{Signal: state.Signal()}
	}
	return Exit{Code: state.ExitStatus()}
}

// begin starts the child and returns where to read what it writes.
func (p *Process) begin() (*exec.Cmd, *os.File, error) {
	credential, err := p.spec.Identity.credential()
	if err != nil {
		return nil, nil, err
	}
	if err := p.makePrivate(credential); err != nil {
		return nil, nil, err
	}
	if p.spec.Prepare != nil {
		if err := p.spec.Prepare(); err != nil {
			return nil, nil, err
		}
	}
	cmd := exec.Command(p.spec.Program, p.spec.Args...)
	cmd.Env = append([]string{}, p.spec.Env...) // nil would mean ours
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: credential}
	var theirs []*os.File // the child's ends
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	for n, secret := range p.spec.Secrets {
		f, err := memory("secret"+strconv.Itoa(n), secret)
		if err != nil {
			return nil, nil, err
		}
		theirs = append(theirs, f)
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	if p.input != nil {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, nil, err
		}
		theirs = append(theirs, read)
		cmd.Stdin = read
		go p.input.feed(write)
	}
	out, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	theirs = append(theirs, write)
	cmd.Stdout, cmd.Stderr = write, write
	if err := p.starter.start(cmd); err != nil {
		out.Close()
		return nil, nil, err
	}
	return cmd, out, nil
}

func (p *Process) makePrivate(credential *syscall.Credential) error {
	dir := p.spec.Private
	if dir == "" {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	own := func(string) error { return nil }
	if credential != nil {
		own = func(path string) error { return os.Lchown(path, int(credential.Uid), int(credential.Gid)) }
	}
	for name, text := range p.spec.Files {
		path := filepath.Join(dir, name)
		if err := cmp.Or(os.WriteFile(path, []byte(text), 0o600), own(path)); err != nil {
			return err
		}
	}
	return own(dir) // last: it is then the child's to change
}

// memory returns a file that holds secret, exists nowhere else and cannot be
// changed any more.
func memory(name string, secret logx.Secret) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.WriteString(secret.Reveal())
	if err == nil {
		_, err = f.Seek(0, 0)
	}
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot fill a file in memory: %w", err)
	}
	return f, nil
}
