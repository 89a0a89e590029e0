//go:build netns

package dhcp4

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

	"net.connman/connmand/internal/acd"
	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel/netnstest"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// addAtPeer gives the machine at the other end one more address.
func addAtPeer(t *testing.T, peer *exec.Cmd, a netip.Addr) {
	t.Helper()
	out, err := exec.Command("nsenter", "-n", "-t", strconv.Itoa(peer.Process.Pid), "ip", "addr", "add", a.String()+"/32", "dev", "s0").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// peer starts a shell command in a network namespace of its own, joined to
// this one by the veth pair c0 and s0; s0 has 10.9.0.1/24 there. The pair
// leaves checksums to hardware that does not exist, as veth does.
func peer(t *testing.T, command string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "read go && ip link set lo up && ip addr add 10.9.0.1/24 dev s0 && ip link set s0 up && exec "+command)
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
	return cmd
}

func linkOf(t *testing.T, name string) core.Link {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return core.Link{Index: i.Index, Name: name, Addr: core.HardwareAddr(i.HardwareAddr)}
}

// harness runs clients on a loop of their own.
type harness struct {
	loop    *loop.Loop
	clients *Clients
	events  chan core.DHCPEvent
}

// newHarness fills in the rest of cfg.
func newHarness(t *testing.T, cfg Config) *harness {
	t.Helper()
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := &harness{loop: loop.New(log), events: make(chan core.DHCPEvent, 100)}
	cfg.Loop, cfg.Log = h.loop, log
	h.clients = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { h.loop.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; h.loop.Wait() })
	return h
}

func (h *harness) start(req core.DHCPRequest) (stop func(release bool)) {
	var c core.DHCP4Client
	h.loop.Post("start", func() { c = h.clients.Start(req, func(e core.DHCPEvent) { h.events <- e }) })
	return func(release bool) {
		done := make(chan struct{})
		h.loop.Post("stop", func() { c.Stop(release); close(done) })
		<-done
	}
}

func (h *harness) bound(t *testing.T) core.Lease {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case e := <-h.events:
			if b, ok := e.(core.DHCPBound); ok {
				return b.Lease
			}
			t.Fatalf("got %#v instead of a lease", e)
		case <-deadline:
			t.Fatal("no lease")
		}
	}
}

func dnsmasq(t *testing.T, dir string, extra ...string) string {
	return "dnsmasq --no-daemon --conf-file=/dev/null --port=0 --interface=s0 --bind-interfaces --no-ping --log-dhcp " +
		"--dhcp-range=10.9.0.50,10.9.0.59,255.255.255.0,2m --dhcp-leasefile=" + filepath.Join(dir, "leases") +
		" --pid-file= --user=root " + strings.Join(extra, " ")
}

// serverReady waits until the server's socket is bound.
func serverReady(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	await(t, "server listens", func() bool {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/net/udp")
		return err == nil && strings.Contains(string(b), ":0043 ")
	})
}

func TestLeaseFromDnsmasq(t *testing.T) {
	dir := t.TempDir()
	serverReady(t, peer(t, dnsmasq(t, dir, "--dhcp-option=option:ntp-server,10.9.0.3", "--dhcp-option=252,http://wpad.example/p.dat",
		"--dhcp-option=option:domain-search,a.example,b.a.example", "--dhcp-option=121,10.8.0.0/16,10.9.0.7,0.0.0.0/0,10.9.0.1")))
	h := newHarness(t, Config{})
	began := time.Now()
	stop := h.start(core.DHCPRequest{Link: linkOf(t, "c0"), Hostname: "box"})
	l := h.bound(t)
	t.Logf("lease after %v: %+v", time.Since(began), l)
	if !strings.HasPrefix(l.IP.Address.String(), "10.9.0.5") || l.IP.Gateway.String() != "10.9.0.1" || len(l.IP.Routes) != 1 ||
		len(l.DNS.Domains) != 2 || l.WPAD != "http://wpad.example/p.dat" || len(l.Timeservers) != 1 || l.Lifetime < 110*time.Second {
		t.Errorf("lease %+v", l)
	}
	leases := func() string { b, _ := os.ReadFile(filepath.Join(dir, "leases")); return string(b) }
	if !strings.Contains(leases(), "box") {
		t.Errorf("server knows %q, want the host name box", leases())
	}
	netnstest.IP(t, "addr add "+l.IP.Address.String()+" dev c0")
	stop(true)
	await(t, "lease released", func() bool { return leases() == "" })
}

// Speed: many leases one after the other from one server.
func TestRepeatedLeases(t *testing.T) {
	serverReady(t, peer(t, dnsmasq(t, t.TempDir())))
	h := newHarness(t, Config{})
	link := linkOf(t, "c0")
	var all time.Duration
	const n = 20
	for range n {
		began := time.Now()
		stop := h.start(core.DHCPRequest{Link: link})
		h.bound(t)
		all += time.Since(began)
		stop(false)
	}
	t.Logf("%v from start to lease, mean of %d", all/n, n)
}

// Time that passes while the machine sleeps brings the renewal, which goes to
// the server directly, and the rebinding, which goes to all.
func TestRenewalFromDnsmasq(t *testing.T) {
	serverReady(t, peer(t, dnsmasq(t, t.TempDir())))
	h := newHarness(t, Config{})
	h.start(core.DHCPRequest{Link: linkOf(t, "c0")})
	l := h.bound(t)
	netnstest.IP(t, "addr add "+l.IP.Address.String()+" dev c0")
	sleep := func(d time.Duration) { h.loop.Post("resume", func() { h.loop.Resumed(d) }) }
	for _, d := range []time.Duration{61 * time.Second, 106 * time.Second} {
		sleep(d)
		if again := h.bound(t); again.IP.Address != l.IP.Address || again.Lifetime < 115*time.Second {
			t.Errorf("after %v: %+v", d, again)
		}
	}
}

func TestDnsmasqRefusesAnotherNetworksAddress(t *testing.T) {
	serverReady(t, peer(t, dnsmasq(t, t.TempDir(), "--dhcp-authoritative")))
	h := newHarness(t, Config{})
	began := time.Now()
	h.start(core.DHCPRequest{Link: linkOf(t, "c0"), Last: netip.MustParseAddr("192.168.77.7")})
	l := h.bound(t)
	t.Logf("lease of %v after a refusal in %v", l.IP.Address, time.Since(began))
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

// The only address that the server has to give is in use.
func TestDeclineToDnsmasq(t *testing.T) {
	server := peer(t, dnsmasq(t, t.TempDir()))
	serverReady(t, server)
	h := newHarness(t, Config{})
	h.clients.cfg.Conflicts = acd.New(h.loop, slog.New(slog.DiscardHandler))
	link := linkOf(t, "c0")
	h.start(core.DHCPRequest{Link: link, CheckConflicts: true})
	// Take whatever address was offered, as another machine would.
	var a netip.Addr
	await(t, "offer acknowledged", func() bool {
		got := make(chan netip.Addr)
		h.loop.Post("look", func() { got <- h.clients.clients[link.Index].watched })
		a = <-got
		return a.IsValid()
	})
	addAtPeer(t, server, a)
	select {
	case e := <-h.events:
		lost, ok := e.(core.DHCPLost)
		if !ok || lost.Conflict.Address != a || len(lost.Conflict.Holder) != 6 {
			t.Fatalf("got %+v", e)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("no conflict found")
	}
}

// A daemon that was killed finds its lease again.
func TestRestartWithDnsmasq(t *testing.T) {
	serverReady(t, peer(t, dnsmasq(t, t.TempDir())))
	cfg := Config{Dir: filepath.Join(t.TempDir(), "leases"), OnLink: func(_ int, a netip.Addr) bool { return a.IsValid() }}
	link := linkOf(t, "c0")
	h := newHarness(t, cfg)
	h.start(core.DHCPRequest{Link: link})
	l := h.bound(t)
	await(t, "lease on file", func() bool { f, _ := filepath.Glob(cfg.Dir + "/*[0-9a-f]"); return len(f) == 1 })
	again := newHarness(t, cfg)
	began := time.Now()
	again.start(core.DHCPRequest{Link: link, Last: l.IP.Address.Addr()})
	held := again.bound(t)
	took := time.Since(began)
	confirmed := again.bound(t)
	ends := time.Now().Add(confirmed.Lifetime)
	t.Logf("held lease after %v, confirmed after %v", took, time.Since(began))
	// Two minutes count from when the server was asked, and that was after the start.
	if held.IP.Address != l.IP.Address || held.Lifetime >= l.Lifetime || confirmed.IP.Address != l.IP.Address || ends.Before(began.Add(2*time.Minute)) {
		t.Errorf("first %+v, held %+v, confirmed %+v", l, held, confirmed)
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

func TestLeaseFromISC(t *testing.T) {
	server := dhcpd(t)
	dir := t.TempDir()
	conf, leases := filepath.Join(dir, "conf"), filepath.Join(dir, "leases")
	err := os.WriteFile(conf, []byte(`authoritative; default-lease-time 12; min-lease-time 12; max-lease-time 12;
option rfc3442 code 121 = array of integer 8;
subnet 10.9.0.0 netmask 255.255.255.0 { range 10.9.0.50 10.9.0.59; option routers 10.9.0.1; option domain-name "isc.example";
option domain-name-servers 10.9.0.1; option interface-mtu 1400; }
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(leases, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	serverReady(t, peer(t, server+" -4 -f -d -cf "+conf+" -lf "+leases+" --no-pid s0"))
	h := newHarness(t, Config{})
	began := time.Now()
	stop := h.start(core.DHCPRequest{Link: linkOf(t, "c0")})
	l := h.bound(t)
	t.Logf("lease after %v: %+v", time.Since(began), l)
	if l.IP.MTU != 1400 || l.Domainname != "isc.example" || l.IP.Gateway.String() != "10.9.0.1" || len(l.DNS.Servers) != 1 {
		t.Errorf("lease %+v", l)
	}
	netnstest.IP(t, "addr add "+l.IP.Address.String()+" dev c0")
	if again := h.bound(t); again.IP.Address != l.IP.Address {
		t.Errorf("renewed as %+v", again)
	}
	stop(true)
	await(t, "lease released", func() bool {
		b, _ := os.ReadFile(leases)
		return strings.Contains(string(b), "binding state free")
	})
}
