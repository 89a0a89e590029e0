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

// Speed: many leases one after the other from one server.
func TestRepeatedLeases(t *testing.T) {
	peer(t, dnsmasq(t.TempDir(), pool))
	h := newHarness(t, Config{})
	req := request6(t, true)
	var all time.Duration
	const n = 20
	for range n {
		began := time.Now()
		on := h.start(req)
		h.bound(t)
		all += time.Since(began)
		on(func(c core.DHCP6Client) { c.Stop(false) })
	}
	t.Logf("%v from start to lease, mean of %d", all/n, n)
}

func TestStatelessFromDnsmasq(t *testing.T) {
	peer(t, dnsmasq(t.TempDir(), "fd00:9::,ra-stateless"))
	h := newHarness(t, Config{})
	h.start(request6(t, false))
	if l := h.bound(t); len(l.Addresses) != 0 || len(l.DNS.Servers) != 1 || len(l.DNS.Domains) != 2 {
		t.Errorf("got %+v", l)
	}
	h.sleep(25 * time.Hour)
	h.bound(t)
}

// Time that passes while the machine sleeps brings the renewal, which goes to
// one server, the rebinding, which goes to all, and the end.
func TestRenewalFromDnsmasq(t *testing.T) {
	server := peer(t, dnsmasq(t.TempDir(), pool))
	h := newHarness(t, Config{})
	h.start(request6(t, true))
	l := h.bound(t)
	for _, d := range []time.Duration{61 * time.Second, 106 * time.Second} {
		h.sleep(d)
		again := h.bound(t)
		if again.Addresses[0].Address != l.Addresses[0].Address || again.Addresses[0].Valid < 115*time.Second {
			t.Errorf("after %v: %+v", d, again)
		}
	}
	server.Process.Kill()
	h.sleep(121 * time.Second)
	next[core.DHCP6Lost](t, h)
	h.sleep(noAnswerAfter)
	next[core.DHCP6NoAnswer](t, h)
}

func TestDeclineToDnsmasq(t *testing.T) {
	peer(t, dnsmasq(t.TempDir(), pool))
	h := newHarness(t, Config{})
	on := h.start(request6(t, true))
	a := h.bound(t).Addresses[0].Address
	on(func(c core.DHCP6Client) { c.Decline(a) })
	next[core.DHCP6Lost](t, h)
	if again := h.bound(t).Addresses[0].Address; again == a {
		t.Errorf("got %v again", a)
	}
}

// A daemon that was restarted finds its lease again; a link that comes back
// asks whether it is still good.
func TestConfirmByDnsmasq(t *testing.T) {
	peer(t, dnsmasq(t.TempDir(), pool))
	onLink := false
	cfg := Config{Dir: filepath.Join(t.TempDir(), "leases"), OnLink: func(int, netip.Addr) bool { return onLink }}
	h := newHarness(t, cfg)
	req := request6(t, true)
	on := h.start(req)
	l := h.bound(t)
	on(func(c core.DHCP6Client) { c.Stop(false) })
	await(t, "lease on file", func() bool { f, _ := filepath.Glob(cfg.Dir + "/*[0-9a-f]"); return len(f) == 1 })
	req.Last = l.Addresses[0].Address
	for _, onLink = range []bool{false, true} {
		again := newHarness(t, cfg)
		on := again.start(req)
		held := again.bound(t)
		if onLink {
			again.bound(t)
		}
		if held.Addresses[0].Address != req.Last || held.Addresses[0].Valid > l.Addresses[0].Valid {
			t.Errorf("first %+v, held %+v", l, held)
		}
		on(func(c core.DHCP6Client) { c.Stop(false) })
	}
}

// A lease of another network is not confirmed.
func TestDnsmasqRefusesAnotherNetworksAddress(t *testing.T) {
	cfg := Config{Dir: filepath.Join(t.TempDir(), "leases"), OnLink: func(int, netip.Addr) bool { return true }}
	peer(t, dnsmasq(t.TempDir(), pool))
	h := newHarness(t, cfg)
	req := request6(t, true)
	other := netip.MustParseAddr("fd00:77::7")
	foreign := appendReply(response, 1, req.DUID, "\x00\x03other", iaidOf(req.Link.Addr), give(other, 3600, 7200))
	saved := make(chan struct{})
	h.loop.Post("save", func() {
		h.clients.files.Save(req.Link, (&lease{asked: h.loop.Now(), raw: foreign}).stored())
		close(saved)
	})
	<-saved
	await(t, "lease on file", func() bool { f, _ := filepath.Glob(cfg.Dir + "/*[0-9a-f]"); return len(f) == 1 })
	req.Last = other
	h.start(req)
	if l := h.bound(t); l.Addresses[0].Address != other {
		t.Errorf("held %+v", l)
	}
	next[core.DHCP6Lost](t, h)
	if l := h.bound(t); !inPool(l.Addresses[0].Address) {
		t.Errorf("then %+v", l)
	}
}

// dhcpd finds ISC's server: in a directory named by the environment, for
// machines that have it unpacked but not installed, or in PATH.
func dhcpd(t *testing.T) string {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("CONNMAN_TEST_PEERS")) {
		if path, err := exec.LookPath(filepath.Join(dir, "dhcpd")); err == nil {
			return path
		}
	}
	path, err := exec.LookPath("dhcpd")
	if err != nil {
		t.Skip("dhcpd is neither in PATH nor in CONNMAN_TEST_PEERS")
	}
	return path
}

// ISC's server has no rapid commit unless told, prefers nobody and here gives
// short leases: Solicit, Advertise, Request, Renew, Release.
func TestLeaseFromISC(t *testing.T) {
	server := dhcpd(t)
	dir := t.TempDir()
	conf, leases := filepath.Join(dir, "conf"), filepath.Join(dir, "leases")
	err := os.WriteFile(conf, []byte(`default-lease-time 12; preferred-lifetime 11;
option dhcp-renewal-time 5; option dhcp-rebinding-time 8;
subnet6 fd00:9::/64 { range6 fd00:9::50 fd00:9::59; option dhcp6.name-servers fd00:9::1;
option dhcp6.domain-search "isc.example"; option dhcp6.sntp-servers fd00:9::2; }
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(leases, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	peer(t, server+" -6 -f -d -cf "+conf+" -lf "+leases+" --no-pid s0")
	h := newHarness(t, Config{})
	began := time.Now()
	on := h.start(request6(t, true))
	l := h.bound(t)
	t.Logf("lease after %v: %+v", time.Since(began), l)
	if len(l.Addresses) != 1 || !inPool(l.Addresses[0].Address) || l.Addresses[0].Valid > 12*time.Second ||
		len(l.DNS.Servers) != 1 || len(l.Timeservers) != 1 || l.DNS.Domains[0] != "isc.example" {
		t.Errorf("lease %+v", l)
	}
	if again := h.bound(t); again.Addresses[0].Address != l.Addresses[0].Address {
		t.Errorf("renewed as %+v", again)
	}
	on(func(c core.DHCP6Client) { c.Stop(true) })
	await(t, "lease released", func() bool {
		b, _ := os.ReadFile(leases)
		return strings.Contains(string(b), "binding state released")
	})
}
