//go:build netns

package kernel_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/kernel/kerneltest"
	"net.connman/connmand/internal/kernel/netnstest"
	"net.connman/pkg/netcfg"
)

func TestSuite(t *testing.T) {
	kerneltest.Suite(t, func(t *testing.T) kerneltest.Lab {
		k := openKernel(t)
		t.Cleanup(func() { removeLinks(t) })
		return kerneltest.Lab{
			Kernel: k,
			AddLink: func(name string) int {
				netnstest.IP(t, "link add "+name+" type veth peer name peer0")
				return indexOf(t, name)
			},
			RemoveLink: func(index int) { netnstest.IP(t, "link del "+nameOf(t, index)) },
			SetCarrier: func(_ int, on bool) {
				netnstest.IP(t, "link set peer0 "+map[bool]string{true: "up", false: "down"}[on])
			},
			Put: func(index int, a netcfg.Addr) {
				netnstest.IP(t, "addr add "+a.Prefix.String()+" valid_lft 600 preferred_lft 600 dev "+nameOf(t, index))
			},
		}
	})
}

func openKernel(t testing.TB) *kernel.Netlink {
	t.Helper()
	k, err := kernel.Open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func indexOf(t testing.TB, name string) int {
	t.Helper()
	l, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Index
}

func nameOf(t testing.TB, index int) string {
	t.Helper()
	l, err := net.InterfaceByIndex(index)
	if err != nil {
		t.Fatal(err)
	}
	return l.Name
}

// removeLinks removes all links but the loopback link.
func removeLinks(t testing.TB) {
	t.Helper()
	for {
		links, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		removed := false
		for _, l := range links {
			if l.Index != kernel.LoopbackIndex && !strings.HasPrefix(l.Name, "peer") {
				netnstest.IP(t, "link del "+l.Name)
				removed = true
			}
		}
		if !removed {
			return
		}
	}
}
