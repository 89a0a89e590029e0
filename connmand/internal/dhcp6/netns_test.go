//go:build netns

package dhcp6

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel/netnstest"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// await waits until ok, for things that only a look can tell.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// peer starts a shell command in a network namespace of its own, joined to
// this one by the veth pair c0 and s0; s0 has fd00:9::1/64 there. It waits
// until the server listens.
func peer(t *testing.T, command string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "read go && ip link set lo up && ip addr add fd00:9::1/64 dev s0 nodad && ip link set s0 up && "+
		"while ip addr show dev s0 | grep -q 'tentative\\|NO-CARRIER'; do sleep 0.1; done && exec "+command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	netnstest.IP(t, "link add c0 type veth peer name s0 netns "+strconv.Itoa(cmd.Process.Pid))
	t.Cleanup(func() { netnstest.IP(t, "link del c0") })
	netnstest.IP(t, "link set c0 up")
	io.WriteString(in, "go\n")
	await(t, "server listens", func() bool {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/net/udp6")
		return err == nil && strings.Contains(string(b), ":0223 ")
	})
	await(t, "link-local address", func() bool {
		out := netnstest.IP(t, "-6 addr show dev c0 scope link")
		return strings.Contains(out, "fe80:") && !strings.Contains(out, "tentative")
	})
	return cmd
}

// harness runs clients on a loop of their own.
type harness struct {
	loop    *loop.Loop
	clients *Clients
	events  chan core.DHCP6Event
}

// newHarness fills in the rest of cfg.
func newHarness(t *testing.T, cfg Config) *harness {
	t.Helper()
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := &harness{loop: loop.New(log), events: make(chan core.DHCP6Event, 100)}
	cfg.Loop, cfg.Log = h.loop, log
	h.clients = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { h.loop.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; h.loop.Wait() })
	return h
}

func request6(t *testing.T, stateful bool) core.DHCP6Request {
	t.Helper()
	i, err := net.InterfaceByName("c0")
	if err != nil {
		t.Fatal(err)
	}
	link := core.Link{Index: i.Index, Name: i.Name, Addr: core.HardwareAddr(i.HardwareAddr)}
	return core.DHCP6Request{
		Link: link, DUID: core.NewDUID(link.Addr, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), Stateful: stateful,
	}
}

func (h *harness) start(req core.DHCP6Request) (on func(func(core.DHCP6Client))) {
	var c core.DHCP6Client
	h.loop.Post("start", func() { c = h.clients.Start(req, func(e core.DHCP6Event) { h.events <- e }) })
	return func(fn func(core.DHCP6Client)) {
		done := make(chan struct{})
		h.loop.Post("client", func() { fn(c); close(done) })
		<-done
	}
}

func next[E core.DHCP6Event](t *testing.T, h *harness) E {
	t.Helper()
	select {
	case e := <-h.events:
		want, ok := e.(E)
		if !ok {
			t.Fatalf("got %#v", e)
		}
		return want
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

func (h *harness) bound(t *testing.T) core.Lease6 {
	t.Helper()
	return next[core.DHCP6Bound](t, h).Lease
}

// sleep lets time pass as if the machine slept.
func (h *harness) sleep(d time.Duration) {
	h.loop.Post("resume", func() { h.loop.Resumed(d) })
}

func dnsmasq(dir, mode string, extra ...string) string {
	return "dnsmasq --no-daemon --conf-file=/dev/null --port=0 --interface=s0 --bind-interfaces --log-dhcp " +
		"--dhcp-range=" + mode + " --dhcp-leasefile=" + filepath.Join(dir, "leases") +
		" --dhcp-option=option6:dns-server,[fd00:9::53] --dhcp-option=option6:domain-search,a.example,b.example" +
		" --pid-file= --user=root " + strings.Join(extra, " ")
}

const pool = "fd00:9::50,fd00:9::59,64,2m"

func inPool(a netip.Addr) bool { return strings.HasPrefix(a.String(), "fd00:9::5") }

func TestLeaseFromDnsmasq(t *testing.T) {
	dir := t.TempDir()
	peer(t, dnsmasq(dir, pool, "--dhcp-option=option6:ntp-server,[fd00:9::123]"))
	h := newHarness(t, Config{})
	began := time.Now()
	on := h.start(request6(t, true))
	l := h.bound(t)
	t.Logf("lease after %v: %+v", time.Since(began), l)
	if len(l.Addresses) != 1 || !inPool(l.Addresses[0].Address) || l.Addresses[0].Valid < 110*time.Second ||
		len(l.DNS.Servers) != 1 || len(l.DNS.Domains) != 2 || len(l.Timeservers) != 1 {
		t.Errorf("lease %+v", l)
	}
	leases := func() string { b, _ := os.ReadFile(filepath.Join(dir, "leases")); return string(b) }
	await(t, "lease on the server's file", func() bool { return strings.Contains(leases(), l.Addresses[0].Address.String()) })
	on(func(c core.DHCP6Client) { c.Stop(true) })
	await(t, "lease released", func() bool { return !strings.Contains(leases(), "fd00:9::5") })
}
