package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/lab"
)

const prompt = "connmanctl> "

// console is a client at a terminal.
type console struct {
	t     *testing.T
	tty   *os.File
	text  chan string
	seen  string // what came since the last expectation
	all   string // what came
	ended chan error
	code  func() int
	pid   int
}

func openConsole(t *testing.T, bus *lab.Bus) *console {
	t.Helper()
	return runConsole(t, client(deadline(t), bus))
}

// runConsole starts cmd at a terminal.
func runConsole(t *testing.T, cmd *exec.Cmd) *console {
	t.Helper()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	c := &console{
		t:     t,
		tty:   tty,
		text:  make(chan string),
		ended: make(chan error, 1),
		code:  func() int { return cmd.ProcessState.ExitCode() },
		pid:   cmd.Process.Pid,
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			if err != nil {
				close(c.text)
				c.ended <- cmd.Wait()
				return
			}
			c.text <- string(buf[:n])
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = tty.Close() })
	return c
}

// expect waits until the terminal has shown text.
func (c *console) expect(text string) {
	c.t.Helper()
	late := time.After(patience)
	for {
		if i := strings.Index(c.seen, text); i >= 0 {
			c.seen = c.seen[i+len(text):]
			return
		}
		select {
		case more, ok := <-c.text:
			if !ok {
				c.t.Fatalf("ended without showing %q; showed %.2000q", text, c.seen)
			}
			c.seen += more
			c.all += more
		case <-late:
			c.t.Fatalf("did not show %q; showed %.2000q", text, c.seen)
		}
	}
}

func (c *console) typeIn(keys string) {
	c.t.Helper()
	if _, err := io.WriteString(c.tty, keys); err != nil {
		c.t.Fatal(err)
	}
}

// expectEnd waits until the client has left.
func (c *console) expectEnd(status command.Status) {
	c.t.Helper()
	go func() {
		for range c.text {
		}
	}()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.t.Fatal("does not end")
	}
	if got := c.code(); got != int(status) {
		c.t.Errorf("status %d, want %d", got, status)
	}
}

func TestConsole(t *testing.T) {
	w := newWorld(t)
	c := openConsole(t, w.Bus)
	c.expect(prompt)
	c.typeIn("state\r")
	c.expect("  State = online\r\n  OfflineMode = False\r\n")
	c.typeIn("connect locked\r")
	c.expect("Error /net/connman/service/locked: Permission denied")
	c.typeIn("bogus\r")
	c.expect("Error 'bogus': Unknown command")
	c.expect(prompt)
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}

func TestConsoleKeys(t *testing.T) {
	w := newWorld(t)
	for name, keys := range map[string]string{"Ctrl-D": "\x04", "Ctrl-C": "\x03", "exit": "exit\r"} {
		t.Run(name, func(t *testing.T) {
			c := openConsole(t, w.Bus)
			c.expect(prompt)
			c.typeIn(keys)
			c.expectEnd(command.Worked)
		})
	}
	t.Run("Ctrl-C drops a line being completed", func(t *testing.T) {
		c := openConsole(t, w.Bus)
		c.expect(prompt)
		c.typeIn("technologies\r") // answered behind the lists that completion asked for
		c.expect("/net/connman/technology/wifi\r\n")
		c.expect(prompt)
		c.typeIn("connect wifi_\t")
		c.expect("wifi_7")
		c.typeIn("\x03")
		c.expect("^C")
		c.expect(prompt)
		c.typeIn("services wifi_6\r")
		c.expect("/net/connman/service/wifi_6\r\n")
		c.typeIn("\x04")
		c.expectEnd(command.Worked)
	})
	t.Run("Ctrl-C drops a line", func(t *testing.T) {
		c := openConsole(t, w.Bus)
		c.expect(prompt)
		c.typeIn("connect wifi_1\x03")
		c.expect("^C")
		c.expect(prompt)
		c.typeIn("services wifi_7\r")
		c.expect("/net/connman/service/wifi_7\r\n")
		for _, call := range w.Calls() {
			if strings.HasSuffix(call, ".Connect") {
				t.Errorf("the line was carried out: %s", call)
			}
		}
		c.typeIn("\x04")
		c.expectEnd(command.Worked)
	})
}

// TestConsoleTerminated: who is told to end gives the terminal back as it was.
func TestConsoleTerminated(t *testing.T) {
	w := newWorld(t)
	modes := func(c *console) uint32 {
		t.Helper()
		termios, err := unix.IoctlGetTermios(int(c.tty.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return termios.Lflag & (unix.ECHO | unix.ICANON | unix.ISIG)
	}
	c := openConsole(t, w.Bus)
	c.expect(prompt)
	if got := modes(c); got != 0 {
		t.Errorf("at the prompt the terminal has the modes %#x", got)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/0", c.pid), os.O_RDWR|syscall.O_NOCTTY, 0) // or it hangs up
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	late := time.After(patience)
	for modes(c) != unix.ECHO|unix.ICANON|unix.ISIG {
		select {
		case <-c.text:
		case <-time.After(time.Millisecond):
		case <-late:
			t.Fatalf("afterwards it has the modes %#x", modes(c))
		}
	}
	slave.Close()
	c.expectEnd(command.Worked)
}

// TestConsoleSuspends: Ctrl-Z gives the terminal back as it was until the shell
// continues the client.
func TestConsoleSuspends(t *testing.T) {
	w := newWorld(t)
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	cmd := client(deadline(t), w.Bus)
	cmd.Path, cmd.Args = "/bin/bash", []string{"bash", "--norc", "-i"}
	cmd.Env = append(cmd.Env, "PS1=bash> ", "CLIENT="+self)
	c := runConsole(t, cmd)
	c.expect("bash> ")
	c.typeIn("$CLIENT; stty -a\r")
	c.expect(prompt)
	c.typeIn("services wifi_7\x1a")
	c.expect("Stopped")
	c.expect(" icanon ")
	c.expect("bash> ")
	c.typeIn("fg\r")
	c.expect(prompt + "services wifi_7")
	c.typeIn("\r")
	c.expect("/net/connman/service/wifi_7\r\n")
	c.typeIn("\x04")
	c.expect("bash> ")
	c.typeIn("exit\r")
	c.expectEnd(command.Worked)
}

// TestConsoleSignal: a signal's line comes above the line being typed, which is
// whole afterwards.
func TestConsoleSignal(t *testing.T) {
	w := newWorld(t)
	c := openConsole(t, w.Bus)
	c.expect(prompt)
	c.typeIn("monitor manager\r")
	c.typeIn("services wifi_7")
	c.expect("services wifi_7")
	w.Await(t, "/ net.connman.Manager.GetTechnologies")
	stop := make(chan struct{})
	go func() { // until the bus has taken the match
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_ = w.Emit("/", "net.connman.Manager", "PropertyChanged", "sv", "State", lab.Variant("ready"))
			}
		}
	}()
	c.expect("\x1b[2K\rManager                           State = ready\r\n") // on a cleared line
	close(stop)
	c.expect(prompt + "services wifi_7")
	c.typeIn("\r")
	c.expect("/net/connman/service/wifi_7\r\n")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}

func TestConsoleCompletion(t *testing.T) {
	w := newWorld(t)
	c := openConsole(t, w.Bus)
	c.expect(prompt)
	w.Await(t, "/ net.connman.Manager.GetTechnologies")
	c.typeIn("technologies\r") // answered behind the lists that completion asked for
	c.expect("/net/connman/technology/wifi\r\n")
	c.typeIn("services ether\t")
	c.expect("services ethernet_027702000002_cable ")
	c.typeIn("\r")
	c.expect("/net/connman/service/ethernet_027702000002_cable\r\n")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}

func TestConsoleDaemonReturns(t *testing.T) {
	bus := lab.StartBus(t)
	c := openConsole(t, bus)
	c.expect("Error getting services: The name net.connman was not provided by any .service files")
	c.expect("Error getting VPN connections: The name net.connman.vpn was not provided by any .service files")
	c.expect("Error getting technologies: ")
	daemon := lab.StartDaemon(t, bus)
	w := &world{bus, daemon}
	w.script()
	daemon.Own(t, "net.connman")
	daemon.Await(t, "/ net.connman.Manager.GetTechnologies")
	c.typeIn("technologies\r")
	c.expect("/net/connman/technology/wifi\r\n")
	c.typeIn("scan wif\t\r")
	c.expect("Scan completed for wifi")
	daemon.Stop()
	c.typeIn("state\r")
	c.expect("Error: The name net.connman was not provided by any .service files")
	bus.Stop()
	c.expect("Error: The connection to the message bus is gone")
	c.expectEnd(command.NoDaemon)
}

// TestPipe: without a terminal lines are carried out one after the other and
// only their answers are printed.
func TestPipe(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name, in, stdout, stderr string
		status                   command.Status
	}{
		{"nothing", "", "", "", command.Worked},
		{"in order", "scan wifi\nconnect wifi_1\n\n   \nscan ethernet",
			"Scan completed for wifi\nConnected wifi_1\nScan completed for ethernet\n", "", command.Worked},
		{"until quit", "scan wifi\nquit\nscan wifi\n", "Scan completed for wifi\n", "", command.Worked},
		{"the last fails", "scan wifi\nconnect locked\n", "Scan completed for wifi\n",
			"Error /net/connman/service/locked: Permission denied\n", command.Refused},
		{"the last works", "bogus\nscan wifi\n", "Scan completed for wifi\n", "Error 'bogus': Unknown command\n", command.Worked},
		{"a monitor does not hold it", "monitor\nscan wifi\n", "Scan completed for wifi\n", "", command.Worked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := client(deadline(t), w.Bus)
			cmd.Stdin = strings.NewReader(tt.in)
			got := finish(t, cmd)
			if got.Stdout != tt.stdout || withoutHints(got.Stderr) != tt.stderr || got.status != int(tt.status) {
				t.Errorf("status %d, printed %q and %q", got.status, got.Stdout, got.Stderr)
			}
		})
	}
}

// TestEveryCommandInShell: at the prompt commands do and print what the
// reference's do alone.
func TestEveryCommandInShell(t *testing.T) {
	apart := []string{"help", "--help", "-h", "exit", "quit", "agent", "vpnagent"} // which the prompt changes
	recorded := readRecordings(t)
	var in, stdout, stderr strings.Builder
	var calls []string
	for _, line := range commandLines {
		if slices.Contains(apart, strings.Fields(line)[0]) || strings.Contains(line, "|") {
			continue
		}
		in.WriteString(line + "\n")
		stdout.WriteString(recorded[line].Stdout)
		stderr.WriteString(asNewer(recorded[line].Stderr))
		calls = append(calls, recorded[line].Calls...)
	}
	w := newWorld(t)
	cmd := client(deadline(t), w.Bus)
	cmd.Stdin = strings.NewReader(in.String())
	got := finish(t, cmd)
	if diff := cmp.Diff(stdout.String(), got.Stdout); diff != "" {
		t.Errorf("printed (-reference +ours):\n%s", diff)
	}
	if diff := cmp.Diff(stderr.String(), withoutHints(got.Stderr)); diff != "" {
		t.Errorf("complained (-reference +ours):\n%s", diff)
	}
	if diff := cmp.Diff(withoutLookups(calls, nil), withoutLookups(anyProcess(w.Calls()), nil)); diff != "" {
		t.Errorf("called (-reference +ours):\n%s", diff)
	}
}

// TestConsoleHelp: at the prompt help lists what the reference's lists there.
func TestConsoleHelp(t *testing.T) {
	reference := referenceClient()
	if reference == "" {
		t.Skip("no reference client: CONNMAN_REFERENCE names no directory with connman/usr/bin/connmanctl")
	}
	w := newWorld(t)
	help := func(c *console) string {
		c.expect(prompt)
		c.typeIn("help\r")
		c.expect("help\r\n")
		from := len(c.all) - len(c.seen)
		c.expect(prompt)
		text := c.all[from : len(c.all)-len(c.seen)]
		c.typeIn("quit\r")
		c.expectEnd(command.Worked)
		return strings.TrimSpace(text[:strings.LastIndex(text, "\n")])
	}
	want := help(runConsole(t, program(deadline(t), w.Bus, reference)))
	got := help(openConsole(t, w.Bus))
	if !strings.Contains(want, "vpnagent") {
		t.Errorf("the reference shows %q", want)
	}
	if diff := cmp.Diff(strings.Split(want, "\r\n"), strings.Split(got, "\r\n")); diff != "" {
		t.Errorf("help (-reference +ours):\n%s", diff)
	}
}
