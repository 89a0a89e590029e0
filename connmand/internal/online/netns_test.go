//go:build netns

package online

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
)

// Two uplinks lead to two networks that use the same addresses. The default
// route goes to the first, where nobody answers; a probe through the second
// must be resolved and answered there.
func TestProbeLeavesThroughItsLink(t *testing.T) {
	runtime.LockOSThread() // for good: the thread keeps its namespace and dies with the test
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	dead, far := "onl-dead", "onl-far"
	for _, ns := range []string{dead, far} {
		run(t, "ip netns add "+ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	}
	connect(t, "up0", dead, "10.88.0", 0)
	connect(t, "up1", far, "10.88.1", 100)

	stop := serveInternet(t, far)
	defer stop()

	for _, tt := range []struct {
		link, source string
		online       bool
	}{{"up1", "10.88.1.2", true}, {"up0", "10.88.0.2", false}} {
		got := probeLink(t, tt.link, tt.source)
		if got.Online != tt.online {
			t.Errorf("%s: online %v, want %v: %v", tt.link, got.Online, tt.online, got.Err)
		}
	}
}

// connect makes a link to ns, whose far end also has the addresses of the
// "Internet", and a default route over it.
func connect(t *testing.T, link, ns, network string, metric int) {
	t.Helper()
	run(t, "ip link add "+link+" type veth peer name far0 netns "+ns)
	run(t, "ip addr add "+network+".2/24 dev "+link)
	run(t, "ip link set "+link+" up")
	for _, a := range []string{network + ".1/24", "198.51.100.53/32", "198.51.100.80/32"} {
		run(t, "ip -n "+ns+" addr add "+a+" dev far0")
	}
	run(t, "ip -n "+ns+" link set far0 up")
	run(t, "ip route add default via "+network+".1 metric "+strconv.Itoa(metric))
}

// serveInternet answers names and pages inside ns.
func serveInternet(t *testing.T, ns string) (stop func()) {
	t.Helper()
	var udp net.PacketConn
	var tcp net.Listener
	inside(t, ns, func() (err error) {
		if udp, err = net.ListenPacket("udp4", "198.51.100.53:53"); err != nil {
			return err
		}
		tcp, err = net.Listen("tcp4", "198.51.100.80:80")
		return err
	})
	go func() {
		packet := make([]byte, 512)
		for {
			n, from, err := udp.ReadFrom(packet)
			if err != nil {
				return
			}
			var query dnsmessage.Message
			if query.Unpack(packet[:n]) != nil {
				continue
			}
			out, err := with(a("page.example.", "198.51.100.80"))(query)[0].Pack()
			if err == nil {
				udp.WriteTo(out, from)
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			answer("HTTP/1.1 200 OK\r\nX-ConnMan-Status: online\r\n\r\n")(c)
		}
	}()
	return func() { udp.Close(); tcp.Close() }
}

func probeLink(t *testing.T, link, source string) core.ProbeResult {
	t.Helper()
	req := core.ProbeRequest{
		Link:        core.Link{Name: link},
		URL:         "http://page.example/online/status.html",
		Source:      netip.MustParseAddr(source),
		Nameservers: []netip.Addr{netip.MustParseAddr("198.51.100.53")},
	}
	f := fetch{req: req, userAgent: "ConnMan/1.2 wispr", dial: linkDialer(req)}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return f.run(ctx)
}

// inside runs fn on a thread that is in the network namespace ns; sockets made
// there stay there.
func inside(t *testing.T, ns string, fn func() error) {
	t.Helper()
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = fn()
		}
		failed <- err
	}()
	must(t, <-failed)
}

func run(t *testing.T, command string) {
	t.Helper()
	args := strings.Fields(command)
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
