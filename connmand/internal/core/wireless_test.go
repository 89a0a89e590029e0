package core

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"net.connman/pkg/logx"
)

// air is the driver of a wireless device and of what it hears.
type air struct {
	w       *world
	device  *Device
	scanned []string // SSIDs asked for
	scans   int
	onScan  func()
	joined  []string // SSID and passphrase of each attempt
	outcome func(ssid string, c Credentials) error
	left    int
}

func (a *air) SetPowered(_ bool, done func(error)) { done(nil) }

func (a *air) Scan(ssids []string, done func(error)) {
	a.scanned = append(a.scanned, ssids...)
	a.scans++
	if a.onScan != nil {
		a.onScan()
	}
	done(nil)
}

// station is one network on the air.
type station struct {
	a    *air
	ssid string
}

func (s station) Connect(c Credentials, done func(error)) {
	s.a.joined = append(s.a.joined, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s%s", s.ssid, c.Identity, c.Passphrase.Reveal(), c.PIN)), " "))
	s.a.w.loop.Post("joined", func() { done(s.a.outcome(s.ssid, c)) })
}

func (s station) Disconnect() { s.a.left++ }

// radio plugs in a wireless device, on, whose networks let everybody in.
func (w *world) radio() *air {
	a := &air{w: w, outcome: func(string, Credentials) error { return nil }}
	w.do(func() {
		w.m.global.Technologies[Wifi] = TechnologySettings{Enable: true}
		info := DeviceInfo{Type: Wifi, Link: Link{Index: 9, Name: "wlan0", Addr: "\x02\x00\x00\x00\x00\x09"}}
		a.device = w.m.AddDevice(info, a)
	})
	return a
}

// hear makes a network appear.
func (a *air) hear(ssid string, security Security) *Network {
	var n *Network
	a.w.do(func() { n = a.add(ssid, Wireless{SSID: ssid, Security: security}) })
	return n
}

func (a *air) add(ssid string, wireless Wireless) *Network {
	return a.device.AddNetwork(networkInfo(ssid, wireless), station{a, ssid})
}

func networkInfo(ssid string, wireless Wireless) NetworkInfo {
	group := "hidden"
	if ssid != "" {
		group = fmt.Sprintf("%x", ssid)
	}
	return NetworkInfo{Ident: "020000000009", Group: group + "_managed_" + string(wireless.Security), Name: ssid, Wireless: wireless}
}

// connect connects a service as its user; the result is where the answer comes.
func (w *world) connect(n *Network) *error {
	unanswered := errors.New("no answer yet")
	result := &unanswered
	w.do(func() { n.service.Connect("", func(err error) { *result = err }) })
	return result
}

func (w *world) say(in Input, err error) {
	w.t.Helper()
	answer := w.agent.input
	if answer == nil {
		w.t.Fatal("the user was not asked")
	}
	w.agent.input = nil
	w.do(func() { answer(in, err) })
}

// asked lists the fields that the user was asked for.
func (w *world) fields() string {
	var all []string
	for _, f := range w.agent.fields {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s:%s:%s %s%s", f.Name, f.Type, f.Requirement, strings.Join(f.Alternates, ","), f.Value.Reveal())))
	}
	return strings.Join(all, "; ")
}

func (w *world) withAgent() {
	w.do(func() { _ = w.m.RegisterAgent(AgentID{Owner: ":1.9", Path: "/agent"}) })
}

func passphrase(p string) Input { return Input{Credentials: Credentials{Passphrase: logx.Secret(p)}} }

// The user is asked for the passphrase, anew after a wrong one, and what served
// is saved, nothing before.
func TestPassphraseIsAskedFor(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		a.outcome = func(_ string, c Credentials) error {
			if c.Passphrase != "the right one" {
				return ErrRejected
			}
			return nil
		}
		n := a.hear("home", SecurityPSK)
		s := n.service
		if err := w.connect(n); !errors.Is(*err, ErrNotRegistered) {
			t.Fatalf("without an agent: %v", *err)
		}
		w.withAgent()

		result := w.connect(n)
		if got := w.fields(); got != "Passphrase:psk:mandatory" {
			t.Errorf("asked for %s", got)
		}
		w.say(passphrase("short"), nil)
		if s.Failure() != InvalidKey || len(a.joined) != 0 {
			t.Errorf("failure %q after %v", s.Failure(), a.joined)
		}
		w.do(func() { w.agent.answer(true, nil) }) // retry
		if got := w.fields(); got != "Passphrase:psk:mandatory; PreviousPassphrase:psk:informational short" {
			t.Errorf("asked for %s", got)
		}
		w.say(passphrase("the wrong one"), nil)
		if s.Failure() != InvalidKey || len(a.joined) != 1 || s.Favorite() {
			t.Errorf("failure %q after %v", s.Failure(), a.joined)
		}
		if len(w.store.services) != 0 {
			t.Errorf("saved: %v", w.store.services)
		}
		w.do(func() { w.agent.answer(true, nil) })
		w.say(passphrase("the right one"), nil)
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		if *result != nil || !s.State().Connected() {
			t.Fatalf("state %s, answer %v", s.State(), *result)
		}
		saved := w.store.services[s.ID()]
		if saved.Passphrase != "the right one" || saved.SSID != "home" || !saved.Favorite {
			t.Errorf("saved %v", saved)
		}
	})
}

// What the user says besides a passphrase.
func TestUserAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		in   Input
		err  error
		want error
	}{
		"does not want": {err: ErrAborted, want: ErrAborted},
		"says nothing":  {err: ErrTimeout, want: ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, defaults(), func(w *world) {
				a := w.radio()
				w.withAgent()
				n := a.hear("home", SecurityPSK)
				result := w.connect(n)
				w.say(c.in, c.err)
				if !errors.Is(*result, c.want) || n.service.State() != Idle || len(a.joined) != 0 {
					t.Errorf("answer %v, state %s, attempts %v", *result, n.service.State(), a.joined)
				}
			})
		})
	}
}

// With Wi-Fi Protected Setup the user may press the button or type a PIN instead.
func TestSetupInsteadOfPassphrase(t *testing.T) {
	for pin, want := range map[string]string{"": "[home]", "12345670": "[home 12345670]", "1234": "[]", "1234567x": "[]"} {
		inWorld(t, defaults(), func(w *world) {
			a := w.radio()
			w.withAgent()
			var n *Network
			w.do(func() { n = a.add("home", Wireless{SSID: "home", Security: SecurityPSK, WPS: true}) })
			w.connect(n)
			if got := w.fields(); got != "Passphrase:psk:mandatory WPS; WPS:wpspin:alternate" {
				t.Errorf("asked for %s", got)
			}
			w.say(Input{Credentials: Credentials{WPS: true, PIN: pin}}, nil)
			if got := fmt.Sprint(a.joined); got != want {
				t.Errorf("PIN %q: attempts %s, want %s", pin, got, want)
			}
		})
	}
}

// When Wi-Fi Protected Setup fails, the user may say something else the next time.
func TestSetupFails(t *testing.T) {
	for pin, previous := range map[string]string{"": "", "12345670": "; PreviousPassphrase:wpspin:informational 12345670"} {
		inWorld(t, defaults(), func(w *world) {
			a := w.radio()
			a.outcome = func(_ string, c Credentials) error {
				if c.WPS {
					return errBroken
				}
				return nil
			}
			w.withAgent()
			var n *Network
			w.do(func() { n = a.add("home", Wireless{SSID: "home", Security: SecurityPSK, WPS: true}) })
			w.connect(n)
			w.say(Input{Credentials: Credentials{WPS: true, PIN: pin}}, nil)
			if n.service.Failure() != ConnectFailed {
				t.Errorf("failure %q", n.service.Failure())
			}
			w.do(func() { w.agent.answer(true, nil) }) // retry
			if got, want := w.fields(), "Passphrase:psk:mandatory WPS"+previous+"; WPS:wpspin:alternate"; w.agent.input == nil || got != want {
				t.Fatalf("after PIN %q asked for %s, want %s", pin, got, want)
			}
			w.say(passphrase("the right one"), nil)
			w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
			if !n.service.State().Connected() {
				t.Errorf("state %s after %v", n.service.State(), a.joined)
			}
		})
	}
}

// Who ends Wi-Fi Protected Setup, as nothing comes of it, is asked again, too.
func TestSetupIsEnded(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		w.withAgent()
		var n *Network
		a.outcome = func(string, Credentials) error {
			n.service.Disconnect(func(error) {})
			return nil
		}
		w.do(func() { n = a.add("home", Wireless{SSID: "home", Security: SecurityPSK, WPS: true}) })
		w.connect(n)
		w.say(Input{Credentials: Credentials{WPS: true}}, nil)
		if w.connect(n); w.agent.input == nil {
			t.Errorf("not asked again; state %s, attempts %v", n.service.State(), a.joined)
		}
	})
}

// Who the user is and his password are saved together once they have served, and go
// before what a file says of him.
func TestIdentityIsSaved(t *testing.T) {
	spec := ServiceSpec{File: "f", Entry: "e", Type: Wifi, Wifi: &WifiSpec{SSID: "work", Security: "ieee8021x", EAP: "peap", Identity: "guest"}}
	store := &fakeStore{services: map[string]ServiceSettings{}}
	var id string
	inWorldWith(t, defaults(), store, func(w *world) {
		a := w.radio()
		w.withAgent()
		n := a.hear("work", SecurityEAP)
		if err := w.connect(n); !errors.Is(*err, ErrInvalidArguments) {
			t.Errorf("without a file: %v", *err)
		}
		w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
		result := w.connect(n)
		w.say(Input{Credentials: Credentials{Identity: "alice"}}, nil)
		if !errors.Is(*result, ErrInvalidArguments) || w.agent.input != nil {
			t.Errorf("half an answer: %v, asked again: %t", *result, w.agent.input != nil)
		}
		w.connect(n)
		if got := w.fields(); got != "Identity:string:mandatory; Passphrase:passphrase:mandatory" {
			t.Errorf("asked for %s", got)
		}
		w.say(Input{Credentials: Credentials{Identity: "alice", Passphrase: "wonderland"}}, nil)
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		id = n.service.ID()
	})
	if saved := store.services[id]; saved.Identity != "alice" || saved.Passphrase != "wonderland" {
		t.Fatalf("saved %q and %q", saved.Identity, saved.Passphrase.Reveal())
	}
	inWorldWith(t, defaults(), store, func(w *world) {
		w.do(func() { w.m.SetSpecs([]ServiceSpec{spec}) })
		a := w.radio()
		n := a.hear("work", SecurityEAP)
		if got := fmt.Sprint(a.joined); got != "[work alice wonderland]" {
			t.Errorf("the next time: attempts %s, %s", got, n.service.Why())
		}
	})
}

// A question is withdrawn with the network it is about, and by Disconnect.
func TestQuestionIsWithdrawn(t *testing.T) {
	for name, end := range map[string]func(*Network){
		"network gone": func(n *Network) { n.Remove() },
		"disconnect":   func(n *Network) { n.service.Disconnect(func(error) {}) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, defaults(), func(w *world) {
				a := w.radio()
				w.withAgent()
				n := a.hear("home", SecurityPSK)
				result := w.connect(n)
				w.do(func() { end(n) })
				if w.agent.input != nil || !errors.Is(*result, ErrAborted) {
					t.Errorf("still asked: %t, answer %v", w.agent.input != nil, *result)
				}
			})
		})
	}
}

// A passphrase that served before is believed for a while when it is rejected, is
// tried for ever, and stays when the user gives a wrong one.
func TestSavedPassphrase(t *testing.T) {
	const id = "wifi_020000000009_686f6d65_managed_psk"
	auto := true
	store := &fakeStore{services: map[string]ServiceSettings{
		id: {Favorite: true, AutoConnect: &auto, SSID: "home", Passphrase: "saved before"},
	}}
	inWorldWith(t, defaults(), store, func(w *world) {
		a := w.radio()
		a.outcome = func(string, Credentials) error { return ErrRejected }
		n := a.hear("home", SecurityPSK)
		s := n.service
		var failures []Failure
		for range patience {
			failures = append(failures, s.Failure())
			w.sleep(firstRetry << len(failures))
		}
		if got := fmt.Sprint(failures); got != "[connect-failed connect-failed invalid-key]" {
			t.Errorf("failures %v", got)
		}
		attempts := len(a.joined)
		result := w.connect(n)
		if len(a.joined) != attempts+1 || !errors.Is(*result, ErrFailed) {
			t.Errorf("without an agent: attempts %v, answer %v", a.joined[attempts:], *result)
		}
		w.withAgent()
		result = w.connect(n)
		if got := w.fields(); got != "Passphrase:psk:mandatory; PreviousPassphrase:psk:informational saved before" {
			t.Errorf("asked for %s", got)
		}
		w.say(passphrase("mistyped once"), nil)
		w.do(func() { w.agent.answer(false, nil) })
		if !errors.Is(*result, ErrFailed) {
			t.Errorf("answer %v", *result)
		}
		a.outcome = func(string, Credentials) error { return nil }
		w.sleep(4 * firstRejectedRetry)
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		if last := a.joined[len(a.joined)-1]; last != "home saved before" || !s.State().Connected() {
			t.Errorf("state %s after an attempt with %q", s.State(), last)
		}
	})
}

// One device is in one network at a time.
func TestDeviceChangesNetworks(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		one, two := a.hear("one", SecurityNone), a.hear("two", SecurityNone)
		w.connect(one)
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		result := w.connect(two)
		if got := one.service.State(); got != Idle {
			t.Errorf("the first service is %s", got)
		}
		w.bind("wlan0", lease("10.0.1.2/24", "10.0.1.1"))
		if *result != nil || !two.service.State().Connected() || a.left != 1 {
			t.Errorf("the second is %s, answer %v; left %d networks", two.service.State(), *result, a.left)
		}
		w.sleep(time.Hour)
		if got := one.service.State(); got != Idle {
			t.Errorf("the first service is %s later on", got)
		}
	})
}

// A lost connection is taken up again at once, unless it is lost right away.
func TestNetworkLeft(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		n := a.hear("home", SecurityNone)
		w.connect(n)
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		w.sleep(time.Minute)
		w.do(n.Left)
		if len(a.joined) != 2 {
			t.Fatalf("attempts %v, want a second at once", a.joined)
		}
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		w.do(n.Left)
		if len(a.joined) != 2 || n.service.State() != Failed {
			t.Fatalf("state %s, attempts %v, want none at once", n.service.State(), a.joined)
		}
		w.sleep(firstRetry)
		if len(a.joined) != 3 {
			t.Errorf("attempts %v, want a third", a.joined)
		}
	})
}

// A network that throws us out before there is an address is joined again, once,
// and whoever wants to be connected is answered after that.
func TestNetworkLeftAtOnce(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		n := a.hear("home", SecurityNone)
		result := w.connect(n)
		w.do(n.Left)
		if len(a.joined) != 2 || n.service.State() != Configuration {
			t.Fatalf("state %s, attempts %v, want two", n.service.State(), a.joined)
		}
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		if *result != nil {
			t.Errorf("connected: %v", *result)
		}
		w.do(n.Left) // which is soon again, and so waits
		w.sleep(firstRetry)
		w.do(n.Left)
		w.do(n.Left)
		if len(a.joined) != 4 || n.service.State() != Failed {
			t.Errorf("state %s, attempts %v, want four", n.service.State(), a.joined)
		}
	})
}

// A hidden network is one that the user names; what was asked for it goes to the
// service that the scan finds.
func TestHiddenNetwork(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		w.withAgent()
		hidden := a.hear("", SecurityPSK)
		result := w.connect(hidden)
		if got := w.fields(); got != "Name:string:mandatory SSID; SSID:ssid:alternate; Passphrase:psk:mandatory" {
			t.Errorf("asked for %s", got)
		}
		var found *Network
		a.onScan = func() {
			if found == nil {
				found = a.add("cellar", Wireless{SSID: "cellar", Security: SecurityPSK})
			}
		}
		w.say(Input{SSID: "cellar", Credentials: Credentials{Passphrase: "down there"}}, nil)
		w.bind("wlan0", lease("10.0.0.2/24", "10.0.0.1"))
		if *result != nil || !found.service.State().Connected() || hidden.service.State() != Idle {
			t.Errorf("answer %v, the network is %s", *result, found.service.State())
		}
		if saved := w.store.services[found.service.ID()]; !saved.Hidden || saved.Passphrase != "down there" {
			t.Errorf("saved %v", saved)
		}
		if fmt.Sprint(a.scanned) != "[cellar]" || fmt.Sprint(w.m.HiddenSSIDs()) != "[cellar]" {
			t.Errorf("scanned for %v, then for %v", a.scanned, w.m.HiddenSSIDs())
		}

		w.do(func() {
			if err := hidden.service.Remove(); !errors.Is(err, ErrNotSupported) {
				t.Errorf("removing what stands for all of them: %v", err)
			}
			if err := hidden.service.SetNameservers([]string{"10.0.0.1"}); !errors.Is(err, ErrNotSupported) {
				t.Errorf("changing what stands for all of them: %v", err)
			}
		})
		result = w.connect(hidden)
		w.say(Input{SSID: "attic", Credentials: Credentials{Passphrase: "up there"}}, nil)
		w.sleep(foundWithin)
		if !errors.Is(*result, ErrNotFound) {
			t.Errorf("for a network that is not there: %v", *result)
		}
		for _, in := range []Input{{}, {SSID: strings.Repeat("x", 33)}, {SSID: "x", Credentials: Credentials{Passphrase: "short"}}} {
			result = w.connect(hidden)
			w.say(in, nil)
			if !errors.Is(*result, ErrInvalidArguments) {
				t.Errorf("for %v: %v", in, *result)
			}
		}
	})
}

func TestTechnologyScan(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		scan := func(kind Type) (result error) {
			w.do(func() { w.m.Technology(kind).Scan(func(err error) { result = err }) })
			return result
		}
		w.plug("eth0")
		if err := scan(Ethernet); !errors.Is(err, ErrNotSupported) {
			t.Errorf("wires: %v", err)
		}
		w.radio()
		if err := scan(Wifi); err != nil {
			t.Errorf("a radio: %v", err)
		}
		w.do(func() { w.m.Technology(Wifi).SetPowered(false, func(error) {}) })
		if err := scan(Wifi); !errors.Is(err, ErrNoCarrier) {
			t.Errorf("a radio that is off: %v", err)
		}
	})
}

func TestCheckPassphrase(t *testing.T) {
	hex := strings.Repeat("aF09", 16)
	for _, c := range []struct {
		security Security
		good     []string
		bad      []string
	}{
		{SecurityPSK, []string{"12345678", strings.Repeat("x", 63), hex}, []string{"", "1234567", hex[1:] + "x", hex + "0"}},
		{SecurityWEP, []string{"12345", "1234567890123", hex[:10], hex[:26]}, []string{"", "1234", "123456", "123456789x", hex[:25]}},
		{SecurityEAP, []string{"", "anything"}, nil},
		{SecurityNone, []string{""}, nil},
	} {
		for _, p := range c.good {
			if err := CheckPassphrase(c.security, logx.Secret(p)); err != nil {
				t.Errorf("%s refuses %q", c.security, p)
			}
		}
		for _, p := range c.bad {
			if err := CheckPassphrase(c.security, logx.Secret(p)); err == nil {
				t.Errorf("%s takes %q", c.security, p)
			}
		}
	}
}

// slow is a device that takes its time to be switched on.
type slow struct{ w *world }

func (s slow) SetPowered(_ bool, done func(error)) {
	s.w.loop.After("slow device", 2*powerTimeout, func() { done(nil) })
}

// Who waits for a slow device is told after a while, but it is on in the end.
func TestSlowDevice(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		var result error
		w.do(func() {
			w.m.AddDevice(DeviceInfo{Type: Wifi}, slow{w})
			w.m.Technology(Wifi).SetPowered(true, func(err error) { result = err })
		})
		w.sleep(powerTimeout)
		if !errors.Is(result, ErrTimeout) || w.m.Technology(Wifi).Powered() {
			t.Errorf("after a while: %v, powered %t", result, w.m.Technology(Wifi).Powered())
		}
		w.sleep(powerTimeout)
		if !w.m.Technology(Wifi).Powered() {
			t.Error("the device's answer was not heard")
		}
	})
}
