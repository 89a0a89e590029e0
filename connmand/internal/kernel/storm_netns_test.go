//go:build netns

package kernel

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/kernel/netnstest"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// mirror is the state as events tell it.
type mirror struct {
	links   map[string]Link
	addrs   map[string]bool
	resyncs int
}

func (m *mirror) take(events []Event) {
	for _, e := range events {
		switch e := e.(type) {
		case Resync:
			m.resyncs++
			m.links, m.addrs = map[string]Link{}, map[string]bool{}
			for _, l := range e.Links {
				m.links[l.Name] = l
			}
			for _, a := range e.Addrs {
				m.addrs[a.Prefix.String()] = true
			}
		case LinkChanged:
			m.links[e.Link.Name] = e.Link
		case LinkRemoved:
			for name, l := range m.links {
				if l.Index == e.Index {
					delete(m.links, name)
				}
			}
		case AddrChanged:
			m.addrs[e.Addr.Prefix.String()] = true
		case AddrRemoved:
			delete(m.addrs, e.Addr.Prefix.String())
		}
	}
}

// However much is lost, a second later the truth is known.
func TestOverflowIsRecovered(t *testing.T) {
	n, err := open(slog.New(slog.DiscardHandler), 1) // the kernel makes it a few KiB
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	events, blocked := make(chan []Event), make(chan struct{})
	go func() {
		ended <- n.Run(ctx, func(e []Event) {
			<-blocked // nobody reads until the storm is over
			events <- e
		})
	}()
	defer func() {
		cancel()
		for {
			select {
			case <-events:
			case <-ended:
				return
			}
		}
	}()

	var up, storm strings.Builder
	for i := range 60 {
		fmt.Fprintf(&up, "link add s%d type veth peer name p%d\nlink set s%d up\nlink set p%d up\n", i, i, i, i)
		fmt.Fprintf(&storm, "addr add 10.7.0.%d/24 dev s0\naddr add 10.8.0.%d/24 dev s0\naddr del 10.7.0.%d/24 dev s0\n", i+1, i+1, i+1)
		fmt.Fprintf(&storm, "link set p%d down\n", i)
	}
	netnstest.Batch(t, up.String())
	netnstest.Batch(t, storm.String())
	netnstest.IP(t, "link del s1")
	close(blocked)

	wrong := "nothing was read"
	var m mirror
	for deadline := time.After(time.Second); wrong != ""; {
		select {
		case e := <-events:
			m.take(e)
		case <-deadline:
			t.Fatalf("a second after the storm: %s", wrong)
		}
		wrong = m.differs()
	}
	if m.resyncs < 2 {
		t.Fatal("nothing overflowed: the test tests nothing")
	}
	cleanUp(t, 60)
}

// differs compares with what the net package reads.
func (m *mirror) differs() string {
	links, err := net.Interfaces()
	if err != nil {
		return err.Error()
	}
	if len(links) != len(m.links) {
		return fmt.Sprintf("%d links are known of %d", len(m.links), len(links))
	}
	for _, l := range links {
		known, ok := m.links[l.Name]
		if !ok || known.Running != (l.Flags&net.FlagRunning != 0) || known.Up != (l.Flags&net.FlagUp != 0) {
			return fmt.Sprintf("%s is known as %+v", l.Name, known)
		}
		addrs, _ := l.Addrs()
		for _, a := range addrs {
			if !m.addrs[a.String()] {
				return a.String() + " is not known"
			}
		}
	}
	return ""
}

func cleanUp(t testing.TB, n int) {
	t.Helper()
	var down strings.Builder
	for i := range n {
		if _, err := net.InterfaceByName(fmt.Sprintf("s%d", i)); err == nil {
			fmt.Fprintf(&down, "link del s%d\n", i)
		}
	}
	netnstest.Batch(t, down.String())
}

// CVE-2012-2320: messages that another process sends are not the kernel's.
func TestForgedMessagesAreIgnored(t *testing.T) {
	n, err := Open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var m mirror
	go func() { ended <- n.Run(ctx, m.take) }()
	if err := n.Sync(ctx); err != nil {
		t.Fatal(err)
	}

	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	victim := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: portOf(t, n)}
	forgeries := [][]byte{
		message(ethUp, unix.IFLA_IFNAME, "evil0\x00"),
		message(addr4, unix.IFA_LOCAL, "\x0a\x42\x42\x42"),
		message(route4, unix.RTA_OIF, "\x02\x00\x00\x00"),
	}
	for i, kind := range []uint16{unix.RTM_NEWLINK, unix.RTM_NEWADDR, unix.RTM_DELROUTE} {
		b := append(make([]byte, unix.SizeofNlMsghdr), forgeries[i]...)
		putHeader(b, header{kind: kind})
		if err := unix.Sendto(fd, b, 0, victim); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	netnstest.IP(t, "addr add 10.1.1.1/24 dev lo") // the next good message works
	if err := n.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	if _, ok := m.links["evil0"]; ok || m.addrs["10.66.66.66/24"] {
		t.Error("a forged message was believed")
	}
	if !m.addrs["10.1.1.1/24"] {
		t.Error("a good message was not")
	}
	if n.forged != len(forgeries) {
		t.Errorf("%d forged messages counted, want %d", n.forged, len(forgeries))
	}
	netnstest.IP(t, "addr del 10.1.1.1/24 dev lo")
}

func portOf(t *testing.T, n *Netlink) uint32 {
	t.Helper()
	var port uint32
	err := n.socket.raw.Control(func(fd uintptr) {
		if name, err := unix.Getsockname(int(fd)); err == nil {
			port = name.(*unix.SockaddrNetlink).Pid
		}
	})
	if err != nil || port == 0 {
		t.Fatalf("no port: %v", err)
	}
	return port
}

// BenchmarkOpen is what the start of the daemon waits for: sockets and dump.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		n, err := Open(slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		_ = n.Run(ctx, func([]Event) { cancel() })
		cancel()
		n.Close()
	}
}
