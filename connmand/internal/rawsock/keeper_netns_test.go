//go:build netns

package rawsock

import (
	"context"
	"log/slog"
	"testing"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/kernel/netnstest"
	"net.connman/pkg/loop"
)

// A kept socket is the same whenever it is needed soon, says nothing in
// between, and is closed in the end.
func TestKeeper(t *testing.T) {
	netnstest.IP(t, "link add k0 type veth peer name k1")
	defer netnstest.IP(t, "link del k0")
	netnstest.IP(t, "link set k0 up")
	netnstest.IP(t, "link set k1 up")
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	ctx, cancel := context.WithTimeout(t.Context(), 4*linger)
	defer cancel()

	var k Keeper[heard]
	got := make(map[string][]string) // what was heard in which period
	listen := func(period string) *Socket {
		s, err := k.Listen(l, log, Protocol{Name: "kept", EtherType: unix.ETH_P_IP, Filter: UDPFilter(68)}, parseHeard,
			func(batch []heard) {
				for _, h := range batch {
					got[period] = append(got[period], h.text)
				}
			})
		if err != nil {
			t.Error(err)
		}
		return s
	}
	say := func(s *Socket, text string) {
		if err := s.Send(index(t, "k1"), Broadcast, AppendUDP(nil, datagram(text))); err != nil {
			t.Error(err)
		}
	}
	first := listen("first")
	k.Release()
	say(first, "to nobody")
	l.After("test", linger/5, func() {
		if listen("second") != first {
			t.Error("another socket was opened")
		}
		say(first, "to the second")
	})
	l.After("test", 2*linger/5, func() { k.Release() })
	var closed func()
	closed = func() {
		if k.socket == nil {
			l.Quit()
		} else {
			l.After("test", linger/5, closed)
		}
	}
	l.After("test", linger, closed)
	l.Run(ctx)
	l.Wait()
	if k.socket != nil {
		t.Error("the socket is never closed")
	}
	if len(got["first"]) != 0 || len(got["second"]) != 1 || got["second"][0] != "to the second" {
		t.Errorf("heard %v", got)
	}
	if _, err := first.file.Stat(); err == nil {
		t.Error("the kernel has the socket still")
	}
}

// Nothing is kept when the program ends, be it released before or after.
func TestKeeperAtTheEnd(t *testing.T) {
	for _, released := range []bool{true, false} {
		log := slog.New(slog.DiscardHandler)
		l := loop.New(log)
		var k Keeper[heard]
		l.Post("test", func() {
			s, err := k.Listen(l, log, Protocol{Name: "kept", EtherType: unix.ETH_P_IP, Filter: UDPFilter(68)}, parseHeard, func([]heard) {})
			if err != nil {
				t.Error(err)
			}
			if released {
				k.Release()
			}
			l.End()
			if !released {
				k.Release()
			}
			if k.socket != nil {
				t.Error("the socket is kept")
			}
			l.After("test", linger/5, func() {
				if _, err := s.file.Stat(); err == nil {
					t.Error("the kernel has the socket still")
				}
				l.Quit()
			})
		})
		l.Run(t.Context())
		l.Wait()
	}
}
