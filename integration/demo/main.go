package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"net.connman/integration/home"
	"net.connman/integration/lab"
)

func main() {
	run := demo
	if os.Geteuid() != 0 {
		run = enterUserNamespace
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// enterUserNamespace runs the demo again, as root of a user namespace.
func enterUserNamespace() error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	// Ctrl-C is for the one inside.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	err := cmd.Run()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("this kernel doesn't let ordinary users make a private network (%w); run it as root: sudo make demo", err)
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		os.Exit(1) // it has said why
	}
	return err
}

func demo() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()

	h, err := home.New(l, 1, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	fmt.Println("A private world: a machine with a network socket, a home router, a cable.")
	daemon, err := goOnline(ctx, h)
	if err != nil {
		return err
	}
	if err := talk(ctx, h); err != nil {
		return err
	}
	return daemon.Stop(10 * time.Second)
}

// goOnline starts connmand, plugs the cable in, and tells what happens until
// the machine is online.
func goOnline(ctx context.Context, h *home.Home) (*lab.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	recorder, err := h.Bus.Record()
	if err != nil {
		return nil, err
	}
	defer recorder.Close()

	daemon, err := lab.Ours().Run(h.Machine, h.Bus)
	if err != nil {
		return nil, err
	}
	s := &story{out: os.Stdout, began: daemon.Started}
	s.tell(daemon.Started, "connmand starts")
	if err := h.Bus.WaitName(ctx, "net.connman", true); err != nil {
		return nil, blame(daemon, fmt.Errorf("connmand does not come up: %w", err))
	}
	plugged := time.Now()
	if err := h.Plug(); err != nil {
		return nil, err
	}
	s.plugged = plugged
	if err := s.follow(ctx, recorder); err != nil {
		return nil, blame(daemon, fmt.Errorf("the machine does not come online: %w", err))
	}
	return daemon, nil
}

// blame adds what the daemon had to say to an error.
func blame(daemon *lab.Process, err error) error {
	log, _ := os.ReadFile(daemon.Log)
	return fmt.Errorf("%w\n%s", err, log)
}

// talk hands over to connmanctl, or lets it say what there is.
func talk(ctx context.Context, h *home.Home) error {
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err != nil {
		for _, command := range []string{"state", "technologies", "services"} {
			fmt.Printf("\n$ connmanctl %s\n", command)
			if err := connmanctl(ctx, h, nil, command); err != nil {
				return err
			}
		}
		return nil
	}
	if err := startVPNs(ctx, h); err != nil {
		return err
	}
	fmt.Println("\nThis is connmanctl, inside. Try services, technologies, state; quit leaves.")
	return connmanctl(ctx, h, os.Stdin)
}

// startVPNs starts the daemon of VPNs, which an installed bus would start as soon as
// the prompt asks what there is to complete.
func startVPNs(ctx context.Context, h *home.Home) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := h.Machine.Start(inside(h, "connman-vpnd", "-n")); err != nil {
		return err
	}
	return h.Bus.WaitName(ctx, "net.connman.vpn", true)
}

// inside is a program of ours that uses the machine's bus.
func inside(h *home.Home, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(filepath.Dir(lab.Ours().Path), program), args...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+h.Bus.Address)
	return cmd
}

func connmanctl(ctx context.Context, h *home.Home, in *os.File, args ...string) error {
	cmd := inside(h, "connmanctl", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if in != nil {
		cmd.Stdin = in
	}
	client, err := h.Machine.Start(cmd)
	if err != nil {
		return err
	}
	select {
	case <-client.Done():
		return client.Wait(time.Second)
	case <-interrupted(ctx, in):
		client.Kill()
		return ctx.Err()
	}
}

// interrupted is the end of ctx; but an interactive client deals with Ctrl-C
// itself.
func interrupted(ctx context.Context, in *os.File) <-chan struct{} {
	if in != nil {
		return nil
	}
	return ctx.Done()
}
