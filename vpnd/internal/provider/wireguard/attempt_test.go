package wireguard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const uplink, tunnel = 2, 7

// world is a kernel, a name service and a connection of which a test notes what
// is reported.
type world struct {
	t        *testing.T
	provider *Provider
	attempt  core.Attempt
	hasty    bool // whoever connects stops at once

	mu       sync.Mutex // guards all below
	links    int
	broken   error // of create
	stale    bool
	states   map[wgtypes.Key]state
	moves    []netip.AddrPort
	mtus     []int
	ways     map[netip.Addr]way
	changed  func()
	names    map[string][]netip.Addr
	lookups  int
	reported []string
}

func (w *world) missing() error { return nil }

func (w *world) removeStale() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stale = false
	return nil
}

func (w *world) create(_ string, c config, endpoints []netip.AddrPort) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stale {
		w.t.Error("a link is made while those of an earlier run are there")
	}
	if w.broken != nil {
		return 0, w.broken
	}
	w.links++
	for i, p := range c.peers {
		w.states[p.public] = state{endpoint: endpoints[i]}
	}
	return tunnel, nil
}

func (w *world) remove(int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.links = 0
	return nil
}

func (w *world) peers(int) (map[wgtypes.Key]state, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.links == 0 {
		return nil, errGone
	}
	states := map[wgtypes.Key]state{}
	for key, s := range w.states {
		states[key] = s
	}
	return states, nil
}

func (w *world) move(_ int, peer wgtypes.Key, to netip.AddrPort) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.states[peer]
	s.endpoint = to
	w.states[peer] = s
	w.moves = append(w.moves, to)
	return nil
}

func (w *world) setMTU(_, mtu int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mtus = append(w.mtus, mtu)
	return nil
}

func (w *world) way(to netip.Addr) way {
	w.mu.Lock()
	defer w.mu.Unlock()
	if by, ok := w.ways[to]; ok {
		return by
	}
	return way{link: uplink}
}

func (w *world) watch(ctx context.Context, changed func()) error {
	w.mu.Lock()
	w.changed = changed
	w.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

func (w *world) resolve(_ context.Context, name string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups++
	if list, ok := w.names[name]; ok {
		return append([]netip.Addr(nil), list...), nil
	}
	return nil, errors.New("no such name")
}

// do changes the world.
func (w *world) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// speak has the first peer be sent something, and answer it.
func (w *world) speak(answer bool) {
	w.do(func() {
		key := mustKey(w.t, publicKey)
		s := w.states[key]
		s.sent += 148
		if answer {
			s.received += 92
		}
		w.states[key] = s
	})
}

// expect wants exactly this to have been reported since the last time.
func (w *world) expect(want ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.reported, "; "); got != strings.Join(want, "; ") {
		w.t.Errorf("reported %q, want %q", got, strings.Join(want, "; "))
	}
	w.reported = nil
}

func (w *world) report(event core.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case core.Up:
		w.reported = append(w.reported, fmt.Sprintf("up %d via %v %v", e.Tunnel.Index, e.Tunnel.IPv4.Gateway, e.Tunnel.IPv6.Gateway))
	case core.Ended:
		w.reported = append(w.reported, fmt.Sprintf("ended %d: %v", e.Cause, e.Err))
	default:
		w.t.Errorf("reported %T", event)
	}
}

// pass lets time pass and what is due be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func addresses4(list ...string) (all []netip.Addr) {
	for _, text := range list {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// live runs a test in a world whose connection has begun.
func live(t *testing.T, settings core.Settings, prepare func(*world), test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		l := loop.New(slog.New(slog.DiscardHandler))
		w := &world{
			t: t, stale: true, states: map[wgtypes.Key]state{}, ways: map[netip.Addr]way{},
			names: map[string][]netip.Addr{"peer.test": addresses4("192.0.2.1")},
		}
		w.provider = New(l, slog.New(slog.DiscardHandler))
		w.provider.kernel, w.provider.resolve = w, w.resolve
		if prepare != nil {
			prepare(w)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { l.Run(ctx); close(ended) }()
		l.Post("connect", func() {
			w.attempt = w.provider.Connect(core.Request{ID: "x", Settings: settings}, w.report)
			if w.hasty {
				w.attempt.Stop()
			}
			w.provider.Start()
		})
		test(w)
		w.on(w.attempt.Stop)
		synctest.Wait()
		if w.links != 0 {
			t.Errorf("%d links are left", w.links)
		}
		cancel()
		<-ended
		l.Wait()
	})
}

// on runs f on the loop.
func (w *world) on(f func()) {
	done := make(chan struct{})
	w.provider.loop.Post("test", func() { f(); close(done) })
	<-done
}

func TestUpAndStop(t *testing.T) {
	live(t, example(), nil, func(w *world) {
		w.expect("up 7 via 3.2.5.6 invalid IP")
		w.on(w.attempt.Stop)
		w.on(w.attempt.Stop)
		w.expect("ended 0: <nil>")
	})
}

// Stop ends what has hardly begun, with one report.
func TestStopAtOnce(t *testing.T) {
	for name, settings := range map[string]core.Settings{
		"good settings": example(), "wrong settings": example("WireGuard.PublicKey", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			live(t, settings, func(w *world) { w.hasty = true }, func(w *world) { w.expect("ended 0: <nil>") })
		})
	}
}

func TestFailures(t *testing.T) {
	live(t, example("WireGuard.Address", ""), nil, func(w *world) {
		w.expect("ended 1: WireGuard.Address: is missing")
	})
	live(t, example("WireGuard.PublicKey", ownKey), nil, func(w *world) {
		w.expect("ended 1: WireGuard.PublicKey: is our own")
	})
	live(t, example("Host", "nobody.test"), nil, func(w *world) {
		w.expect("ended 1: cannot resolve nobody.test: no such name")
	})
	live(t, example(), func(w *world) { w.broken = errMissing }, func(w *world) {
		w.expect("ended 1: the kernel has no WireGuard")
	})
}

// A link that somebody removes ends the tunnel as soon as it is noticed.
func TestLinkRemoved(t *testing.T) {
	live(t, example(), nil, func(w *world) {
		w.expect("up 7 via 3.2.5.6 invalid IP")
		pass(soon)
		w.do(func() { w.links = 0 })
		w.changed()
		w.expect("ended 1: the link is gone")
	})
}

// A name is resolved again while its peer does not answer, and only then.
func TestResolveAgain(t *testing.T) {
	live(t, example("Host", "peer.test"), nil, func(w *world) {
		w.expect("up 7 via 192.0.2.1 invalid IP")
		w.do(func() { w.names["peer.test"] = addresses4("192.0.2.9") })
		pass(10 * time.Minute)
		w.speak(true)
		pass(10 * time.Minute)
		w.expect()
		if w.lookups != 1 {
			t.Errorf("resolved %d times though nothing was wrong", w.lookups)
		}
		w.speak(false)
		pass(lookEvery)
		w.expect()
		w.speak(false)
		pass(lookEvery)
		w.expect("up 7 via 192.0.2.9 invalid IP")
		before := w.lookups
		for range 5 {
			w.speak(true)
			pass(lookEvery)
			w.speak(false)
			pass(lookEvery)
		}
		w.expect()
		if w.lookups != before {
			t.Errorf("resolved %d times though the peer answers", w.lookups-before)
		}
	})
}

// A peer that never answered is looked for at other addresses in turn, those to
// which there is a way first.
func TestTryOtherAddresses(t *testing.T) {
	prepare := func(w *world) {
		w.names["peer.test"] = addresses4("2001:db8::1", "192.0.2.1", "192.0.2.2")
		w.ways[netip.MustParseAddr("2001:db8::1")] = way{}
	}
	live(t, example("Host", "peer.test"), prepare, func(w *world) {
		w.expect("up 7 via 192.0.2.1 invalid IP")
		w.do(func() { w.ways[netip.MustParseAddr("2001:db8::1")] = way{link: tunnel} })
		for range 3 {
			w.speak(false)
			pass(lookEvery)
		}
		w.expect("up 7 via 192.0.2.2 invalid IP", "up 7 via 192.0.2.1 invalid IP")
	})
}

// When the machine is elsewhere, names are too.
func TestUplinkChanged(t *testing.T) {
	live(t, example("Host", "peer.test"), nil, func(w *world) {
		w.expect("up 7 via 192.0.2.1 invalid IP")
		pass(soon)
		old := netip.MustParseAddr("192.0.2.1")
		w.do(func() { w.names["peer.test"] = addresses4("2001:db8::9") })
		w.do(func() { w.ways[old] = way{} })
		w.changed()
		w.expect()
		w.do(func() { w.ways[old] = way{link: tunnel} })
		w.changed()
		w.expect()
		w.do(func() { w.ways[old] = way{link: 3} })
		w.changed()
		w.expect("up 7 via invalid IP 2001:db8::9")
	})
}

// The link's MTU follows the way to the peer, as long as there is one outside the
// tunnel.
func TestMTUFollowsWay(t *testing.T) {
	live(t, example("VPN.MTU", ""), nil, func(w *world) {
		w.expect("up 7 via 3.2.5.6 invalid IP")
		pass(soon)
		for _, by := range []way{
			{link: uplink, mtu: 1500}, {link: uplink, mtu: 1492}, {link: tunnel, mtu: 1412}, {},
			{link: uplink, mtu: 9000}, {link: uplink, mtu: 600},
		} {
			w.do(func() { w.ways[netip.MustParseAddr("3.2.5.6")] = by })
			w.changed()
			synctest.Wait()
		}
		w.expect()
		if got := fmt.Sprint(w.mtus); got != "[1412 1420 1280]" {
			t.Errorf("the MTU became %s", got)
		}
	})
	live(t, example("VPN.MTU", "1380"), func(w *world) {
		w.ways[netip.MustParseAddr("3.2.5.6")] = way{link: uplink, mtu: 1300}
	}, func(w *world) {
		pass(lookEvery)
		if len(w.mtus) != 0 {
			t.Errorf("the MTU became %v though the settings have one", w.mtus)
		}
		w.expect("up 7 via 3.2.5.6 invalid IP")
	})
}

// A peer may move by itself; the uplink's route must follow.
func TestPeerRoams(t *testing.T) {
	live(t, example(), nil, func(w *world) {
		w.expect("up 7 via 3.2.5.6 invalid IP")
		w.do(func() {
			w.states[mustKey(t, publicKey)] = state{endpoint: netip.MustParseAddrPort("192.0.2.77:4"), received: 92}
		})
		pass(lookEvery)
		w.expect("up 7 via 192.0.2.77 invalid IP")
		if len(w.moves) != 0 {
			t.Errorf("moved to %v", w.moves)
		}
	})
}

// A further peer whose name is not known does not keep the others waiting.
func TestFurtherPeerIsFoundLater(t *testing.T) {
	settings := example("WireGuard.Peer2.PublicKey", otherKey, "WireGuard.Peer2.AllowedIPs", "10.9.0.0/16",
		"WireGuard.Peer2.Endpoint", "later.test:7")
	live(t, settings, nil, func(w *world) {
		w.expect("up 7 via 3.2.5.6 invalid IP")
		pass(lookEvery)
		w.expect()
		w.do(func() { w.names["later.test"] = addresses4("192.0.2.5") })
		pass(lookEvery)
		w.expect("up 7 via 3.2.5.6 invalid IP")
		if got := fmt.Sprint(w.moves); got != "[192.0.2.5:7]" {
			t.Errorf("moved to %s", got)
		}
	})
}
