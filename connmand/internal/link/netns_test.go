//go:build netns

package link_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/kernel/netnstest"
	"net.connman/connmand/internal/link"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// patience is how long anything may take.
const patience = 10 * time.Second

// house is a table over the real kernel.
type house struct {
	t     testing.TB
	k     *kernel.Netlink
	loop  *loop.Loop
	table *link.Table
	close func()
}

func open(t testing.TB) *house {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	k, err := kernel.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, k: k, loop: loop.New(log)}
	h.table = link.New(h.loop, k, log)
	ctx, cancel := context.WithCancel(context.Background())
	looped, ran := make(chan struct{}), make(chan struct{})
	go func() { h.loop.Run(ctx); close(looped) }()
	go func() {
		_ = k.Run(ctx, func(e []kernel.Event) { h.loop.Post("kernel", func() { h.table.Deliver(e) }) })
		close(ran)
	}()
	h.close = sync.OnceFunc(func() { cancel(); <-looped; <-ran; h.loop.Wait(); k.Close() })
	t.Cleanup(h.close)
	return h
}

// ask runs fn on the loop and returns what it returns.
func ask[T any](h *house, fn func() T) T {
	answer := make(chan T, 1)
	h.loop.Post("test", func() { answer <- fn() })
	return <-answer
}

// ip runs ip(8) and waits until the table knows what it did.
func (h *house) ip(args string) {
	h.t.Helper()
	netnstest.IP(h.t, args)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.k.Sync(ctx); err != nil {
		h.t.Fatal(err)
	}
}

// await waits until fn holds on the loop; it is asked at every change.
func (h *house) await(what string, fn func() bool) {
	h.t.Helper()
	held := make(chan struct{})
	h.loop.Post("test", func() {
		over := false
		h.loop.AtTurnEnd(func() {
			if !over && fn() {
				over = true
				close(held)
			}
		})
	})
	select {
	case <-held:
	case <-time.After(patience):
		h.t.Fatalf("%s: not in time", what)
	}
}

func (h *house) apply(index int, want netcfg.LinkConfig) {
	h.t.Helper()
	done := make(chan error, 1)
	h.loop.Post("test", func() { h.table.Apply(index, want, func(err error) { done <- err }) })
	select {
	case err := <-done:
		if err != nil {
			h.t.Fatal(err)
		}
	case <-time.After(patience):
		h.t.Fatal("apply: no answer in time")
	}
}

// far is a network namespace at the other end of a cable.
const far = "linktest-far"

// cable connects lan0, up, with far0 in the namespace far, which is a router
// with the addresses 10.3.0.1 and 10.3.0.9 and a server beyond, 10.99.0.1.
func cable(t *testing.T, h *house) int {
	t.Helper()
	netnstest.IP(t, "netns add "+far)
	t.Cleanup(func() { netnstest.IP(t, "netns del "+far) })
	netnstest.Batch(t, "link add lan0 type veth peer name far0 netns "+far+"\nlink set lan0 up\n")
	t.Cleanup(func() { netnstest.IP(t, "link del lan0") }) // the namespace would take its time
	for _, cmd := range []string{"link set lo up", "link set far0 up", "addr add 10.3.0.1/24 dev far0",
		"addr add 10.3.0.9/24 dev far0", "addr add 10.99.0.1/32 dev lo"} {
		netnstest.IP(t, "-n "+far+" "+cmd)
	}
	l, err := net.InterfaceByName("lan0")
	if err != nil {
		t.Fatal(err)
	}
	h.await("lan0", func() bool { return h.table.Observed(l.Index).MTU != 0 })
	return l.Index
}

func config(address, gateway string, metric uint32) netcfg.LinkConfig {
	return netcfg.LinkConfig{
		Addrs: []netcfg.Addr{{Prefix: netip.MustParsePrefix(address)}},
		Routes: []netcfg.Route{{
			Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(gateway), Metric: metric,
		}},
	}
}

// monitor collects what the kernel tells of addresses and routes.
func monitor(t *testing.T) (said func() string) {
	t.Helper()
	cmd := exec.Command("ip", "monitor", "address", "route")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It is known to listen once it tells of an address that comes and goes.
	lines := make(chan string, 10000)
	go func() {
		var rest []byte
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			rest = append(rest, buf[:n]...)
			for {
				line, tail, ok := bytes.Cut(rest, []byte("\n"))
				if !ok {
					break
				}
				lines <- string(line)
				rest = tail
			}
			if err != nil {
				close(lines)
				return
			}
		}
	}()
	mark := func(address string) string {
		netnstest.IP(t, "addr add "+address+" dev lo")
		netnstest.IP(t, "addr del "+address+" dev lo")
		return address
	}
	var heard strings.Builder
	until := func(address string) {
		deadline := time.After(patience)
		for {
			select {
			case line := <-lines:
				if strings.Contains(line, address) {
					if strings.Contains(line, "Deleted") {
						return
					}
					continue
				}
				heard.WriteString(line + "\n")
			case <-deadline:
				t.Fatal("ip monitor is silent")
			}
		}
	}
	for started := false; !started; {
		mark("127.9.9.9/32")
		select {
		case <-lines:
			started = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	return func() string {
		mark("127.9.9.8/32")
		heard.Reset()
		until("127.9.9.8")
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		var ours []string
		for line := range strings.Lines(heard.String()) {
			if strings.Contains(line, "10.") {
				ours = append(ours, line)
			}
		}
		return strings.Join(ours, "")
	}
}

func TestApplyTwiceIsSilent(t *testing.T) {
	h := open(t)
	index := cable(t, h)
	want := config("10.3.0.2/24", "10.3.0.1", 0)
	h.apply(index, want)
	said := monitor(t)
	h.apply(index, want)
	if got := said(); got != "" {
		t.Errorf("the second apply changed\n%s", got)
	}
	if out := netnstest.IP(t, "-4 -d addr show dev lan0"); !strings.Contains(out, "10.3.0.2/24") {
		t.Errorf("no address: %s", out)
	}
	if out := netnstest.IP(t, "-d route show default"); !strings.Contains(out, "default via 10.3.0.1 dev lan0 proto 67") {
		t.Errorf("default route is %s", out)
	}
}

// A second run of the daemon finds what the first one left and changes nothing.
func TestRestartIsSilent(t *testing.T) {
	first := open(t)
	index := cable(t, first)
	want := config("10.3.0.2/24", "10.3.0.1", 0)
	first.apply(index, want)
	first.close()

	second := open(t)
	second.await("lan0", func() bool { return second.table.Observed(index).MTU != 0 })
	said := monitor(t)
	second.apply(index, want)
	if got := said(); got != "" {
		t.Errorf("the second run changed\n%s", got)
	}
	second.apply(index, netcfg.LinkConfig{})
	if out := netnstest.IP(t, "-4 addr show dev lan0"); strings.Contains(out, "10.3.0.2") {
		t.Errorf("the second run does not know the first one's address: %s", out)
	}
}

// What the C daemon leaves when it crashes: routes without an owner, a host
// route to the router among them. Ours take their place; others stay.
func TestTakesOverFromTheCDaemon(t *testing.T) {
	first := open(t)
	index := cable(t, first)
	first.close()
	netnstest.Batch(t, "addr add 10.3.0.2/24 broadcast 10.3.0.255 dev lan0\n"+
		"route add 10.3.0.1 dev lan0 scope link\nroute add default via 10.3.0.1 dev lan0\n"+
		"route add 10.55.0.1 via 10.3.0.1 dev lan0\nroute add 10.66.0.0/16 via 10.3.0.1 dev lan0\n")
	h := open(t)
	h.await("lan0", func() bool { return h.table.Observed(index).MTU != 0 })
	stop, gaps := make(chan struct{}), make(chan int, 1)
	go func() { gaps <- countGaps(stop) }()
	want := config("10.3.0.2/24", "10.3.0.1", 10)
	want.Addrs[0].Broadcast = netip.MustParseAddr("10.3.0.255")
	h.apply(index, want)
	close(stop)
	if n := <-gaps; n > 0 {
		t.Errorf("there was no way out %d times", n)
	}
	got := strings.Fields(strings.ReplaceAll(netnstest.IP(t, "-4 route show proto boot dev lan0"), "\n", " "))
	if fmt.Sprint(got) != "[10.66.0.0/16 via 10.3.0.1]" {
		t.Errorf("routes without owner are %v", got)
	}
	if out := netnstest.IP(t, "-4 route show default"); strings.Count(out, "default") != 1 || !strings.Contains(out, "metric 10") {
		t.Errorf("default routes are %s", out)
	}
}

// While the router, and then also an unused address, changes, there is always
// a way out, and a connection lives on.
func TestChangeKeepsConnections(t *testing.T) {
	h := open(t)
	index := cable(t, h)
	both := config("10.3.0.2/24", "10.3.0.1", 0)
	both.Addrs = append([]netcfg.Addr{{Prefix: netip.MustParsePrefix("10.3.0.77/24")}}, both.Addrs...)
	h.apply(index, both)

	go serveEcho(listenFar(t, "10.99.0.1:7"))
	conn := dial(t, "10.3.0.2", "10.99.0.1:7")
	defer conn.Close()

	stop, gaps := make(chan struct{}), make(chan int, 1)
	go func() { gaps <- countGaps(stop) }()
	for i := range 50 {
		gateway := []string{"10.3.0.9", "10.3.0.1"}[i%2]
		address := fmt.Sprintf("10.3.0.%d/24", 100+i)
		c := config("10.3.0.2/24", gateway, uint32(i%3))
		c.Addrs = append(c.Addrs, netcfg.Addr{Prefix: netip.MustParsePrefix(address)})
		h.apply(index, c)
		ping(t, conn)
	}
	close(stop)
	if n := <-gaps; n > 0 {
		t.Errorf("there was no way out %d times", n)
	}
}

// listenFar listens in the namespace far: a socket stays in the namespace in
// which it was opened.
func listenFar(t *testing.T, address string) net.Listener {
	t.Helper()
	type result struct {
		net.Listener
		error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := os.Open("/run/netns/" + far)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err != nil {
			done <- result{nil, err}
			return
		}
		l, err := net.Listen("tcp4", address)
		done <- result{l, err}
	}()
	r := <-done
	if r.error != nil {
		t.Fatal(r.error)
	}
	t.Cleanup(func() { r.Listener.Close() })
	return r.Listener
}

func serveEcho(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.Copy(conn, conn)
}

func dial(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.Dial("tcp4", to)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	return conn
}

func ping(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
}

// countGaps asks for a route out again and again and counts the failures.
func countGaps(stop chan struct{}) (n int) {
	for {
		select {
		case <-stop:
			return n
		default:
		}
		conn, err := net.Dial("udp4", "10.99.0.1:9") // sends nothing
		if err != nil {
			n++
			continue
		}
		conn.Close()
	}
}

func TestFlushIsRepaired(t *testing.T) {
	h := open(t)
	index := cable(t, h)
	want := config("10.3.0.2/24", "10.3.0.1", 0)
	h.apply(index, want)
	h.ip("addr flush dev lan0")
	h.await("repair", func() bool { return len(h.table.Observed(index).Routes) == 1 })
	h.ip("route replace default via 10.3.0.9 dev lan0")
	h.await("route beside the other's", func() bool { return len(h.table.Observed(index).Routes) == 2 })
	h.ip("link set lan0 down")
	h.await("down", func() bool { return len(h.table.Observed(index).Routes) == 0 })
	h.ip("link set lan0 up")
	h.await("routes of the link that is up again", func() bool {
		routes := h.table.Observed(index).Routes
		return len(routes) == 1 && routes[0] == want.Routes[0]
	})
}

// The loopback link of a fresh namespace is down until the table sees it.
func TestLoopback(t *testing.T) {
	netnstest.IP(t, "addr flush dev lo")
	netnstest.IP(t, "link set lo down")
	h := open(t)
	h.await("127.0.0.1", func() bool {
		for _, a := range h.table.Observed(kernel.LoopbackIndex).Addrs {
			if a.Prefix.String() == "127.0.0.1/8" {
				return true
			}
		}
		return false
	})
}

// Thousands of flaps leave nothing behind.
func TestFlapsLeaveNothing(t *testing.T) {
	const flaps = 2000
	h := open(t)
	netnstest.Batch(t, "link add flap0 type veth peer name flap1\nlink set flap0 up\n")
	t.Cleanup(func() { netnstest.IP(t, "link del flap0") })
	l, err := net.InterfaceByName("flap0")
	if err != nil {
		t.Fatal(err)
	}
	h.await("flap0", func() bool { return h.table.Observed(l.Index).MTU != 0 })
	ons, on := 0, false
	ask(h, func() bool {
		h.table.Watch(func(e link.Event) {
			if e, ok := e.(link.Changed); ok && e.Link.Index == l.Index && e.Link.Carrier != e.Old.Carrier {
				if on = e.Link.Carrier; on {
					ons++
				}
				h.table.Apply(l.Index, map[bool]netcfg.LinkConfig{true: config("10.4.0.2/24", "10.4.0.1", 0)}[on], nil)
			}
		})
		return true
	})
	flap := func(n int) {
		netnstest.Batch(t, strings.Repeat("link set flap1 up\nlink set flap1 down\n", n)+"link set flap1 up\n")
		h.await("the end of the flaps", func() bool {
			got := h.table.Observed(l.Index)
			return on && len(got.Routes) == 1
		})
		netnstest.Batch(t, "link set flap1 down\n")
		h.await("the last flap", func() bool { return !on && len(h.table.Observed(l.Index).Routes) == 0 })
	}
	flap(100)
	before := usage(t)
	flap(flaps)
	after := usage(t)
	t.Logf("%d carriers seen; before %+v, after %+v", ask(h, func() int { return ons }), before, after)
	if after.goroutines > before.goroutines || after.files > before.files {
		t.Errorf("grew from %+v to %+v", before, after)
	}
	if after.heap > before.heap+before.heap/2 {
		t.Errorf("the heap grew from %d to %d bytes", before.heap, after.heap)
	}
}

type used struct {
	goroutines, files int
	heap              uint64
}

func usage(t testing.TB) used {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return used{runtime.NumGoroutine(), len(files), m.HeapAlloc}
}

// BenchmarkLinksUp is 500 cables plugged in at once and each link configured.
func BenchmarkLinksUp(b *testing.B) {
	const n = 500
	for b.Loop() {
		b.StopTimer()
		h := open(b)
		var add, up, del strings.Builder
		for i := range n {
			fmt.Fprintf(&add, "link add b%d type veth peer name q%d\nlink set b%d up\n", i, i, i)
			fmt.Fprintf(&up, "link set q%d up\n", i)
			fmt.Fprintf(&del, "link del b%d\n", i)
		}
		ask(h, func() bool {
			h.table.Watch(func(e link.Event) {
				if e, ok := e.(link.Changed); ok && e.Link.Name[0] == 'b' && e.Link.Carrier && !e.Old.Carrier {
					i := e.Link.Index
					gw := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
					h.table.Apply(i, config(gw.Next().String()+"/24", gw.String(), uint32(i)), nil)
				}
			})
			return true
		})
		before := cpu(b)
		b.StartTimer()
		netnstest.Batch(b, add.String()+up.String())
		links, err := net.Interfaces()
		if err != nil {
			b.Fatal(err)
		}
		left := links
		h.await("all links", func() bool {
			for len(left) > 0 && (left[0].Name[0] != 'b' || len(h.table.Observed(left[0].Index).Routes) > 0) {
				left = left[1:]
			}
			return len(left) == 0
		})
		b.StopTimer()
		b.ReportMetric((cpu(b)-before).Seconds()*1000, "cpu-ms")
		netnstest.Batch(b, del.String())
		b.StartTimer()
	}
}

func cpu(b *testing.B) time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
