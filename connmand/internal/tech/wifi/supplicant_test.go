package wifi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing/synctest"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/kernel/fake"
	"net.connman/connmand/internal/link"
	"net.connman/connmand/internal/tech/techtest"
	"net.connman/pkg/api/properties"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
)

// fakeSupplicant is a wpa_supplicant in memory: it implements Bus, and does what
// the test wants. Answers and signals come in later turns, as from a bus.
type fakeSupplicant struct {
	w *techtest.World

	mu       sync.Mutex // guards what follows: tests look from outside the loop
	owner    string
	lives    int
	watchers []func(string)
	signals  []*subscription
	adapters map[bus.ObjectPath]*fakeAdapter
	calls    []string

	// selected is what happens when a network is selected, by default that it
	// lets us in.
	selected func(a *fakeAdapter)
	// refuse are members whose calls fail.
	refuse map[string]error
	// drowsy are members whose calls lie there until there is another one.
	drowsy map[string]bool
	lying  []func()
}

type subscription struct {
	match   bus.Match
	fn      func(bus.ReceivedSignal)
	stopped bool
}

// fakeAdapter is an adapter that the supplicant has.
type fakeAdapter struct {
	f        *fakeSupplicant
	path     bus.ObjectPath
	name     string
	bsss     map[bus.ObjectPath]bus.Dict
	networks map[bus.ObjectPath]bus.Dict
	set      map[string]any // properties that were set
	scanned  []string       // the frequencies of each scan
	made     int
}

func newSupplicant(w *techtest.World) *fakeSupplicant {
	f := &fakeSupplicant{w: w, refuse: map[string]error{}}
	f.selected = func(a *fakeAdapter) {
		a.states("scanning", "authenticating", "associating", "associated", "4way_handshake", "group_handshake", "completed")
	}
	f.revive()
	return f
}

// kill makes the supplicant vanish.
func (f *fakeSupplicant) kill() { f.own("") }

// revive brings another one.
func (f *fakeSupplicant) revive() {
	f.lives++
	f.own(fmt.Sprintf(":1.%d", f.lives))
}

func (f *fakeSupplicant) own(owner string) {
	f.mu.Lock()
	f.owner = owner
	f.adapters = map[bus.ObjectPath]*fakeAdapter{}
	watchers := f.watchers
	f.mu.Unlock()
	for _, fn := range watchers {
		f.w.Loop.Post("owner", func() { fn(owner) })
	}
}

func (f *fakeSupplicant) WatchName(_ string, fn func(string)) func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers = append(f.watchers, fn)
	owner := f.owner
	f.w.Loop.Post("owner", func() { fn(owner) })
	return func() {}
}

func (f *fakeSupplicant) Subscribe(m bus.Match, fn func(bus.ReceivedSignal)) func() {
	s := &subscription{match: m, fn: fn}
	f.mu.Lock()
	f.signals = append(f.signals, s)
	f.mu.Unlock()
	return func() { s.stopped = true }
}

// emit sends a signal.
func (f *fakeSupplicant) emit(path bus.ObjectPath, iface, member string, args ...any) {
	f.mu.Lock()
	owner, signals := f.owner, f.signals
	f.mu.Unlock()
	f.w.Loop.Post("signal", func() {
		for _, s := range signals {
			if !s.stopped && s.match.Sender == owner && s.match.Interface == iface {
				s.fn(bus.ReceivedSignal{Sender: owner, Path: path, Interface: iface, Member: member, Args: args})
			}
		}
	})
}

func (f *fakeSupplicant) Call(m bus.MethodCall, done func([]any, error)) func() {
	cancelled := false
	serve := func() {
		values, err := f.serve(m)
		f.w.Loop.Post("reply", func() {
			if done != nil && !cancelled {
				done(values, err)
			}
		})
	}
	f.w.Loop.Post("call", func() {
		for _, serve := range f.lying {
			serve()
		}
		f.lying = nil
		if f.drowsy[m.Member] {
			f.lying = append(f.lying, serve)
			return
		}
		serve()
	})
	return func() { cancelled = true }
}

// serve answers a call.
func (f *fakeSupplicant) serve(m bus.MethodCall) ([]any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, m.Member)
	if err := f.refuse[m.Member]; err != nil {
		return nil, err
	}
	if f.owner == "" || m.Destination != busName && m.Destination != f.owner {
		return nil, bus.ErrServiceUnknown
	}
	switch m.Member {
	case "CreateInterface":
		return f.create(m.Args[0].(bus.Dict))
	case "GetInterface":
		for path, a := range f.adapters {
			if a.name == m.Args[0] {
				return []any{path}, nil
			}
		}
	case "RemoveInterface":
		delete(f.adapters, m.Args[0].(bus.ObjectPath))
		return nil, nil
	case "GetAll":
		return f.getAll(m.Path)
	}
	a := f.adapters[m.Path]
	if a == nil {
		return nil, errors.New("no such object")
	}
	return a.serve(m)
}

func (f *fakeSupplicant) create(about bus.Dict) ([]any, error) {
	name, _ := bus.Lookup[string](about, "Ifname")
	for _, a := range f.adapters {
		if a.name == name {
			return nil, &bus.Error{Name: supplicant.WpaSupplicant1ErrorInterfaceExists}
		}
	}
	f.lives++
	path := bus.ObjectPath(fmt.Sprintf("%s/Interfaces/%d", rootPath, f.lives))
	f.adapters[path] = &fakeAdapter{f: f, path: path, name: name, bsss: map[bus.ObjectPath]bus.Dict{}, networks: map[bus.ObjectPath]bus.Dict{}, set: map[string]any{}}
	return []any{path}, nil
}

func (f *fakeSupplicant) getAll(path bus.ObjectPath) ([]any, error) {
	for _, a := range f.adapters {
		if a.path == path {
			paths := []bus.ObjectPath{}
			for bss := range a.bsss {
				paths = append(paths, bss)
			}
			return []any{bus.Dict{
				{Key: "State", Value: "inactive"}, {Key: "BSSs", Value: paths},
				{Key: "Capabilities", Value: bus.Dict{{Key: "MaxScanSSID", Value: int32(4)}}},
			}}, nil
		}
		if d, ok := a.bsss[path]; ok {
			return []any{d}, nil
		}
	}
	return nil, errors.New("no such object")
}

func (a *fakeAdapter) serve(m bus.MethodCall) ([]any, error) {
	switch m.Member {
	case "SignalPoll":
		return []any{bus.Variant{Value: bus.Dict{{Key: "linkspeed", Value: int32(54)}, {Key: "rssi", Value: int32(-50)}}}}, nil
	case "Scan":
		a.scanned = append(a.scanned, channels(m.Args[0].(bus.Dict)))
		a.f.w.Loop.Post("scan", func() { a.f.emit(a.path, supplicant.InterfaceInterface, "ScanDone", true) })
	case "AddNetwork":
		a.made++
		path := bus.ObjectPath(fmt.Sprintf("%s/Networks/%d", a.path, a.made))
		a.networks[path] = m.Args[0].(bus.Dict)
		return []any{path}, nil
	case "SelectNetwork":
		if a.networks[m.Args[0].(bus.ObjectPath)] == nil {
			return nil, errors.New("no such network")
		}
		a.f.w.Loop.Post("selected", func() { a.f.selected(a) })
	case "RemoveNetwork":
		delete(a.networks, m.Args[0].(bus.ObjectPath))
		a.states("disconnected")
	case "Set":
		a.set[m.Args[1].(string)] = m.Args[2].(bus.Variant).Value
	case "RemoveAllNetworks":
		clear(a.networks)
	}
	return nil, nil
}

// scansFrom lists the frequencies of the scans that came behind the first n.
func (a *fakeAdapter) scansFrom(n int) string {
	a.f.mu.Lock()
	defer a.f.mu.Unlock()
	return fmt.Sprint(a.scanned[n:])
}

// channels are the frequencies that a scan is about, "all" if it says none.
func channels(about bus.Dict) string {
	list, some := bus.Lookup[bus.Array](about, "Channels")
	if !some {
		return "all"
	}
	var all []string
	for _, c := range list.Items {
		all = append(all, fmt.Sprint(c.(bus.Struct)[0]))
	}
	return strings.Join(all, "+")
}

// states goes through states of the adapter.
func (a *fakeAdapter) states(states ...string) {
	for _, state := range states {
		a.change(bus.Dict{{Key: "State", Value: state}})
	}
}

// change changes properties of the adapter.
func (a *fakeAdapter) change(about bus.Dict) {
	a.f.w.Loop.Post("change", func() {
		a.f.emit(a.path, properties.InterfaceProperties, "PropertiesChanged", supplicant.InterfaceInterface, about, []string{})
	})
}

// end ends an attempt, with what the access point says of it.
func (a *fakeAdapter) end(key string, word int32) {
	a.change(bus.Dict{{Key: key, Value: word}, {Key: "State", Value: "disconnected"}})
}

// adapter is the one that the supplicant has by that name, nil if it has none.
func (f *fakeSupplicant) adapter(name string) *fakeAdapter {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.adapters {
		if a.name == name {
			return a
		}
	}
	return nil
}

// appear has the adapter hear an access point.
func (a *fakeAdapter) appear(about bus.Dict) bus.ObjectPath {
	a.f.mu.Lock()
	a.made++
	path := bus.ObjectPath(fmt.Sprintf("%s/BSSs/%d", a.path, a.made))
	a.bsss[path] = about
	a.f.mu.Unlock()
	a.f.emit(a.path, supplicant.InterfaceInterface, "BSSAdded", path, about)
	return path
}

// vanish makes it lose one.
func (a *fakeAdapter) vanish(path bus.ObjectPath) {
	a.f.mu.Lock()
	delete(a.bsss, path)
	a.f.mu.Unlock()
	a.f.emit(a.path, supplicant.InterfaceInterface, "BSSRemoved", path)
}

// forget makes it lose all.
func (a *fakeAdapter) forget() {
	a.f.mu.Lock()
	heard := slices.Collect(maps.Keys(a.bsss))
	a.f.mu.Unlock()
	for _, path := range heard {
		a.vanish(path)
	}
}

// count says how often a method was called.
func (f *fakeSupplicant) count(member string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, call := range f.calls {
		if call == member {
			n++
		}
	}
	return n
}

// accessPoint describes one whose RSN element lets machines in these ways.
func accessPoint(ssid string, signal int16, ways ...string) bus.Dict {
	return bus.Dict{
		{Key: "SSID", Value: []byte(ssid)},
		{Key: "BSSID", Value: []byte{2, 0, 0, 0, 1, byte(signal)}},
		{Key: "Mode", Value: "infrastructure"},
		{Key: "Privacy", Value: len(ways) > 0},
		{Key: "Signal", Value: signal},
		{Key: "Frequency", Value: uint16(2412)},
		{Key: "WPA", Value: bus.Dict{{Key: "KeyMgmt", Value: []string{}}}},
		{Key: "RSN", Value: bus.Dict{{Key: "KeyMgmt", Value: ways}}},
	}
}

// radio is a machine with the bearer, a kernel and a supplicant in memory.
type radio struct {
	*fakeSupplicant
	bearer *Bearer
	random int // addresses that were made at random
	// nameless adapters do not tell their own address.
	nameless bool
	kernel   *fake.Kernel
	links    map[string]kernel.Link
}

func newRadio(w *techtest.World) *radio {
	r := &radio{fakeSupplicant: newSupplicant(w), kernel: fake.New(), links: map[string]kernel.Link{}}
	table := link.New(w.Loop, r.kernel, w.Log)
	go func() {
		_ = r.kernel.Run(w.Context, func(e []kernel.Event) { w.Loop.Post("kernel", func() { table.Deliver(e) }) })
	}()
	w.Do(func() {
		r.bearer = Start(Config{
			Manager: w.Manager, Loop: w.Loop, Log: w.Log, Bus: r.fakeSupplicant, Links: table,
			Passes: func(name string) bool { return !strings.HasPrefix(name, "no") },
			Driver: "nl80211", BackgroundScan: true,
			StableAddress: func(ssid, adapter string) string { return "\x02" + ssid[:4] + adapter[5:] },
			RandomAddress: func() string { r.random++; return "\x06rand" + string(rune('0'+r.random)) },
		})
	})
	return r
}

// plug adds an adapter, and waits until the supplicant has it if that is on.
func (r *radio) plug(name string) *fakeAdapter {
	l := kernel.Link{Name: name, Type: kernel.TypeEther, DevType: "wlan", HardwareAddr: "\x02\x00\x00\x00\x00" + name[:1]}
	if !r.nameless {
		l.Permanent = l.HardwareAddr
	}
	r.links[name] = r.kernel.AddLink(l)
	synctest.Wait()
	return r.adapter(name)
}

// service is the only service there is.
func (r *radio) service() *core.Service {
	synctest.Wait()
	var all []*core.Service
	r.w.Do(func() { all = r.w.Manager.Services() })
	if len(all) != 1 {
		r.w.T.Fatalf("%d services, want one", len(all))
	}
	return all[0]
}
