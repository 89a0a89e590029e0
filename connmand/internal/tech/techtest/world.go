package techtest

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// World is a domain in which nothing outside answers: what a bearer reports is
// all that happens.
type World struct {
	T       *testing.T
	Loop    *loop.Loop
	Manager *core.Manager
	Log     *slog.Logger
	// Changed hears on the loop of every change of the domain; it may be nil.
	Changed func(core.Change)
	// Known are the wireless networks of an earlier run. Set them before the
	// first device is there.
	Known []core.KnownNetwork
	// Context ends with the test.
	Context context.Context

	cancel context.CancelFunc
	global core.GlobalSettings
}

// failOnError makes every error that is logged one of the test.
type failOnError struct{ t *testing.T }

func (f failOnError) Write(line []byte) (int, error) {
	f.t.Errorf("logged: %s", line)
	return len(line), nil
}

// Run runs test in a world of its own, in a synctest bubble.
func Run(t *testing.T, test func(w *World)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.end()
		test(w)
		w.settle()
	})
}

func newWorld(t *testing.T) *World {
	log := slog.New(slog.NewTextHandler(failOnError{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	w := &World{T: t, Loop: loop.New(log), Log: log}
	w.Context, w.cancel = context.WithCancel(context.Background())
	w.global.Technologies = map[core.Type]core.TechnologySettings{}
	all := []core.Type{core.Ethernet, core.Wifi, core.Bluetooth, core.Cellular, core.Gadget, core.P2P}
	cfg := core.Config{DefaultEnabled: all, DefaultFavorite: all, DefaultAutoConnect: all,
		OnlineCheck: core.OnlineCheckConfig{Mode: core.OnlineCheckNone}}
	silent := silence{w.Loop, w}
	w.Manager = core.New(w.Loop, log, cfg, core.Ports{
		Links: silent, DHCP4: silent, Conflicts: conflicts{}, LinkLocal: linkLocal{}, RouterDiscovery: routers{}, Prober: silent,
		Resolver: silent, Hostnames: silent, Storage: silent, Agents: silent,
	}, w.global)
	w.Loop.AtTurnEnd(func() {
		for _, c := range w.Manager.TakeChanges() {
			if w.Changed != nil {
				w.Changed(c)
			}
		}
	})
	go w.Loop.Run(w.Context)
	return w
}

func (w *World) end() {
	w.cancel()
	synctest.Wait()
	w.Loop.Wait()
}

// Do runs fn on the loop and waits until nothing moves.
func (w *World) Do(fn func()) {
	w.Loop.Post("test", fn)
	synctest.Wait()
}

// Sleep lets time pass in the world.
func (w *World) Sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// settle waits until nothing moves, and what was put off for a moment is done.
func (w *World) settle() {
	w.Do(func() {})
	time.Sleep(5 * time.Second)
	w.Do(func() {})
}

func (w *World) wantTechnology(h Hardware, there bool) {
	w.T.Helper()
	w.settle()
	w.Do(func() {
		if got := w.Manager.Technology(h.Type) != nil; got != there {
			w.T.Fatalf("technology %s is there: %t, want %t", h.Type, got, there)
		}
	})
}

func (w *World) wantOn(h Hardware, name string, on bool) {
	w.T.Helper()
	w.settle()
	if got := h.On(name); got != on {
		w.T.Fatalf("device %s is on: %t, want %t", name, got, on)
	}
}

func (w *World) wantServices(h Hardware, n int) {
	w.T.Helper()
	w.settle()
	w.Do(func() {
		got := 0
		for _, s := range w.Manager.Services() {
			if s.Type() == h.Type {
				got++
			}
		}
		if got != n {
			w.T.Fatalf("%d services, want %d", got, n)
		}
	})
}

func (w *World) setPowered(h Hardware, on bool) {
	w.T.Helper()
	w.Do(func() {
		w.Manager.Technology(h.Type).SetPowered(on, func(err error) {
			if err != nil {
				w.T.Errorf("cannot power the technology %t: %v", on, err)
			}
		})
	})
	w.settle()
}

// forbid makes the user have switched a technology off before.
func (w *World) forbid(t core.Type) {
	w.Do(func() { w.global.Technologies[t] = core.TechnologySettings{Enable: false} })
}

// connect has the first service connect, if it does not do so by itself.
func (w *World) connect(h Hardware) {
	w.Do(func() { w.Manager.Services()[0].Connect("", func(error) {}) })
}

// silence is surroundings that take everything and answer nothing but what
// must be answered.
type silence struct {
	loop  *loop.Loop
	world *World
}

func (s silence) Apply(_ int, _ netcfg.LinkConfig, done func(error)) {
	if done != nil {
		s.loop.Post("applied", func() { done(nil) })
	}
}
func (s silence) Observed(int) netcfg.LinkConfig { return netcfg.LinkConfig{} }
func (s silence) SetUp(_ int, _ bool, done func(error)) {
	s.Apply(0, netcfg.LinkConfig{}, done)
}
func (s silence) SetIPv6(_ int, _ netcfg.IPv6Link, done func(error)) {
	s.Apply(0, netcfg.LinkConfig{}, done)
}
func (silence) AwaitAddress(int, netip.Addr, func(bool)) func()    { return func() {} }
func (silence) Open6to4(netip.Addr, func(core.Link, error)) func() { return func() {} }

func (s silence) Start(core.DHCPRequest, func(core.DHCPEvent)) core.DHCP4Client { return client{} }

func (silence) Probe(core.ProbeRequest, func(core.ProbeResult)) func() { return func() {} }
func (silence) Set([]core.LinkDNS, []netip.Addr)                       {}
func (silence) Hostname() string                                       { return "" }
func (silence) SetHostname(string)                                     {}
func (silence) SetDomainname(string)                                   {}

func (s silence) LoadService(_ string, done func(core.ServiceSettings, bool)) {
	s.loop.Post("loaded", func() { done(core.ServiceSettings{}, false) })
}
func (s silence) LoadTwin(id string, done func(core.ServiceSettings, bool)) {
	s.LoadService(id, done)
}
func (s silence) LoadKnown(done func([]core.KnownNetwork)) {
	s.loop.Post("loaded", func() { done(s.world.Known) })
}
func (silence) RemoveTwins(string)                       {}
func (silence) SaveService(string, core.ServiceSettings) {}
func (silence) RemoveService(string)                     {}
func (silence) Sync(done func())                         { done() }
func (silence) SaveGlobal(core.GlobalSettings)           {}

func (silence) ReportError(core.AgentID, string, string, time.Duration, func(bool, error)) func() {
	return func() {}
}
func (silence) RequestInput(core.AgentID, string, []core.InputField, time.Duration, func(core.Input, error)) func() {
	return func() {}
}
func (silence) Release(core.AgentID) {}

type client struct{}

func (client) Stop(bool) {}

type watch struct{}

func (watch) Stop() {}

type conflicts struct{}

func (conflicts) Watch(core.Link, netip.Addr, func(core.ConflictEvent)) core.ConflictWatch {
	return watch{}
}

type routers struct{}

func (routers) Start(core.RouterDiscoveryRequest, func(core.RouterEvent)) core.RouterDiscoveryClient {
	return watch{}
}

type linkLocal struct{}

func (linkLocal) Start(core.Link, netip.Addr, func(core.LinkLocalEvent)) core.LinkLocalClient {
	return watch{}
}

// Uplink connects a service of another kind, over which VPNs can connect.
func (w *World) Uplink() {
	w.Do(func() {
		d := w.Manager.AddDevice(core.DeviceInfo{Type: core.Ethernet, Link: core.Link{Index: 2, Name: "eth0", Addr: "\x02\x00\x00\x00\x00\x01"}}, uplink{})
		d.AddNetwork(core.NetworkInfo{Ident: "020000000001", Group: "cable", Name: "Wired"}, nil)
	})
	w.settle()
	w.Do(func() {
		s := w.Manager.Service("ethernet_020000000001_cable")
		settings := core.IPv4Settings{
			Method: core.IPv4Manual, Address: netip.MustParsePrefix("10.0.0.2/24"), Gateway: netip.MustParseAddr("10.0.0.1"),
		}
		if err := s.SetIPv4(settings); err != nil {
			w.T.Fatal(err)
		}
	})
	w.settle()
}

type uplink struct{}

func (uplink) SetPowered(_ bool, done func(error)) { done(nil) }
