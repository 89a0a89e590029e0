//go:build netns

package rawsock

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

const insideEnv = "CONNMAN_TEST_INSIDE"

// isolate runs the calling test again in a network namespace of its own and
// reports whether the caller is that run.
func isolate(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("in its namespace: %v", err)
	}
	return false
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

func index(t *testing.T, name string) int {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return i.Index
}

type heard struct {
	link int
	from core.HardwareAddr
	text string
}

func parseHeard(p Packet) (heard, error) {
	u, err := ParseUDP(p)
	return heard{p.Link, p.From, string(u.Payload)}, err
}

// One socket hears all links, only what its filter passes and parse accepts,
// goes on when a link goes down, and is quiet after Close.
func TestSocket(t *testing.T) {
	if !isolate(t) {
		return
	}
	ip(t, "link add a0 type veth peer name a1")
	ip(t, "link add b0 type veth peer name b1")
	for _, name := range []string{"a0", "a1", "b0", "b1"} {
		ip(t, "link set "+name+" up")
	}
	l := loop.New(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended; l.Wait() }()

	on := func(fn func()) {
		done := make(chan struct{})
		l.Post("test", func() { fn(); close(done) })
		<-done
	}
	got := make(chan heard, 100)
	var s *Socket
	on(func() {
		var err error
		s, err = Listen(l, slog.New(slog.DiscardHandler), Protocol{Name: "test", EtherType: unix.ETH_P_IP, Filter: UDPFilter(68)},
			parseHeard, func(batch []heard) {
				for _, h := range batch {
					got <- h
				}
			})
		if err != nil {
			t.Error(err)
		}
	})
	send := func(from string, data []byte) {
		t.Helper()
		link := index(t, from)
		on(func() {
			if err := s.Send(link, Broadcast, data); err != nil {
				t.Error(err)
			}
		})
	}
	expect := func(on, text string) {
		t.Helper()
		select {
		case h := <-got:
			if h.link != index(t, on) || h.text != text || len(h.from) != 6 {
				t.Fatalf("heard %+v, want %q on %s", h, text, on)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("never heard %q", text)
		}
	}
	wrong := AppendUDP(nil, datagram("wrong checksum"))
	wrong[26] ^= 1
	other := datagram("other port")
	other.Destination = other.Source
	send("a1", wrong)
	send("a1", AppendUDP(nil, other))
	send("a1", AppendUDP(nil, datagram("one")))
	expect("a0", "one")
	send("b1", AppendUDP(nil, datagram("two")))
	expect("b0", "two")
	ip(t, "link set a0 down")
	ip(t, "link del a0")
	send("b0", AppendUDP(nil, datagram("three")))
	expect("b1", "three")
	link := index(t, "b1")
	on(func() {
		if err := s.Send(link, Broadcast, AppendUDP(nil, datagram("too late"))); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	on(func() {})
	if len(got) != 0 {
		t.Errorf("heard %+v after Close", <-got)
	}
}
