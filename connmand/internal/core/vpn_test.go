package core

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"net.connman/pkg/netcfg"
)

// vpnIndex is the interface index of tunnels.
const vpnIndex = 50

// fakeVPN drives a VPN that does what the test says.
type fakeVPN struct {
	w       *world
	device  *Device
	network *Network
	calls   []string
	done    func(error)
	leave   func()
	hold    bool // does not leave by itself
}

func (f *fakeVPN) SetPowered(_ bool, done func(error)) { done(nil) }

func (f *fakeVPN) Connect(c Credentials, done func(error)) {
	f.calls = append(f.calls, "connect "+c.Caller)
	f.done = done
}

func (f *fakeVPN) Disconnect() { f.calls = append(f.calls, "disconnect") }

func (f *fakeVPN) Leave(done func()) {
	f.calls = append(f.calls, "leave")
	f.leave = done
	if !f.hold {
		f.w.loop.Post("left", done)
	}
}

func (f *fakeVPN) SetSplit(on bool) { f.calls = append(f.calls, fmt.Sprintf("split %t", on)) }

// called returns the calls since the last time.
func (f *fakeVPN) called() string {
	calls := strings.Join(f.calls, ", ")
	f.calls = nil
	return calls
}

// addVPN makes a VPN known, and the daemon that looks after VPNs.
func (w *world) addVPN(ident string) *fakeVPN {
	f := &fakeVPN{w: w}
	w.do(func() { f.device = w.m.AddDevice(DeviceInfo{Type: VPN}, f) })
	f.add(ident)
	return f
}

func (f *fakeVPN) add(ident string) {
	f.w.do(func() {
		info := VPNInfo{Type: "wireguard", Host: "vpn.office.test", Domain: "office.test"}
		f.network = f.device.AddNetwork(NetworkInfo{Ident: ident, Name: "Office", VPN: info}, f)
	})
	f.w.nets[ident] = f.network
}

func (f *fakeVPN) state() State { return f.network.service.State() }

func (f *fakeVPN) want(state State) {
	f.w.t.Helper()
	if got := f.state(); got != state {
		f.w.t.Fatalf("the VPN is %s, want %s", got, state)
	}
}

// connect has the user connect it and the tunnel open.
func (f *fakeVPN) connect() {
	f.w.t.Helper()
	f.w.do(func() { f.network.service.Connect(":1.7", func(error) {}) })
	f.want(Association)
	f.open(office())
	f.want(Ready)
}

func (f *fakeVPN) open(t Tunnel) { f.w.do(func() { f.network.TunnelOpen(t) }) }

// server is where the VPN is served.
var server = netip.MustParseAddr("203.0.113.5")

// office is a tunnel of IPv4 with a route.
func office() Tunnel {
	return Tunnel{
		Link: Link{Index: vpnIndex, Name: "tun0"}, LinkMTU: 1420,
		IPv4: TunnelEnd{Addr: netcfg.Addr{Prefix: netip.MustParsePrefix("10.9.0.2/24"), Peer: netip.MustParseAddr("10.9.0.1")}, Server: server},
		DNS:  netcfg.DNSConfig{Servers: []netip.Addr{netip.MustParseAddr("10.9.0.1")}, Domains: []string{"office.test"}},
		Routes: []netcfg.Route{
			{Dst: netip.MustParsePrefix("10.50.0.0/16"), Gateway: netip.MustParseAddr("10.9.0.1")},
			{Dst: netip.MustParsePrefix("0.0.0.0/1")},
			{Dst: netip.PrefixFrom(server, 32)},
		},
	}
}

// routes are those of a link, as text.
func (w *world) routes(index int) string {
	var all []string
	for _, r := range w.links.configs[index].Routes {
		text := r.Dst.String()
		if r.Gateway.IsValid() {
			text += " via " + r.Gateway.String()
		}
		if r.Unreachable {
			text += " unreachable"
		}
		if r.Metric >= metricLow {
			text += " low"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (w *world) wantRoutes(what string, index int, want string) {
	w.t.Helper()
	if got := w.routes(index); got != want {
		w.t.Fatalf("%s has the routes %q, want %q", what, got, want)
	}
}

// named is what the resolver knows, as text.
func (w *world) named() string {
	w.sleep(dnsInterval)
	var all []string
	for _, l := range w.dns {
		text := l.Link.Name
		if l.Split {
			text += " split"
		}
		all = append(all, fmt.Sprintf("%s %v%v", text, l.DNS.Domains, l.Hosts))
	}
	return strings.Join(all, ", ")
}

func (w *world) eth(name string) int { return w.devices[name].info.Link.Index }

const (
	plainRoutes = "0.0.0.0/0 via 10.0.0.1, 9.9.9.9/32 via 10.0.0.1"
	fullRoutes  = "0.0.0.0/0, 10.50.0.0/16 via 10.9.0.1"
	splitRoutes = "10.50.0.0/16 via 10.9.0.1"
)

// A VPN that takes everything: nothing goes around it but its own packets.
func TestFullTunnel(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		var err error
		w.do(func() { f.network.service.Connect(":1.7", func(e error) { err = e }) })
		if !errors.Is(err, ErrNoCarrier) {
			t.Fatalf("connected over nothing: %v", err)
		}
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		w.wantRoutes("eth0", w.eth("eth0"), plainRoutes)
		w.traced()
		f.connect()
		if got := f.called(); got != "connect :1.7" {
			t.Errorf("the driver was called: %s", got)
		}
		if got := w.traced(); !strings.Contains(got, " association, tun0 ready") {
			t.Errorf("the states were %s", got)
		}
		w.wantRoutes("tun0", vpnIndex, fullRoutes)
		w.wantRoutes("eth0", w.eth("eth0"), "0.0.0.0/0 via 10.0.0.1 low, 203.0.113.5/32 via 10.0.0.1")
		w.wantRoutes("lo", loopback, "::/0 unreachable")
		if got := w.named(); got != "tun0 [office.test][], eth0 split [][vpn.office.test]" {
			t.Errorf("names are asked for at %s", got)
		}
		if got := w.m.Services()[0]; got != f.network.service {
			t.Errorf("%s is the default service", got.ID())
		}
		if len(w.m.Technologies()) != 1 {
			t.Error("users see a technology of VPNs")
		}
		method, config, _ := f.network.service.IPv4()
		if method != IPv4Fixed || config.Address.String() != "10.9.0.2/24" || config.Gateway != server {
			t.Errorf("IPv4 is %s %+v", method, config)
		}

		w.do(func() { f.network.service.Disconnect(func(error) {}) })
		f.want(Idle)
		w.wantRoutes("tun0", vpnIndex, "")
		w.wantRoutes("eth0", w.eth("eth0"), plainRoutes)
		w.wantRoutes("lo", loopback, "")
		if got := w.named(); got != "eth0 [home.test][]" {
			t.Errorf("names are asked for at %s", got)
		}
	})
}

// A VPN for what is routed into it leaves the rest alone. Users say which it is by
// moving services.
func TestSplitTunnel(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		f.connect()
		f.called()
		vpn, eth := f.network.service, w.service("eth0")
		move := func(s *Service, before bool, target *Service) (err error) {
			w.do(func() { err = w.m.move(s, target, before) })
			return err
		}
		if err := move(eth, true, vpn); err != nil {
			t.Fatal(err)
		}
		w.wantRoutes("tun0", vpnIndex, splitRoutes)
		w.wantRoutes("eth0", w.eth("eth0"), "0.0.0.0/0 via 10.0.0.1, 203.0.113.5/32 via 10.0.0.1, 9.9.9.9/32 via 10.0.0.1")
		w.wantRoutes("lo", loopback, "")
		if got := w.named(); got != "eth0 [home.test][], tun0 split [office.test][]" {
			t.Errorf("names are asked for at %s", got)
		}
		if got := f.called(); got != "split true" {
			t.Errorf("the driver was called: %s", got)
		}
		if !w.store.services["vpn_office"].SplitRouting {
			t.Error("split routing is not remembered")
		}
		if err := move(eth, false, vpn); err != nil {
			t.Fatal(err)
		}
		w.wantRoutes("tun0", vpnIndex, fullRoutes)
		w.wantRoutes("lo", loopback, "::/0 unreachable")

		bare := office()
		bare.Routes = bare.Routes[1:]
		f.open(bare)
		if err := move(eth, true, vpn); !errors.Is(err, ErrInvalidService) {
			t.Errorf("a VPN without routes became one for what is routed into it: %v", err)
		}
		w.do(func() { f.network.SetVPN(VPNInfo{Split: true}) })
		w.wantRoutes("tun0", vpnIndex, "")
		if w.m.Services()[0] != eth {
			t.Error("the VPN is the default service")
		}
	})
}

// When the way to the server changes, the VPN connects anew, and nothing goes
// around it meanwhile.
func TestTunnelFollowsUplink(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		f.connect()
		f.called()
		w.plug("eth1")
		w.bind("eth1", lease("10.1.0.2/24", "10.1.0.1"))
		f.want(Ready) // it is not the first one
		f.hold = true
		w.unplug("eth0")
		f.want(Disconnect)
		guarded := func() {
			t.Helper()
			w.wantRoutes("tun0", vpnIndex, "")
			w.wantRoutes("lo", loopback, "::/0 unreachable")
			w.wantRoutes("eth1", w.eth("eth1"), "0.0.0.0/0 via 10.1.0.1, 203.0.113.5/32 via 10.1.0.1")
			if got := w.named(); got != "eth1 split [][vpn.office.test]" {
				t.Errorf("names are asked for at %s", got)
			}
			if w.probing("eth1") {
				t.Error("an online check goes around the VPN")
			}
		}
		guarded()
		f.hold = false
		w.do(f.leave)
		f.want(Association)
		if got := f.called(); got != "leave, connect " {
			t.Errorf("the driver was called: %s", got)
		}
		guarded()
		w.do(func() { f.done(ErrFailed) })
		f.want(Failed)
		guarded()
		w.sleep(firstRetry)
		f.want(Association)
		f.open(office())
		w.wantRoutes("eth1", w.eth("eth1"), "0.0.0.0/0 via 10.1.0.1 low, 203.0.113.5/32 via 10.1.0.1")
		f.want(Ready)

		w.unplug("eth1")
		f.want(Idle)
		w.wantRoutes("lo", loopback, "::/0 unreachable")
		w.cable("eth1")
		w.bind("eth1", lease("10.1.0.2/24", "10.1.0.1"))
		f.want(Association)
		w.do(func() { f.network.service.Disconnect(func(error) {}) })
		f.want(Idle)
		w.wantRoutes("lo", loopback, "")
		w.sleep(time.Hour)
		f.want(Idle)
	})
}

// A tunnel that breaks is connected again, as the user wanted the VPN.
func TestTunnelBreaks(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		f.connect()
		w.sleep(time.Minute)
		w.do(f.network.TunnelClosed)
		f.want(Association)
		w.wantRoutes("lo", loopback, "::/0 unreachable")
		w.do(f.network.TunnelClosed)
		f.want(Failed)
		for wait := firstRetry; wait < lastRetry; wait *= 2 {
			w.sleep(wait)
			f.want(Association)
			w.do(func() { f.done(ErrFailed) })
			f.want(Failed)
		}
		w.do(func() { f.network.service.Disconnect(func(error) {}) })
		w.wantRoutes("lo", loopback, "")
	})
}

// What never worked is not tried again unless it is to connect by itself.
func TestTunnelNeverOpens(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		s := f.network.service
		var answer error
		w.do(func() { s.Connect("", func(err error) { answer = err }) })
		w.do(func() { f.done(errors.New("no answer")) })
		f.want(Failed)
		if !errors.Is(answer, ErrFailed) || s.Failure() != ConnectFailed {
			t.Errorf("answered %v, failure %q", answer, s.Failure())
		}
		w.sleep(time.Hour)
		f.want(Failed)
		w.wantRoutes("eth0", w.eth("eth0"), plainRoutes)

		w.do(func() { s.ClearError(); _ = s.SetAutoConnect(true) })
		f.want(Association)
		w.do(func() { f.done(ErrAborted) }) // the user closed the dialog
		f.want(Idle)
		if s.AutoConnect() {
			t.Error("the user is going to be asked again")
		}
	})
}

// The daemon that looks after VPNs dies: its VPNs are gone, what they took does
// not take another way, and they connect again when it is back.
func TestVPNDaemonDies(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		f.connect()
		w.do(f.device.Remove)
		if len(w.m.Services()) != 1 {
			t.Fatal("its service is still there")
		}
		if _, kept := w.store.services[f.network.ServiceID()]; !kept {
			t.Error("its settings were removed")
		}
		w.wantRoutes("tun0", vpnIndex, "")
		w.wantRoutes("lo", loopback, "::/0 unreachable")
		w.sleep(orphanTime / 2)

		w.do(func() { f.device = w.m.AddDevice(DeviceInfo{Type: VPN}, f) })
		f.add("office")
		f.want(Association)
		f.open(office())
		w.wantRoutes("tun0", vpnIndex, fullRoutes)

		w.do(f.device.Remove)
		w.sleep(orphanTime)
		w.wantRoutes("lo", loopback, "")
		w.wantRoutes("eth0", w.eth("eth0"), plainRoutes)
		if got := w.named(); got != "eth0 [home.test][]" {
			t.Errorf("names are asked for at %s", got)
		}
	})
}

// Removed by the user of the daemon, a VPN is gone for good.
func TestVPNRemoved(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		f.connect()
		id := f.network.ServiceID()
		if _, kept := w.store.services[id]; !kept {
			t.Fatal("its settings were not kept")
		}
		w.do(f.network.Remove)
		if _, kept := w.store.services[id]; kept {
			t.Error("its settings are still there")
		}
		w.wantRoutes("tun0", vpnIndex, "")
		w.wantRoutes("lo", loopback, "")
		w.wantRoutes("eth0", w.eth("eth0"), plainRoutes)
	})
}

// Whose provisioning file was edited is made anew, and stays as the user set it.
func TestVPNProvisionedAnew(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		provisioned := func() { f.network.SetVPN(VPNInfo{Host: server.String(), Immutable: true}) }
		w.do(provisioned)
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		f.connect()
		id := f.network.ServiceID()
		w.do(func() {
			if err := f.network.service.SetAutoConnect(true); err != nil {
				t.Fatal(err)
			}
		})
		for range 2 {
			w.do(func() {
				f.network.Remove()
				f.network = f.device.AddNetwork(NetworkInfo{Ident: "office", Name: "Office"}, f)
				provisioned()
			})
			if !f.network.service.AutoConnect() {
				t.Error("AutoConnect was forgotten")
			}
			w.sleep(2 * remakeTime)
			if s, kept := w.store.services[id]; !kept || !*s.AutoConnect {
				t.Error("its settings were removed")
			}
		}
		w.do(f.network.Remove)
		w.sleep(2 * remakeTime)
		if _, kept := w.store.services[id]; kept {
			t.Error("its settings are still there")
		}
	})
}

// A tunnel that was there before the daemon is taken over, without a moment in
// which something goes around it.
func TestTunnelOfAnEarlierRun(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.links.configs[loopback] = netcfg.LinkConfig{Routes: []netcfg.Route{refusal}}
		f := &fakeVPN{w: w}
		w.do(func() {
			f.device = w.m.AddDevice(DeviceInfo{Type: VPN}, f)
			f.network = f.device.AddNetwork(NetworkInfo{Ident: "office", VPN: VPNInfo{Host: server.String()}}, f)
			f.network.TunnelOpen(office())
			w.m.VPNsKnown()
		})
		f.want(Ready)
		w.wantRoutes("lo", loopback, "::/0 unreachable")
		w.plug("eth0")
		w.bind("eth0", lease("10.0.0.2/24", "10.0.0.1"))
		f.want(Ready)
		w.wantRoutes("eth0", w.eth("eth0"), "0.0.0.0/0 via 10.0.0.1 low, 203.0.113.5/32 via 10.0.0.1")
		if got := f.called(); got != "" {
			t.Errorf("the driver was called: %s", got)
		}
	})
	inWorld(t, defaults(), func(w *world) {
		w.links.configs[loopback] = netcfg.LinkConfig{Routes: []netcfg.Route{refusal}}
		w.plug("eth0")
		w.bind("eth0", lease("10.0.0.2/24", "10.0.0.1"))
		w.wantRoutes("lo", loopback, "::/0 unreachable")
		if got := w.named(); got != "eth0 split [][]" {
			t.Errorf("names are asked for at %s", got)
		}
		w.sleep(earlierTime) // no VPN comes
		w.wantRoutes("lo", loopback, "")
		if got := w.named(); got != "eth0 [home.test][]" {
			t.Errorf("names are asked for at %s", got)
		}
	})
}

// A tunnel with IPv6 takes that, too; without, what routers say leads nowhere.
func TestTunnelIPv6(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.links.hasIPv6 = true
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		router := netip.MustParseAddr("fe80::1")
		w.do(func() {
			w.routers["eth0"].report(RoutersSeen{Info: RouterInfo{
				Routers:  []Router{{Address: router, Lifetime: time.Hour}},
				Prefixes: []RouterPrefix{{Prefix: netip.MustParsePrefix("2001:db8::/64"), OnLink: true, Autonomous: true, Preferred: time.Hour, Valid: time.Hour}},
				Routes:   []netcfg.Route{{Dst: netip.MustParsePrefix("2000::/4"), Gateway: router}},
			}})
		})
		const plain6 = "0.0.0.0/0 via 10.0.0.1, 2000::/4 via fe80::1, 2001:db8::/64, 9.9.9.9/32 via 10.0.0.1, ::/0 via fe80::1"
		w.wantRoutes("eth0", w.eth("eth0"), plain6)
		f := w.addVPN("office")
		f.connect()
		const shut = "0.0.0.0/0 via 10.0.0.1 low, 2001:db8::/64, 203.0.113.5/32 via 10.0.0.1"
		w.wantRoutes("eth0", w.eth("eth0"), shut)
		w.wantRoutes("lo", loopback, "::/0 unreachable")

		both := office()
		both.IPv6 = TunnelEnd{Addr: netcfg.Addr{Prefix: netip.MustParsePrefix("fd00:9::2/64")}, Server: netip.MustParseAddr("2001:db8:f::5")}
		f.open(both)
		w.wantRoutes("tun0", vpnIndex, fullRoutes+", ::/0, fd00:9::/64")
		w.wantRoutes("eth0", w.eth("eth0"), "0.0.0.0/0 via 10.0.0.1 low, 2001:db8::/64, 2001:db8:f::5/128 via fe80::1, 203.0.113.5/32 via 10.0.0.1")
		w.wantRoutes("lo", loopback, "")
		w.do(f.network.TunnelClosed)
		w.wantRoutes("lo", loopback, "::/0 unreachable")

		w.do(func() { f.network.service.Disconnect(func(error) {}) })
		w.wantRoutes("eth0", w.eth("eth0"), plain6)
	})
}

// One VPN at a time takes everything; others may connect by themselves beside it.
func TestVPNsConnectByThemselves(t *testing.T) {
	cfg := defaults()
	cfg.DefaultAutoConnect = append(cfg.DefaultAutoConnect, VPN)
	inWorld(t, cfg, func(w *world) {
		one := w.addVPN("one")
		two := &fakeVPN{w: w, device: one.device}
		two.add("two")
		three := &fakeVPN{w: w, device: one.device}
		three.add("three")
		w.do(func() { three.network.SetVPN(VPNInfo{Split: true}) })
		one.want(Idle)
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		states := []State{one.state(), two.state(), three.state()}
		if !slices.Equal(states, []State{Association, Idle, Association}) {
			t.Errorf("the VPNs are %v", states)
		}
		w.do(func() { w.m.SetOfflineMode(true) })
		states = []State{one.state(), two.state(), three.state()}
		if !slices.Equal(states, []State{Idle, Idle, Idle}) {
			t.Errorf("offline the VPNs are %v", states)
		}
	})
}

// Another program has the VPN connect.
func TestOthersConnect(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		w.do(f.network.TunnelOpening)
		f.want(Association)
		f.open(office())
		f.want(Ready)
		if got := f.called(); got != "" {
			t.Errorf("the driver was called: %s", got)
		}
		w.do(func() { f.hold = true; f.network.service.Disconnect(func(error) {}) })
		f.want(Disconnect)
		f.open(office()) // was on its way
		f.want(Disconnect)
		w.do(f.leave)
		f.want(Idle)
	})
}

// Settings of a VPN's addresses are its tunnel's.
func TestVPNSettings(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		f := w.addVPN("office")
		s := f.network.service
		w.do(func() {
			for name, err := range map[string]error{
				"IPv4": s.SetIPv4(IPv4Settings{Method: IPv4DHCP}), "IPv6": s.SetIPv6(IPv6Settings{Method: IPv6Off}),
			} {
				if !errors.Is(err, ErrNotSupported) {
					t.Errorf("%s can be set: %v", name, err)
				}
			}
			if err := s.SetNameservers([]string{"10.9.0.53"}); err != nil {
				t.Error(err)
			}
		})
		w.online("eth0", "10.0.0.2/24", "10.0.0.1")
		f.connect()
		w.wantRoutes("tun0", vpnIndex, fullRoutes)
		w.do(func() { _ = s.SetNameservers([]string{"192.0.2.53"}) })
		w.wantRoutes("tun0", vpnIndex, fullRoutes+", 192.0.2.53/32")
		w.do(func() {
			f.network.SetVPN(VPNInfo{Immutable: true})
			if err := s.SetNameservers(nil); !errors.Is(err, ErrNotSupported) {
				t.Errorf("a provisioned VPN's servers can be set: %v", err)
			}
			if err := s.Remove(); !errors.Is(err, ErrNotSupported) {
				t.Errorf("a provisioned VPN can be removed: %v", err)
			}
		})
	})
}
