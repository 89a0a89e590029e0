package wireguard

import (
	"errors"
	"math"
	"net/netip"
	"sync"
	"testing"
)

// Tunnels share the kernel's socket, also when what one of them looks for is not
// there.
func TestSharedSocket(t *testing.T) {
	var k linux
	loopback := netip.MustParseAddr("127.0.0.1")
	want := k.way(loopback)
	if want.link == 0 || want.source != loopback || want.mtu == 0 {
		t.Fatalf("the way to ourselves is %+v", want)
	}
	handle := k.handle
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if got := k.way(loopback); got != want {
					t.Errorf("the way is %+v, want %+v", got, want)
				}
				if _, err := k.peers(math.MaxInt32); !errors.Is(err, errGone) {
					t.Errorf("error %v of a link that is not there", err)
				}
			}
		})
	}
	all.Wait()
	if k.handle != handle || k.client != nil {
		t.Error("sockets were opened that nobody needs")
	}
}
