package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// world is a domain with scripted surroundings, inside a synctest bubble.
type world struct {
	said    *failOnError
	t       *testing.T
	loop    *loop.Loop
	m       *Manager
	links   fakeLinks
	dhcp    map[string]*fakeDHCP // by interface
	ll      map[string]*fakeLinkLocal
	dhcp6   map[string]*fakeDHCP6
	routers map[string]*fakeDiscovery
	acd     map[string]*fakeWatch
	probes  map[string]*fakeProbe
	dns     []LinkDNS
	host    string
	domain  string
	store   *fakeStore
	agent   fakeAgent
	devices map[string]*Device
	nets    map[string]*Network
	trace   []string
}

// defaults are the values of an empty main.conf.
func defaults() Config {
	return Config{
		InputRequestTimeout:    120 * time.Second,
		DefaultAutoConnect:     []Type{Wifi, Ethernet, Cellular},
		DefaultEnabled:         []Type{Ethernet},
		DefaultFavorite:        []Type{Ethernet},
		AllowHostnameUpdates:   true,
		AllowDomainnameUpdates: true,
		OnlineCheck: OnlineCheckConfig{
			Mode: OnlineCheckOneShot, IPv4URL: "http://online.test/",
			InitialInterval: 1, MaxInterval: 12, Failures: 6, Successes: 6, IntervalStyle: Geometric,
		},
	}
}

// inWorld runs a test in a world of its own.
func inWorld(t *testing.T, cfg Config, test func(*world)) {
	inWorldWith(t, cfg, &fakeStore{services: map[string]ServiceSettings{}}, test)
}

func inWorldWith(t *testing.T, cfg Config, store *fakeStore, test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		said := &failOnError{t: t}
		log := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelWarn}))
		w := &world{
			t: t, loop: loop.New(log), store: store, said: said,
			dhcp6: map[string]*fakeDHCP6{}, routers: map[string]*fakeDiscovery{},
			dhcp: map[string]*fakeDHCP{}, ll: map[string]*fakeLinkLocal{}, acd: map[string]*fakeWatch{},
			probes: map[string]*fakeProbe{}, devices: map[string]*Device{}, nets: map[string]*Network{},
		}
		w.links = fakeLinks{w: w, configs: map[int]netcfg.LinkConfig{}, ipv6: map[int]netcfg.IPv6Link{}, awaits: map[netip.Addr]func(bool){}, ipv6Done: map[int]func(error){}}
		w.store.loop = w.loop
		w.m = New(w.loop, log, cfg, Ports{
			Links: &w.links, DHCP4: w, DHCP6: dhcp6{w}, RouterDiscovery: routerDiscovery{w}, Conflicts: detector{w}, LinkLocal: linkLocal{w},
			Prober: prober{w}, Resolver: w, Hostnames: w, Storage: w.store, Agents: &w.agent,
		}, GlobalSettings{})
		w.loop.AtTurnEnd(w.record)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { w.loop.Run(ctx); close(ended) }()
		defer func() { cancel(); <-ended }()
		test(w)
	})
}

// failOnError makes every error that the domain logs an error of the test:
// illegal state changes show themselves so. It keeps the warnings.
type failOnError struct {
	t        *testing.T
	warnings strings.Builder
}

func (f *failOnError) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("level="+slog.LevelError.String())) {
		f.t.Errorf("logged: %s", line)
	}
	return f.warnings.Write(line)
}

// record keeps the changes in a form that tests compare.
func (w *world) record() {
	for _, c := range w.m.TakeChanges() {
		switch {
		case c.Kind == ServiceProperty && c.Property == PropState:
			w.trace = append(w.trace, fmt.Sprintf("%s %s", c.Service.Device().Link.Name, c.State))
		case c.Kind == ManagerProperty && c.Property == PropState:
			w.trace = append(w.trace, "machine "+w.m.State())
		case c.Kind == ServiceAdded:
			w.trace = append(w.trace, c.Service.Device().Link.Name+" added")
		case c.Kind == ServiceRemoved:
			w.trace = append(w.trace, c.Service.Device().Link.Name+" removed")
		}
	}
}

func (w *world) traced() string {
	trace := strings.Join(w.trace, ", ")
	w.trace = nil
	return trace
}

// do runs fn on the loop and waits until the world is quiet.
func (w *world) do(fn func()) {
	w.loop.Post("test", fn)
	synctest.Wait()
}

// sleep lets time pass in the world.
func (w *world) sleep(d time.Duration) {
	w.do(func() {})
	time.Sleep(d)
	synctest.Wait()
}

// plug makes an interface appear, powered and with a cable in.
func (w *world) plug(name string) {
	w.do(func() {
		index := 2 + len(w.devices)
		info := DeviceInfo{Type: Ethernet, MTU: 1500, Link: Link{
			Index: index, Name: name, Addr: HardwareAddr([]byte{2, 0, 0, 0, 0, byte(index)}),
		}}
		w.devices[name] = w.m.AddDevice(info, poweredDevice{})
	})
	w.cable(name)
}

func (w *world) cable(name string) {
	w.do(func() {
		d := w.devices[name]
		ident := fmt.Sprintf("%x", string(d.info.Link.Addr))
		w.nets[name] = d.AddNetwork(NetworkInfo{Ident: ident, Group: "cable", Name: "Wired"}, nil)
	})
}

func (w *world) unplug(name string) { w.do(func() { w.nets[name].Remove() }) }

func (w *world) service(name string) *Service {
	s := w.nets[name].service
	if s == nil {
		w.t.Fatalf("%s has no service", name)
	}
	return s
}

func (w *world) wantState(name string, want State) {
	w.t.Helper()
	if got := w.service(name).State(); got != want {
		w.t.Fatalf("%s is %s, want %s", name, got, want)
	}
}

func lease(address, router string) Lease {
	l := Lease{
		IP:       netcfg.IPConfig{Address: netip.MustParsePrefix(address)},
		DNS:      netcfg.DNSConfig{Servers: []netip.Addr{netip.MustParseAddr("9.9.9.9")}, Domains: []string{"home.test"}},
		Lifetime: time.Hour,
	}
	if router != "" {
		l.IP.Gateway = netip.MustParseAddr(router)
	}
	return l
}

// bind has the DHCP server answer on an interface.
func (w *world) bind(name string, l Lease) {
	w.t.Helper()
	d := w.dhcp[name]
	if d == nil || d.stopped {
		w.t.Fatalf("no DHCP client runs on %s", name)
	}
	w.do(func() { d.report(DHCPBound{Lease: l}) })
}

func (w *world) probed(name string, r ProbeResult) {
	w.t.Helper()
	p := w.probes[name]
	if p == nil {
		w.t.Fatalf("no probe runs on %s", name)
	}
	delete(w.probes, name)
	w.do(func() { p.done(r) })
}

func (w *world) probing(name string) bool { return w.probes[name] != nil }

func (w *world) online(name, address, router string) {
	w.t.Helper()
	w.plug(name)
	w.bind(name, lease(address, router))
	if w.probing(name) {
		w.probed(name, ProbeResult{Online: true})
	}
}

// defaultMetric is the metric of the interface's default route, -1 for none.
func (w *world) defaultMetric(name string) int64 {
	for _, r := range w.links.configs[w.devices[name].info.Link.Index].Routes {
		if r.IsDefault() {
			return int64(r.Metric)
		}
	}
	return -1
}

// The scripted surroundings.

type poweredDevice struct{}

func (poweredDevice) SetPowered(_ bool, done func(error)) { done(nil) }

type fakeLinks struct {
	w       *world
	configs map[int]netcfg.LinkConfig
	applied int
	fail    error
	hold    bool // keeps what is asked for to itself

	hasIPv6 bool
	slowDAD bool // the test says when an address is unique
	ipv6    map[int]netcfg.IPv6Link
	awaits  map[netip.Addr]func(bool)

	ipv6Done map[int]func(error) // of the last SetIPv6 with one

	tunnel     netip.Addr // the end of the tunnel that there is
	tunnelDone func(Link, error)
}

func (f *fakeLinks) Apply(index int, want netcfg.LinkConfig, done func(error)) {
	if f.hold {
		return
	}
	f.applied++
	err := f.fail
	if err == nil {
		f.configs[index] = want
	}
	if done != nil {
		f.w.loop.Post("applied", func() { done(err) })
	}
}

func (f *fakeLinks) Observed(index int) netcfg.LinkConfig { return f.configs[index] }

// SetIPv6 finds no IPv6 unless the test has some.
func (f *fakeLinks) SetIPv6(index int, want netcfg.IPv6Link, done func(error)) {
	f.ipv6[index] = want
	if done == nil {
		return
	}
	f.ipv6Done[index] = done
	var err error
	if !f.hasIPv6 {
		err = errNoIPv6
	}
	f.w.loop.Post("IPv6 set", func() { done(err) })
}

func (f *fakeLinks) AwaitAddress(_ int, addr netip.Addr, done func(bool)) func() {
	f.awaits[addr] = done
	if f.slowDAD {
		return func() { delete(f.awaits, addr) }
	}
	f.w.loop.Post("address unique", func() { f.verdict(addr, true) })
	return func() { delete(f.awaits, addr) }
}

// verdict ends the wait for an address.
func (f *fakeLinks) verdict(addr netip.Addr, unique bool) {
	if done := f.awaits[addr]; done != nil {
		delete(f.awaits, addr)
		done(unique)
	}
}

func (f *fakeLinks) Open6to4(local netip.Addr, done func(Link, error)) func() {
	f.tunnel, f.tunnelDone = local, done
	return func() {
		if f.tunnel == local {
			f.tunnel, f.tunnelDone = netip.Addr{}, nil
			delete(f.configs, tunnelIndex)
		}
	}
}

// tunnelIndex is the tunnel's interface index.
const tunnelIndex = 99

func (f *fakeLinks) SetUp(_ int, _ bool, done func(error)) {
	if done != nil {
		done(nil)
	}
}

type fakeDHCP struct {
	req     DHCPRequest
	report  func(DHCPEvent)
	stopped bool
}

func (w *world) Start(req DHCPRequest, report func(DHCPEvent)) DHCP4Client {
	d := &fakeDHCP{req: req, report: report}
	w.dhcp[req.Link.Name] = d
	return d
}

func (d *fakeDHCP) Stop(bool) { d.stopped = true }

type fakeDHCP6 struct {
	req      DHCP6Request
	report   func(DHCP6Event)
	declined []netip.Addr
	stopped  bool
}

type dhcp6 struct{ w *world }

func (d dhcp6) Start(req DHCP6Request, report func(DHCP6Event)) DHCP6Client {
	c := &fakeDHCP6{req: req, report: report}
	d.w.dhcp6[req.Link.Name] = c
	return c
}

func (f *fakeDHCP6) Decline(a netip.Addr) { f.declined = append(f.declined, a) }
func (f *fakeDHCP6) Stop(bool)            { f.stopped = true }

type fakeDiscovery struct {
	report  func(RouterEvent)
	stopped bool
}

type routerDiscovery struct{ w *world }

func (r routerDiscovery) Start(req RouterDiscoveryRequest, report func(RouterEvent)) RouterDiscoveryClient {
	c := &fakeDiscovery{report: report}
	r.w.routers[req.Link.Name] = c
	return c
}

func (f *fakeDiscovery) Stop() { f.stopped = true }

type fakeWatch struct {
	report  func(ConflictEvent)
	stopped bool
}

type detector struct{ w *world }

func (d detector) Watch(link Link, _ netip.Addr, report func(ConflictEvent)) ConflictWatch {
	watch := &fakeWatch{report: report}
	d.w.acd[link.Name] = watch
	return watch
}

func (f *fakeWatch) Stop() { f.stopped = true }

type fakeLinkLocal struct {
	report  func(LinkLocalEvent)
	stopped bool
}

type linkLocal struct{ w *world }

func (l linkLocal) Start(link Link, _ netip.Addr, report func(LinkLocalEvent)) LinkLocalClient {
	c := &fakeLinkLocal{report: report}
	l.w.ll[link.Name] = c
	return c
}

func (f *fakeLinkLocal) Stop() { f.stopped = true }

type fakeProbe struct {
	req  ProbeRequest
	done func(ProbeResult)
}

type prober struct{ w *world }

func (p prober) Probe(req ProbeRequest, done func(ProbeResult)) func() {
	probe := &fakeProbe{req: req, done: done}
	key := req.Link.Name
	if req.Source.Is6() {
		key += " ipv6"
	}
	p.w.probes[key] = probe
	return func() {
		if p.w.probes[key] == probe {
			delete(p.w.probes, key)
		}
	}
}

func (w *world) Set(links []LinkDNS, _ []netip.Addr) { w.dns = slices.Clone(links) }
func (w *world) Hostname() string                    { return "box" }
func (w *world) SetHostname(name string)             { w.host = name }
func (w *world) SetDomainname(name string)           { w.domain = name }

type fakeStore struct {
	loop     *loop.Loop
	services map[string]ServiceSettings
	global   GlobalSettings
	writes   int
	synced   int
}

func (f *fakeStore) LoadService(id string, done func(ServiceSettings, bool)) {
	f.loop.Post("loaded", func() {
		s, found := f.services[id]
		done(s, found)
	})
}

func (f *fakeStore) SaveService(id string, s ServiceSettings) {
	f.writes++
	f.services[id] = s
}

func (f *fakeStore) LoadTwin(id string, done func(ServiceSettings, bool)) {
	f.loop.Post("loaded", func() {
		for other, s := range f.services {
			if twins(id, other) {
				done(s, true)
				return
			}
		}
		done(ServiceSettings{}, false)
	})
}

func (f *fakeStore) RemoveTwins(id string) {
	for other := range f.services {
		if twins(id, other) {
			delete(f.services, other)
		}
	}
}

// twins reports whether two services differ in nothing but the adapter.
func twins(a, b string) bool {
	const adapter = len("wifi_020000000009")
	return a != b && len(a) > adapter && len(b) > adapter && a[adapter:] == b[adapter:]
}

func (f *fakeStore) LoadKnown(done func([]KnownNetwork)) {
	var all []KnownNetwork
	for _, s := range f.services {
		all = append(all, KnownNetwork{SSID: s.SSID, Hidden: s.Hidden, Frequency: s.Frequency})
	}
	f.loop.Post("loaded", func() { done(all) })
}

func (f *fakeStore) RemoveService(id string)     { delete(f.services, id) }
func (f *fakeStore) SaveGlobal(g GlobalSettings) { f.global = g }
func (f *fakeStore) Sync(done func())            { f.synced++; f.loop.Post("synced", done) }

type fakeAgent struct {
	asked    []string
	agents   []string // who was asked
	answer   func(bool, error)
	fields   []InputField // last asked for
	input    func(Input, error)
	released int
}

func (f *fakeAgent) ReportError(_ AgentID, service, reason string, _ time.Duration, done func(bool, error)) func() {
	f.asked = append(f.asked, service+" "+reason)
	f.answer = done
	return func() { f.answer = nil }
}

func (f *fakeAgent) RequestInput(a AgentID, service string, fields []InputField, _ time.Duration, done func(Input, error)) func() {
	f.asked = append(f.asked, service+" input")
	f.agents = append(f.agents, a.Owner)
	f.fields, f.input = fields, done
	return func() { f.input = nil }
}

func (f *fakeAgent) Release(AgentID) { f.released++ }

var (
	errBroken = errors.New("broken")
	errNoIPv6 = errors.New("no IPv6")
)
