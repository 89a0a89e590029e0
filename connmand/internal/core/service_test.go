package core

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"net.connman/pkg/netcfg"
)

func TestCableInToOnlineAndBack(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.plug("eth0")
		w.wantState("eth0", Configuration)
		if got := w.dhcp["eth0"].req.Hostname; got != "box" {
			t.Fatalf("the server is told the name %q", got)
		}
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		w.wantState("eth0", Ready)
		if got := w.defaultMetric("eth0"); got != 0 {
			t.Fatalf("default route at metric %d, want 0", got)
		}
		if len(w.dns) != 1 || w.dns[0].DNS.Domains[0] != "home.test" {
			t.Fatalf("resolver got %+v", w.dns)
		}
		w.probed("eth0", ProbeResult{Online: true})
		w.wantState("eth0", Online)
		if w.m.State() != "online" {
			t.Fatalf("manager is %s", w.m.State())
		}
		w.unplug("eth0")
		w.sleep(dnsInterval)
		if want := "eth0 added, eth0 configuration, eth0 ready, machine ready, eth0 online, machine online, " +
			"eth0 disconnect, machine idle, eth0 idle, eth0 removed"; w.traced() != want {
			t.Fatalf("unexpected steps, want %s", want)
		}
		if c := w.links.configs[2]; len(c.Addrs)+len(c.Routes) != 0 || len(w.dns) != 0 || w.m.State() != "idle" {
			t.Fatalf("left behind: %+v, %+v, %s", c, w.dns, w.m.State())
		}
	})
}

func TestDisconnectAnswersWhenTheAddressIsGone(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		s, answers := w.service("eth0"), 0
		w.do(func() {
			s.Disconnect(func(err error) {
				answers++
				if err != nil || s.State() != Idle || len(w.links.configs[2].Addrs) != 0 {
					t.Errorf("answered %v in state %s with %v", err, s.State(), w.links.configs[2])
				}
			})
		})
		if !w.dhcp["eth0"].stopped || answers != 1 {
			t.Fatalf("DHCP stopped %v, %d answers", w.dhcp["eth0"].stopped, answers)
		}
		w.sleep(time.Hour)
		w.wantState("eth0", Idle) // the user wanted it so
		w.do(func() {
			s.Disconnect(func(err error) {
				if !errors.Is(err, ErrNotConnected) {
					t.Errorf("second Disconnect: %v", err)
				}
			})
		})
		w.unplug("eth0")
		w.cable("eth0")
		w.wantState("eth0", Configuration) // a new cable is a new wish
	})
}

func TestConnectStaysOpenUntilReady(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		s := w.service("eth0")
		w.do(func() { s.Disconnect(func(error) {}) })
		answer := errBroken
		w.do(func() { s.Connect("", func(err error) { answer = err }) })
		w.do(func() {
			s.Connect("", func(err error) {
				if !errors.Is(err, ErrInProgress) {
					t.Errorf("second Connect: %v", err)
				}
			})
		})
		if answer != errBroken {
			t.Fatalf("answered %v before it was ready", answer)
		}
		w.bind("eth0", lease("10.0.0.8/24", "10.0.0.1"))
		if answer != nil {
			t.Fatalf("Connect: %v", answer)
		}
		w.do(func() {
			s.Connect("", func(err error) {
				if !errors.Is(err, ErrAlreadyConnected) {
					t.Errorf("Connect of a connected service: %v", err)
				}
			})
		})
	})
}

func TestCableOutDuringConnectAborts(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.plug("eth0")
		s := w.service("eth0")
		w.do(func() { s.Disconnect(func(error) {}) })
		var answer error
		w.do(func() { s.Connect("", func(err error) { answer = err }) })
		w.unplug("eth0")
		if !errors.Is(answer, ErrAborted) {
			t.Fatalf("Connect: %v, want %v", answer, ErrAborted)
		}
	})
}

func TestLinkLocalStandsInForDHCP(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.plug("eth0")
		s := w.service("eth0")
		w.do(func() { w.dhcp["eth0"].report(DHCPNoAnswer{}) })
		w.do(func() { w.ll["eth0"].report(LinkLocalBound{Address: netip.MustParseAddr("169.254.7.7")}) })
		w.wantState("eth0", Ready)
		if got := s.IPv4Configuration().Method; got != IPv4Auto {
			t.Fatalf("method %s, want auto", got)
		}
		if got := w.defaultMetric("eth0"); got != -1 {
			t.Fatal("a link-local address has a default route")
		}
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		w.wantState("eth0", Ready)
		if got := s.IPv4Configuration().Method; got != IPv4DHCP || !w.ll["eth0"].stopped {
			t.Fatalf("method %s after the server came, link-local stopped: %v", got, w.ll["eth0"].stopped)
		}
	})
}

func TestRenewalChangesNothing(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		w.traced()
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		if got := w.traced(); got != "" || w.probing("eth0") {
			t.Fatalf("a renewal made %q, probing is %v", got, w.probing("eth0"))
		}
		w.bind("eth0", lease("10.0.0.8/24", "10.0.0.1"))
		w.wantState("eth0", Online)
		if !w.probing("eth0") {
			t.Fatal("a new address is taken to be online unchecked")
		}
	})
}

func TestLostLeaseTakesTheAddress(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		w.do(func() { w.dhcp["eth0"].report(DHCPLost{}) })
		w.wantState("eth0", Configuration)
		if len(w.links.configs[2].Addrs) != 0 {
			t.Fatal("the address outlived its lease")
		}
		w.bind("eth0", lease("10.0.0.9/24", "10.0.0.1"))
		w.wantState("eth0", Ready)
	})
}

// Settings of a running service change without a detour over disconnect.
func TestManualAddressReplacesTheLease(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		s := w.service("eth0")
		w.traced()
		w.do(func() {
			err := s.SetIPv4(IPv4Settings{
				Method: IPv4Manual, Address: netip.MustParsePrefix("10.0.0.50/24"), Gateway: netip.MustParseAddr("10.0.0.1"),
			})
			if err != nil {
				t.Error(err)
			}
		})
		if got, want := w.traced(), "eth0 configuration, machine idle, eth0 ready, machine ready"; got != want {
			t.Fatalf("steps %s, want %s", got, want)
		}
		if got := w.links.configs[2].Addrs[0].Prefix.String(); got != "10.0.0.50/24" {
			t.Fatalf("link has %s", got)
		}
		stored := w.store.services[s.ID()].IPv4
		if stored.Method != IPv4Manual || stored.LastAddress.String() != "10.0.0.7" {
			t.Fatalf("stored %+v", stored)
		}
		w.do(func() {
			if err := s.SetIPv4(IPv4Settings{Method: IPv4Off}); err != nil {
				t.Error(err)
			}
		})
		w.wantState("eth0", Idle)
	})
}

func TestConflictOfManualAddress(t *testing.T) {
	cfg := defaults()
	cfg.ConflictDetection = true
	inWorld(t, cfg, func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		s := w.service("eth0")
		w.do(func() {
			_ = s.SetIPv4(IPv4Settings{Method: IPv4Manual, Address: netip.MustParsePrefix("10.0.0.50/24")})
		})
		w.wantState("eth0", Configuration)
		taken := Conflict{Address: netip.MustParseAddr("10.0.0.50"), Holder: "\x02\x00\x00\x00\x00\x99"}
		w.do(func() { w.acd["eth0"].report(AddressTaken{Conflict: taken}) })
		if got, at, over := s.LastConflict(); got != taken || at.IsZero() || over {
			t.Fatalf("conflict %v at %v, over %v", got, at, over)
		}
		w.do(func() { w.ll["eth0"].report(LinkLocalBound{Address: netip.MustParseAddr("169.254.7.7")}) })
		w.wantState("eth0", Ready)
	})
}

// A service that connects by itself never ends in failure: it is tried again,
// each time later, but within five minutes.
func TestFailureIsRetriedForEver(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.plug("eth0")
		w.links.fail = errBroken
		for range 12 {
			// The kernel's refusal is logged as an error, which is right here.
			w.m.log = quietLog()
			w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
			w.wantState("eth0", Failed)
			if got := w.service("eth0").Failure(); got != ConnectFailed {
				t.Fatalf("failure %q", got)
			}
			for waited := time.Duration(0); w.service("eth0").State() != Configuration; waited += time.Second {
				if waited > lastRetry {
					t.Fatalf("not tried again within %v", lastRetry)
				}
				w.sleep(time.Second)
			}
		}
		w.links.fail = nil
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		w.wantState("eth0", Ready)
		if got := w.service("eth0").Failure(); got != NoFailure {
			t.Fatalf("failure %q of a ready service", got)
		}
	})
}

func TestSecondServiceKeepsOutOfTheWay(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		w.plug("eth1")
		w.bind("eth1", lease("10.1.0.7/24", "10.1.0.1"))
		w.wantState("eth1", Ready)
		if w.probing("eth1") {
			t.Fatal("a service that is not the default is probed")
		}
		if got, want := w.defaultMetric("eth1"), int64(lowPriority(3)); got != want {
			t.Fatalf("second default route at metric %d, want %d", got, want)
		}
		w.unplug("eth0")
		if got := w.defaultMetric("eth1"); got != 0 {
			t.Fatalf("after failover the default route is at metric %d", got)
		}
		w.probed("eth1", ProbeResult{Online: true})
		w.wantState("eth1", Online)
	})
}

// A link without a router, or with a link-local address only, never takes the
// default route from one with a lease.
func TestRouterlessNeverDefault(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.plug("eth0")
		w.bind("eth0", lease("192.168.9.2/24", ""))
		w.plug("eth1")
		w.bind("eth1", lease("10.1.0.7/24", "10.1.0.1"))
		if got := w.m.Services()[0]; got != w.service("eth1") {
			t.Fatalf("%s is first", got.Device().Link.Name)
		}
		if w.defaultMetric("eth1") != 0 || w.defaultMetric("eth0") != -1 {
			t.Fatal("default route misplaced")
		}
	})
}

func TestMoveBeforeMovesTheDefault(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		w.online("eth1", "10.1.0.7/24", "10.1.0.1")
		a, b := w.service("eth0"), w.service("eth1")
		w.do(func() {
			if err := b.MoveBefore(a); err != nil {
				t.Error(err)
			}
		})
		if w.m.Services()[0] != b || w.defaultMetric("eth1") != 0 || w.defaultMetric("eth0") == 0 {
			t.Fatal("the default did not move")
		}
		w.wantState("eth0", Ready)
		w.probed("eth1", ProbeResult{Online: true})
		w.wantState("eth1", Online)
		w.do(func() {
			if err := b.MoveBefore(b); !errors.Is(err, ErrInvalidService) {
				t.Errorf("moved before itself: %v", err)
			}
			if err := b.MoveAfter(nil); !errors.Is(err, ErrInvalidService) {
				t.Errorf("moved after nothing: %v", err)
			}
		})
	})
}

func TestSingleConnectedTechnology(t *testing.T) {
	cfg := defaults()
	cfg.SingleConnected = true
	inWorld(t, cfg, func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		w.plug("eth1")
		w.wantState("eth1", Idle)
		w.do(func() { w.service("eth1").Connect("", func(error) {}) })
		w.bind("eth1", lease("10.1.0.7/24", "10.1.0.1"))
		w.wantState("eth1", Ready)
		w.wantState("eth0", Idle)
		w.unplug("eth1")
		w.wantState("eth0", Configuration)
	})
}

func TestPowerAndOfflineMode(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		tech := w.m.Technology(Ethernet)
		w.do(func() { w.m.SetOfflineMode(true) })
		if tech.Powered() || w.m.State() != "offline" {
			t.Fatalf("powered %v, state %s in offline mode", tech.Powered(), w.m.State())
		}
		w.wantState("eth0", Idle)
		w.do(func() { w.m.SetOfflineMode(false) })
		if !tech.Powered() {
			t.Fatal("not powered again after offline mode")
		}
		w.do(func() {
			tech.SetPowered(true, func(err error) {
				if !errors.Is(err, ErrAlreadyEnabled) {
					t.Errorf("powered twice: %v", err)
				}
			})
		})
		w.do(func() { tech.SetPowered(false, func(error) {}) })
		if got := w.store.global.Technologies[Ethernet].Enable; got {
			t.Fatal("the wish to power down was not stored")
		}
	})
}

func TestAgentUnregisters(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.do(func() {
			if err := w.m.UnregisterAgent(":1.5"); !errors.Is(err, ErrNotRegistered) {
				t.Errorf("before it registered: %v", err)
			}
			if err := w.m.RegisterAgent(AgentID{":1.5", "/agent"}); err != nil {
				t.Error(err)
			}
			if err := w.m.UnregisterAgent(":1.6"); !errors.Is(err, ErrNotRegistered) {
				t.Errorf("another program: %v", err)
			}
			if err := w.m.UnregisterAgent(":1.5"); err != nil {
				t.Errorf("the program itself: %v", err)
			}
			w.m.Detach()
			if w.agent.released != 0 {
				t.Error("an agent that had left was released")
			}
		})
	})
}

func TestAgentDecidesAboutRetry(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.plug("eth0")
		s := w.service("eth0")
		w.do(func() { s.Disconnect(func(error) {}) })
		w.m.log = quietLog()
		w.links.fail = errBroken
		w.do(func() {
			if err := w.m.RegisterAgent(AgentID{":1.5", "/agent"}); err != nil {
				t.Error(err)
			}
			if err := w.m.RegisterAgent(AgentID{":1.5", "/other"}); !errors.Is(err, ErrAlreadyExists) {
				t.Errorf("second agent of one program: %v", err)
			}
		})
		answer := errBroken
		w.do(func() { s.Connect("", func(err error) { answer = err }) })
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		if len(w.agent.asked) != 1 || answer != errBroken {
			t.Fatalf("asked %v, answered %v", w.agent.asked, answer)
		}
		w.do(func() { w.agent.answer(true, nil) })
		w.wantState("eth0", Configuration)
		w.links.fail = nil
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		if answer != nil {
			t.Fatalf("Connect: %v", answer)
		}
	})
}

func TestHostnameFollowsTheDefaultService(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		l := lease("10.0.0.7/24", "10.0.0.1")
		l.Hostname = "kitchen"
		w.plug("eth0")
		w.bind("eth0", l)
		if w.host != "kitchen" {
			t.Fatalf("host name %q", w.host)
		}
		w.unplug("eth0")
		if w.host != "" {
			t.Fatalf("host name %q after the network has gone", w.host)
		}
	})
}

func TestFlapsWriteNothing(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		before := w.store.writes
		for range 200 {
			w.unplug("eth0")
			w.cable("eth0")
			w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		}
		if w.store.writes != before {
			t.Fatalf("%d writes for nothing new", w.store.writes-before)
		}
	})
}

func TestNameserversOfTheUser(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		s := w.service("eth0")
		w.do(func() {
			if err := s.SetNameservers([]string{"1.1.1.1 8.8.8.8", "0.0.0.0", "nonsense", "1.1.1.1", ""}); err != nil {
				t.Error(err)
			}
		})
		w.sleep(dnsInterval)
		want := []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("8.8.8.8")}
		got := w.dns[0].DNS
		if !got.Equal(netcfg.DNSConfig{Servers: want, Domains: []string{"home.test"}}) {
			t.Fatalf("resolver got %v", got)
		}
		w.do(func() { _ = s.SetNameservers(nil) })
		w.sleep(dnsInterval)
		if got := w.dns[0].DNS.Servers[0].String(); got != "9.9.9.9" {
			t.Fatalf("after taking them back the server is %s", got)
		}
	})
}

// Multicast DNS is in use when it is wanted and the resolver can do it.
func TestMulticastDNS(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		s := w.service("eth0")
		set := func(want bool) func() {
			return func() {
				if err := s.SetMDNS(want); err != nil {
					t.Error(err)
				}
			}
		}
		w.do(set(true))
		w.sleep(dnsInterval)
		if !w.dns[0].MDNS || s.MDNS() {
			t.Fatalf("resolver got %+v, in use %v", w.dns[0], s.MDNS())
		}
		w.do(func() { w.m.SetMulticastDNS(true) })
		if !s.MDNS() {
			t.Fatal("not in use although the resolver can")
		}
		w.do(set(false))
		w.sleep(dnsInterval)
		if w.dns[0].MDNS || s.MDNS() {
			t.Fatalf("resolver got %+v, in use %v", w.dns[0], s.MDNS())
		}
	})
}

func TestStopTakesBackWhatWasConfigured(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		stopped := false
		w.do(func() { w.m.Stop(func() { stopped = true }) })
		if !stopped || len(w.links.configs[2].Addrs) != 0 || !w.dhcp["eth0"].stopped {
			t.Fatalf("stopped %v with %v on the link", stopped, w.links.configs[2])
		}
		if left := w.m.Technologies(); len(left) != 0 {
			t.Fatalf("%d technologies outlive the daemon", len(left))
		}
	})
}

func TestDetachLeavesLinksAlone(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		applied := w.links.applied
		w.do(w.m.Detach)
		if w.links.applied != applied || w.dhcp["eth0"].stopped {
			t.Fatal("detaching touched the link or the lease")
		}
	})
}

// What the system brought up before us goes down where its technology is off.
func TestDeviceOfDisabledTechnologyIsSwitchedOff(t *testing.T) {
	cfg := defaults()
	cfg.DefaultEnabled = nil
	inWorld(t, cfg, func(w *world) {
		driver := &switchedDevice{}
		w.do(func() { w.m.AddDevice(DeviceInfo{Type: Ethernet, Link: Link{Index: 2, Name: "eth0"}}, driver) })
		if driver.calls != 1 || driver.on || w.m.Technology(Ethernet).Powered() {
			t.Fatalf("switched %d times, on is %v", driver.calls, driver.on)
		}
	})
}

type switchedDevice struct {
	calls int
	on    bool
}

func (d *switchedDevice) SetPowered(on bool, done func(error)) {
	d.calls++
	d.on = on
	done(nil)
}

// What is answered is on the disk; what changed nothing need not wait for it.
func TestPersistWaitsForTheDisk(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		s, answered := w.service("eth0"), false
		w.do(func() {
			_ = s.SetDomains([]string{"a.test"})
			w.m.Persist(func() { answered = true })
			if answered || w.store.services[s.ID()].Domains == nil {
				t.Errorf("answered %v before the disk has it", answered)
			}
		})
		if !answered || w.store.synced != 1 {
			t.Fatalf("answered %v, synced %d times", answered, w.store.synced)
		}
		w.do(func() { w.m.Persist(func() {}) })
		if w.store.synced != 1 {
			t.Fatal("nothing changed and the disk was waited for")
		}
	})
}
