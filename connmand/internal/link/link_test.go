package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/kernel/fake"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

var _ core.Links = (*Table)(nil)

// house is a table over a kernel in memory, in a synctest bubble.
type house struct {
	t     testing.TB
	loop  *loop.Loop
	k     *fake.Kernel
	table *Table
	log   *strings.Builder
}

// bubble runs test with a house. prepare, which may be nil, sets the kernel up
// before the table sees it.
func bubble(t *testing.T, prepare func(*fake.Kernel), test func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { house0(t, prepare, test) })
}

func house0(t testing.TB, prepare func(*fake.Kernel), test func(h *house)) {
	log := &strings.Builder{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	h := &house{t: t, loop: loop.New(logger), k: fake.New(), log: log}
	h.table = New(h.loop, h.k, logger)
	if prepare != nil {
		prepare(h.k)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer func() { cancel(); synctest.Wait(); h.loop.Wait() }()
	go h.loop.Run(ctx)
	go func() {
		_ = h.k.Run(ctx, func(e []kernel.Event) { h.loop.Post("kernel", func() { h.table.Deliver(e) }) })
	}()
	synctest.Wait()
	h.k.Writes()
	test(h)
}

// on runs fn on the loop and waits until everything has come to rest.
func (h *house) on(fn func()) {
	h.loop.Post("test", fn)
	synctest.Wait()
}

// apply applies want and returns the outcome.
func (h *house) apply(index int, want netcfg.LinkConfig) error {
	h.t.Helper()
	err := errors.New("no answer")
	h.on(func() { h.table.Apply(index, want, func(e error) { err = e }) })
	return err
}

// eth adds a link that is up with its carrier.
func eth(k *fake.Kernel, name string) kernel.Link {
	return k.AddLink(kernel.Link{
		Name: name, Type: kernel.TypeEther, HardwareAddr: "\x02\x00\x00\x00\x00\x01",
		Up: true, Carrier: true, Running: true, MaxMTU: 9000,
	})
}

func config(address, gateway string, metric uint32) netcfg.LinkConfig {
	gw := netip.MustParseAddr(gateway)
	return netcfg.LinkConfig{
		Addrs: []netcfg.Addr{{Prefix: netip.MustParsePrefix(address)}},
		Routes: []netcfg.Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: gw, Metric: metric},
			{Dst: netip.PrefixFrom(gw, 32), Metric: metric},
		},
	}
}

func (h *house) wrote(want ...string) {
	h.t.Helper()
	if got := h.k.Writes(); !slices.Equal(got, want) {
		h.t.Fatalf("the kernel was asked\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestApplyTwiceWritesOnce(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		want := config("10.0.0.2/24", "10.0.0.1", 5)
		if err := h.apply(l.Index, want); err != nil {
			t.Fatal(err)
		}
		h.wrote(
			fmt.Sprintf("add address 10.0.0.2/24 on %d", l.Index),
			fmt.Sprintf("add route 10.0.0.1/32 via invalid IP metric 5 on %d", l.Index),
			fmt.Sprintf("add route 0.0.0.0/0 via 10.0.0.1 metric 5 on %d", l.Index),
		)
		if err := h.apply(l.Index, want); err != nil {
			t.Fatal(err)
		}
		h.wrote()
		h.on(func() {
			got := h.table.Observed(l.Index)
			want.MTU = 1500
			if !got.Equal(want) {
				t.Errorf("observed %+v, want %+v", got, want)
			}
		})
	})
}

// The new address and routes are there before the old ones go.
func TestMakeBeforeBreak(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		_ = h.apply(l.Index, config("10.0.0.2/24", "10.0.0.1", 5))
		h.k.Writes()
		_ = h.apply(l.Index, config("10.0.0.3/24", "10.0.0.9", 5))
		h.wrote(
			fmt.Sprintf("add address 10.0.0.3/24 on %d", l.Index),
			fmt.Sprintf("add route 10.0.0.9/32 via invalid IP metric 5 on %d", l.Index),
			fmt.Sprintf("add route 0.0.0.0/0 via 10.0.0.9 metric 5 on %d", l.Index),
			fmt.Sprintf("delete route 10.0.0.1/32 via invalid IP metric 5 on %d", l.Index),
			fmt.Sprintf("delete route 0.0.0.0/0 via 10.0.0.1 metric 5 on %d", l.Index),
			"set ipv4 promote_secondaries of eth0 to 1",
			fmt.Sprintf("delete address 10.0.0.2/24 on %d", l.Index),
		)
	})
}

// What others put on the link stays, whatever is applied.
func TestForeignStays(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		foreign := kernel.Addr{Index: l.Index, Addr: netcfg.Addr{Prefix: netip.MustParsePrefix("192.168.7.7/24")}}
		route := kernel.Route{Index: l.Index, Protocol: kernel.ProtocolBoot,
			Route: netcfg.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.168.7.1")}}
		h.k.Put(foreign)
		if err := h.k.PutRoute(route); err != nil {
			t.Fatal(err)
		}
		_ = h.apply(l.Index, config("10.0.0.2/24", "10.0.0.1", 5))
		_ = h.apply(l.Index, netcfg.LinkConfig{})
		if got := h.k.Addrs(l.Index); !slices.Equal(got, []kernel.Addr{foreign}) {
			t.Errorf("addresses are %+v", got)
		}
		if got := h.k.Routes(l.Index); !slices.Equal(got, []kernel.Route{route}) {
			t.Errorf("routes are %+v", got)
		}
	})
}

// A link with what an earlier run left is taken over without a gap: what fits
// is not touched, what was ours and does not fit goes.
func TestAdoptOwn(t *testing.T) {
	want := config("10.0.0.2/24", "10.0.0.1", 0)
	var l kernel.Link
	bubble(t, func(k *fake.Kernel) {
		l = eth(k, "eth0")
		k.Put(kernel.Addr{Index: l.Index, Addr: want.Addrs[0], Protocol: kernel.Protocol})
		k.Put(kernel.Addr{Index: l.Index, Protocol: kernel.Protocol,
			Addr: netcfg.Addr{Prefix: netip.MustParsePrefix("10.1.0.9/24")}})
		for _, r := range want.Routes[1:] {
			_ = k.PutRoute(kernel.Route{Index: l.Index, Route: r, Protocol: kernel.Protocol})
		}
	}, func(h *house) {
		h.wrote() // nothing before the first Apply
		_ = h.apply(l.Index, want)
		h.wrote(
			fmt.Sprintf("add route 0.0.0.0/0 via 10.0.0.1 metric 0 on %d", l.Index),
			fmt.Sprintf("delete address 10.1.0.9/24 on %d", l.Index),
		)
	})
}

// Unmarked leftovers that lead to the same gateway make place for ours, once
// ours are there; a stale address without mark stays.
func TestAdoptUnmarked(t *testing.T) {
	want := config("10.0.0.2/24", "10.0.0.1", 7)
	var l kernel.Link
	bubble(t, func(k *fake.Kernel) {
		l = eth(k, "eth0")
		k.Put(kernel.Addr{Index: l.Index, Addr: want.Addrs[0]})
		for _, r := range config("10.0.0.2/24", "10.0.0.1", 0).Routes {
			_ = k.PutRoute(kernel.Route{Index: l.Index, Route: r, Protocol: kernel.ProtocolBoot})
		}
		_ = k.PutRoute(kernel.Route{Index: l.Index, Protocol: kernel.ProtocolBoot,
			Route: netcfg.Route{Dst: netip.MustParsePrefix("10.5.0.0/16"), Gateway: netip.MustParseAddr("10.0.0.1")}})
	}, func(h *house) {
		_ = h.apply(l.Index, want)
		h.wrote(
			fmt.Sprintf("add address 10.0.0.2/24 on %d", l.Index), // marks it
			fmt.Sprintf("add route 10.0.0.1/32 via invalid IP metric 7 on %d", l.Index),
			fmt.Sprintf("add route 0.0.0.0/0 via 10.0.0.1 metric 7 on %d", l.Index),
			fmt.Sprintf("delete route 0.0.0.0/0 via 10.0.0.1 metric 0 on %d", l.Index),
			fmt.Sprintf("delete route 10.0.0.1/32 via invalid IP metric 0 on %d", l.Index),
		)
	})
}

func TestFlushIsRepairedAtOnceThenSlowly(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		want := config("10.0.0.2/24", "10.0.0.1", 5)
		_ = h.apply(l.Index, want)
		has := func() bool { return len(h.k.Addrs(l.Index)) == 1 && len(h.k.Routes(l.Index)) == 2 }
		h.k.Flush(l.Index)
		synctest.Wait()
		if !has() {
			t.Fatal("not repaired at once")
		}
		if !strings.Contains(h.log.String(), "applying it again") {
			t.Error("the repair was not logged")
		}
		h.k.Flush(l.Index)
		synctest.Wait()
		if has() {
			t.Fatal("the second repair did not wait")
		}
		time.Sleep(firstPause)
		synctest.Wait()
		if !has() {
			t.Fatal("not repaired after the pause")
		}
		h.k.Writes()
		for range 600 { // somebody flushes every second for ten minutes
			h.k.Flush(l.Index)
			time.Sleep(time.Second)
		}
		if n := len(h.k.Writes()); n > 3*(600/30+10) {
			t.Errorf("%d requests in ten minutes", n)
		}
	})
}

// When the link comes up again the kernel has dropped the routes.
func TestRoutesReturnWithTheLink(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		want := config("10.0.0.2/24", "10.0.0.1", 5)
		_ = h.apply(l.Index, want)
		h.k.ChangeLink(l.Index, func(l *kernel.Link) { l.Up, l.Carrier = false, false })
		synctest.Wait()
		if err := h.apply(l.Index, want); !errors.Is(err, kernel.ErrLinkDown) {
			t.Errorf("apply on a link that is down: %v", err)
		}
		h.k.ChangeLink(l.Index, func(l *kernel.Link) { l.Up, l.Carrier = true, true })
		synctest.Wait()
		if got := h.k.Routes(l.Index); len(got) != 2 {
			t.Errorf("routes are %+v", got)
		}
	})
}

// The newest Apply wins, and the ones it replaced are never answered.
func TestNewestApplyWins(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		var answers []int
		h.on(func() {
			for i := range 10 {
				want := config(fmt.Sprintf("10.0.0.%d/24", 10+i), "10.0.0.1", 5)
				h.table.Apply(l.Index, want, func(error) { answers = append(answers, i) })
			}
		})
		if !slices.Equal(answers, []int{9}) {
			t.Errorf("answered %v, want the last alone", answers)
		}
		if got := h.k.Addrs(l.Index); len(got) != 1 || got[0].Prefix.String() != "10.0.0.19/24" {
			t.Errorf("addresses are %+v", got)
		}
		if n := len(h.k.Writes()); n > 10 {
			t.Errorf("%d requests: not coalesced", n)
		}
	})
}

func TestVanishingLink(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		var applied, up error
		vanish := sync.OnceFunc(func() { go h.k.RemoveLink(l.Index) }) // as soon as the kernel is free
		h.k.Fail(func(string) error {
			vanish()
			return kernel.ErrNoLink
		})
		h.on(func() {
			h.table.Apply(l.Index, config("10.0.0.2/24", "10.0.0.1", 5), func(e error) { applied = e })
			h.table.SetUp(l.Index, false, func(e error) { up = e })
		})
		if !errors.Is(applied, kernel.ErrNoLink) || !errors.Is(up, kernel.ErrNoLink) {
			t.Errorf("answers are %v and %v", applied, up)
		}
		if err := h.apply(l.Index, netcfg.LinkConfig{}); !errors.Is(err, kernel.ErrNoLink) {
			t.Errorf("apply on a link that is gone: %v", err)
		}
	})
}

func TestFailureIsReportedAndTriedAgain(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		broken := errors.New("broken")
		h.k.Fail(func(request string) error {
			if strings.HasPrefix(request, "add route") {
				return broken
			}
			return nil
		})
		if err := h.apply(l.Index, config("10.0.0.2/24", "10.0.0.1", 5)); !errors.Is(err, broken) {
			t.Fatalf("outcome is %v", err)
		}
		h.k.Fail(nil)
		time.Sleep(firstPause)
		synctest.Wait()
		if got := h.k.Routes(l.Index); len(got) != 2 {
			t.Errorf("routes are %+v", got)
		}
	})
}

func TestMTU(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		for _, c := range []struct{ want, is int }{{1400, 1400}, {20000, 9000}, {0, 1500}, {0, 1500}} {
			if err := h.apply(l.Index, netcfg.LinkConfig{MTU: c.want}); err != nil {
				t.Fatal(err)
			}
			h.on(func() {
				if got := h.table.Observed(l.Index).MTU; got != c.is {
					t.Errorf("asked for %d, have %d, want %d", c.want, got, c.is)
				}
			})
		}
	})
}

func TestSetUp(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		answers := 0
		h.on(func() {
			h.table.SetUp(l.Index, true, func(error) { answers++ })
			if answers != 0 {
				t.Error("answered from within the call")
			}
		})
		h.wrote()
		h.on(func() { h.table.SetUp(l.Index, false, func(error) { answers++ }) })
		h.wrote(fmt.Sprintf("set up false on %d", l.Index))
		if answers != 2 {
			t.Errorf("%d answers, want 2", answers)
		}
	})
}

// A link that gets another hardware address is up again, or still down, also when
// it does not take the address.
func TestSetHardwareAddr(t *testing.T) {
	const address = "\x02\x00\x00\x00\x00\x77"
	for _, up := range []bool{true, false} {
		for _, fails := range []bool{false, true} {
			bubble(t, nil, func(h *house) {
				l := eth(h.k, "eth0")
				synctest.Wait()
				if !up {
					h.on(func() { h.table.SetUp(l.Index, false, nil) })
				}
				h.k.Fail(func(request string) error {
					if fails && strings.HasPrefix(request, "set hardware address") {
						return kernel.ErrPermission
					}
					return nil
				})
				answer := errors.New("no answer")
				h.on(func() { h.table.SetHardwareAddr(l.Index, address, func(err error) { answer = err }) })
				now := h.k.Link(l.Index)
				if errors.Is(answer, kernel.ErrPermission) != fails || now.Up != up || (now.HardwareAddr == address) == fails {
					t.Errorf("up %t, refused %t: answer %v, link %+v", up, fails, answer, now)
				}
			})
		}
	}
}

func TestLoopbackIsSetUp(t *testing.T) {
	for name, prepare := range map[string]func(*fake.Kernel){
		"down":       nil,
		"no address": func(k *fake.Kernel) { _ = k.SetUp(kernel.LoopbackIndex, true); k.Flush(kernel.LoopbackIndex) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, prepare, func(h *house) {
				a := h.k.Addrs(kernel.LoopbackIndex)
				if len(a) != 1 || a[0].Prefix.String() != "127.0.0.1/8" {
					t.Errorf("loopback has %+v", a)
				}
			})
		})
	}
	bubble(t, func(k *fake.Kernel) { _ = k.SetUp(kernel.LoopbackIndex, true); k.Writes() }, func(h *house) {
		h.on(func() {})
		h.wrote() // the system did it
	})
}

func TestWatchReplaysAndFollows(t *testing.T) {
	bubble(t, func(k *fake.Kernel) { eth(k, "eth0") }, func(h *house) {
		var got []string
		h.on(func() {
			h.table.Watch(func(e Event) {
				switch e := e.(type) {
				case Added:
					got = append(got, "+"+e.Link.Name)
				case Changed:
					got = append(got, e.Old.Name+">"+e.Link.Name)
				case Removed:
					got = append(got, "-"+e.Link.Name)
				}
			})
		})
		l := eth(h.k, "eth1")
		h.k.ChangeLink(l.Index, func(l *kernel.Link) { l.Name = "lan" })
		h.k.Refresh() // drops what is queued: the difference is told all the same
		synctest.Wait()
		h.k.RemoveLink(l.Index)
		h.k.Refresh()
		synctest.Wait()
		if want := []string{"+lo", "+eth0", "+lan", "-lan"}; !slices.Equal(got, want) {
			t.Errorf("observed %v, want %v", got, want)
		}
	})
}

// Somebody replaces our route: no message says that it is gone.
func TestReplacedRouteIsPutBack(t *testing.T) {
	bubble(t, nil, func(h *house) {
		l := eth(h.k, "eth0")
		synctest.Wait()
		want := config("10.0.0.2/24", "10.0.0.1", 5)
		_ = h.apply(l.Index, want)
		h.k.Writes()
		rival := kernel.Route{Index: l.Index, Protocol: kernel.ProtocolStatic, Route: want.Routes[0]}
		h.k.Supersede(rival)
		synctest.Wait()
		h.wrote(fmt.Sprintf("add route 0.0.0.0/0 via 10.0.0.1 metric 5 on %d", l.Index))
		if got := h.k.Routes(l.Index); !slices.Contains(got, rival) {
			t.Errorf("the other's route is gone: %+v", got)
		}
	})
}

// Whatever was there and whatever was applied before, the link ends up with
// exactly the foreign and the wanted.
func TestConvergesFromAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		addresses := []string{"10.0.0.2/24", "10.0.0.3/24", "10.0.0.2/16", "192.168.1.1/24"}
		gateways := []string{"10.0.0.1", "10.0.0.9"}
		subset := func(label string) netcfg.LinkConfig {
			c := netcfg.LinkConfig{Addrs: []netcfg.Addr{{Prefix: netip.MustParsePrefix("10.0.0.77/16")}}}
			for _, a := range addresses {
				if rapid.Bool().Draw(rt, label+a) {
					c.Addrs = append(c.Addrs, netcfg.Addr{Prefix: netip.MustParsePrefix(a)})
				}
			}
			for _, g := range gateways {
				if rapid.Bool().Draw(rt, label+g) {
					c.Routes = append(c.Routes, config("10.0.0.2/24", g, rapid.Uint32Range(0, 2).Draw(rt, "metric")).Routes...)
				}
			}
			return c
		}
		first, second := subset("first"), subset("second")
		synctest.Test(t, func(t *testing.T) {
			house0(t, nil, func(h *house) {
				l := eth(h.k, "eth0")
				synctest.Wait()
				_ = h.apply(l.Index, first)
				if err := h.apply(l.Index, second); err != nil {
					t.Fatalf("%+v then %+v: %v", first, second, err)
				}
				second.MTU = 1500
				h.on(func() {
					if got := h.table.Observed(l.Index); !got.Equal(second) {
						t.Fatalf("have %+v, want %+v", got, second)
					}
				})
			})
		})
	})
}
