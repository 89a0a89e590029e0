//go:build netns

package lab_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCableCarriesPackets(t *testing.T) {
	l := lab.ForTest(t)
	a, err := l.Host("a")
	must(t, err)
	b, err := l.Host("b")
	must(t, err)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	endA, endB, err := l.Cable(a, "eth0", mac, b, "port0")
	must(t, err)
	must(t, endA.AddAddr("192.0.2.1/24"))
	must(t, endB.AddAddr("192.0.2.2/24"))
	must(t, endB.FullChecksums())
	must(t, endA.Up())
	must(t, endB.Up())

	if got := endA.Link.Attrs().HardwareAddr.String(); got != mac.String() {
		t.Errorf("hardware address %s, want %s", got, mac)
	}
	var listener net.Listener
	must(t, b.Do(func() (err error) {
		listener, err = net.Listen("tcp", "192.0.2.2:0")
		return err
	}))
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = conn.Write([]byte("hello"))
			conn.Close()
		}
	}()
	out, err := a.Output(exec.Command("bash", "-c", "cat </dev/tcp/"+strings.Replace(listener.Addr().String(), ":", "/", 1)))
	must(t, err)
	if string(out) != "hello" {
		t.Errorf("read %q through the cable, want hello", out)
	}

	must(t, endB.Down())
	must(t, lab.Eventually(time.Second, func() error {
		link, err := a.Netlink.LinkByName("eth0")
		if err == nil && link.Attrs().RawFlags&0x10000 != 0 { // IFF_LOWER_UP
			err = errors.New("still a carrier")
		}
		return err
	}))
}

func TestHostHasItsOwnFiles(t *testing.T) {
	l := lab.ForTest(t)
	h, err := l.Host("alone")
	must(t, err)
	must(t, h.WriteFile("/etc/connman/main.conf", "[General]\n"))
	out, err := h.Output(exec.Command("sh", "-c", "hostname; cat /etc/connman/main.conf; echo nameserver 192.0.2.53 >/etc/resolv.conf; test -s /etc/passwd; mkdir /var/lib/connman; touch /run/file"))
	must(t, err)
	if want := "alone\n[General]\n"; string(out) != want {
		t.Errorf("host says %q, want %q", out, want)
	}
	own, err := os.ReadFile(h.Path("/etc/resolv.conf"))
	must(t, err)
	if want := "nameserver 192.0.2.53\n"; string(own) != want {
		t.Errorf("the host's resolv.conf is %q, want %q", own, want)
	}
	if real, err := os.ReadFile("/etc/resolv.conf"); err == nil && strings.Contains(string(real), "192.0.2.53") {
		t.Error("the host wrote the machine's resolv.conf")
	}
	if _, err := os.Stat(h.Path("/run/file")); err != nil {
		t.Error(err)
	}
}

func TestClosedLabLeavesNothing(t *testing.T) {
	l, err := lab.New()
	must(t, err)
	h, err := l.Host("gone")
	must(t, err)
	p, err := h.Start(exec.Command("sleep", "600"))
	must(t, err)
	run, err := filepath.EvalSymlinks(h.Path("/run"))
	must(t, err)
	must(t, l.Close())
	select {
	case <-p.Done():
	default:
		t.Error("a program outlived its host")
	}
	for _, dir := range []string{l.Dir, filepath.Dir(run)} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s of the closed lab: %v", dir, err)
		}
	}
}

func TestRecorderKeepsOrder(t *testing.T) {
	l := lab.ForTest(t)
	h, err := l.Host("bus")
	must(t, err)
	bus, err := h.StartBus()
	must(t, err)
	recorder, err := bus.Record()
	must(t, err)
	defer recorder.Close()
	conn, err := bus.Connect()
	must(t, err)
	defer conn.Close()
	const many = 1000
	for i := range many {
		must(t, conn.Emit("/", "net.connman.Lab.Tick", int32(i)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := func(i int32) func(*dbus.Message) bool {
		return func(m *dbus.Message) bool {
			return lab.Header(m, dbus.FieldMember) == "Tick" && m.Body[0] == i
		}
	}
	_, err = recorder.Wait(ctx, 0, tick(many-1))
	must(t, err)
	var next int32
	for _, r := range recorder.Records(0) {
		if tick(next)(r.Message) {
			next++
		}
	}
	if next != many {
		t.Errorf("tick %d is missing or out of order", next)
	}
}

func TestWaitName(t *testing.T) {
	l := lab.ForTest(t)
	h, err := l.Host("bus")
	must(t, err)
	bus, err := h.StartBus()
	must(t, err)
	conn, err := bus.Connect()
	must(t, err)
	defer conn.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := bus.WaitName(ctx, "net.connman", true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody owns the name, yet WaitName says %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	owned := make(chan error, 1)
	go func() { owned <- bus.WaitName(ctx, "net.connman", true) }()
	_, err = conn.RequestName("net.connman", 0)
	must(t, err)
	must(t, <-owned)
}
