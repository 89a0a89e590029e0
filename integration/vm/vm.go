package vm

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ShareDir is where the guest sees Guest.Share, and TempDir what it has for
// temporary files.
const (
	ShareDir = "/vm/share"
	TempDir  = "/vm/tmp"
)

const (
	memory     = 1536 // MiB
	processors = 2
	// killDelay is how long QEMU's output may stay open once it was killed.
	killDelay = 5 * time.Second
	// consoleTail is how much of the guest's console an error shows.
	consoleTail = 4 << 10
)

// Guest is one machine and what it runs.
type Guest struct {
	// Peers is the directory that integration/peers.sh filled.
	Peers string
	// Modules are kernel modules to load, with parameters as modprobe takes
	// them: "mac80211_hwsim radios=4".
	Modules []string
	// Command is the program to run and its arguments, Dir its working
	// directory, Env all of its environment. PATH and TMPDIR have defaults.
	Command []string
	Dir     string
	Env     []string
	// Share is a directory of the host's that the guest may write to, as
	// ShareDir; "": none.
	Share string
	// Output takes what the command writes to its standard output and error.
	Output io.Writer
}

// ExitError says that the command ran and ended with a status other than 0.
type ExitError struct{ Status int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Status) }

// Run starts the guest, runs its command and returns when the guest is gone. The
// error is an *ExitError when the command failed, and another when the guest
// did, or had not ended when ctx did.
func Run(ctx context.Context, g Guest) error {
	dir, err := os.MkdirTemp("", "vm-")
	if err != nil {
		return fmt.Errorf("cannot start guest: %w", err)
	}
	defer os.RemoveAll(dir)
	control := filepath.Join(dir, "control")
	if err := g.prepare(dir, control); err != nil {
		return fmt.Errorf("cannot start guest: %w", err)
	}
	console := filepath.Join(dir, "console")
	err = g.run(ctx, dir, control, console)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("guest did not end in time: %w; its console:\n%s", ctx.Err(), tail(console))
	case err != nil:
		return fmt.Errorf("cannot run guest: %w; its console:\n%s", err, tail(console))
	}
	return status(filepath.Join(control, "status"), console)
}

// The scripts that the guest runs: init from the initramfs, to find its root;
// start from there, to run the command.
var (
	//go:embed init.sh
	initScript []byte
	//go:embed start.sh
	startScript []byte
)

// prepare writes the initramfs and what the guest's scripts read.
func (g Guest) prepare(dir, control string) error {
	if err := os.Mkdir(control, 0o755); err != nil {
		return err
	}
	image, err := initramfs(g.Peers)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "initramfs"), image, 0o644); err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"start":   startScript,
		"modules": []byte(strings.Join(append(g.Modules, ""), "\n")),
		"command": g.command(),
	} {
		if err := os.WriteFile(filepath.Join(control, name), text, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// command is a shell script that becomes the guest's command.
func (g Guest) command() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "cd %s || exit 126\nexec env -i %s %s", quote(g.Dir),
		quote("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), quote("TMPDIR="+TempDir))
	for _, word := range append(g.Env[:len(g.Env):len(g.Env)], g.Command...) {
		b.WriteByte(' ')
		b.WriteString(quote(word))
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// quote makes one word for the shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// run runs QEMU. Its standard output is the command's output.
func (g Guest) run(ctx context.Context, dir, control, console string) error {
	// QEMU must end when we do, even if we are killed. The kernel sends its
	// signal when the thread that started QEMU ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", g.arguments(dir, control, console)...)
	cmd.Stdout, cmd.Stderr = g.Output, &complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = killDelay
	// QEMU drops the output when its input ends, so there is one without an end.
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(complaints.Bytes()))
	}
	return nil
}

func (g Guest) arguments(dir, control, console string) []string {
	args := []string{
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", strconv.Itoa(processors), "-m", strconv.Itoa(memory),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-kernel", filepath.Join(g.Peers, kernelPackage, "kernel"),
		"-initrd", filepath.Join(dir, "initramfs"),
		// A guest that panics ends at once. It doesn't look whether its timer works,
		// which seems not to on a machine that is busy.
		"-append", "console=ttyS0 panic=-1 quiet no_timer_check busybox=" + busybox(g.Peers) +
			" kernel=" + filepath.Join(g.Peers, kernelPackage) +
			" firmware_class.path=" + filepath.Join(g.Peers, "wireless-regdb/lib/firmware"),
		"-serial", "file:" + console,
		"-device", "virtio-serial-pci", "-chardev", "stdio,id=output,signal=off",
		"-device", "virtserialport,chardev=output",
		"-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
		"-virtfs", "local,path=" + control + ",mount_tag=control,security_model=none",
	}
	if g.Share != "" {
		args = append(args, "-virtfs", "local,path="+g.Share+",mount_tag=share,security_model=none")
	}
	return args
}

// status reads what the guest says about how its command ended.
func status(file, console string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("guest ended before its command did; its console:\n%s", tail(console))
	}
	if err != nil {
		return fmt.Errorf("cannot learn how the command ended: %w", err)
	}
	code, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("cannot learn how the command ended: %w", err)
	}
	if code != 0 {
		return &ExitError{code}
	}
	return nil
}

// tail is the end of the guest's console.
func tail(console string) string {
	text, err := os.ReadFile(console)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-consoleTail):])
}
