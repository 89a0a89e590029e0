//go:build netns

package rawsock

import (
	"context"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel/netnstest"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

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
	netnstest.IP(t, "link add a0 type veth peer name a1")
	netnstest.IP(t, "link add b0 type veth peer name b1")
	defer netnstest.IP(t, "link del b0")
	for _, name := range []string{"a0", "a1", "b0", "b1"} {
		netnstest.IP(t, "link set "+name+" up")
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
	netnstest.IP(t, "link set a0 down")
	netnstest.IP(t, "link del a0")
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
