package wifi

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

// network is what access points of one SSID and security have in common.
type network struct {
	a        *adapter
	ssid     string
	security core.Security
	members  map[bus.ObjectPath]*bss
	core     *core.Network
}

// refresh tells what the network's access points look like by now.
func (n *network) refresh() {
	if n.core == nil {
		n.core = n.a.device.AddNetwork(core.NetworkInfo{
			Ident:    fmt.Sprintf("%x", identity(n.a.link)),
			Group:    n.group(),
			Name:     displayName(n.ssid),
			Wireless: n.wireless(),
		}, n)
	}
	best := n.strongest()
	n.core.SetStrength(best.strength())
	if used := n.members[n.a.current]; used != nil {
		best = used
	}
	n.core.SetAccessPoint(best.point)
	n.core.SetWireless(n.wireless())
}

// strongest is the network's strongest access point.
func (n *network) strongest() *bss {
	var best *bss
	for _, h := range n.members {
		if best == nil || h.signal > best.signal {
			best = h
		}
	}
	return best
}

// frequencies are where the network's access points are, in MHz.
func (n *network) frequencies() []int {
	var all []int
	for _, h := range n.members {
		if f := h.point.Frequency; f != 0 && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

// rateTimeout is how long who asks for diagnostics waits for the supplicant.
const rateTimeout = time.Second

// Rate implements [core.Rater].
func (n *network) Rate(done func(int)) {
	a := n.a
	if a.path == "" || a.owner != a.b.owner {
		done(0)
		return
	}
	call := supplicant.InterfaceSignalPollCall(a.owner, a.path)
	call.Timeout = rateTimeout
	a.b.Bus.Call(call, func(values []any, err error) {
		poll, _ := bus.Result[bus.Variant](values, err)
		about, _ := poll.Value.(bus.Dict)
		mbits, _ := bus.Lookup[int32](about, supplicant.LinkLinkspeed)
		done(max(int(mbits), 0))
	})
}

func (n *network) wireless() core.Wireless {
	w := core.Wireless{SSID: n.ssid, Security: n.security}
	for _, h := range n.members {
		w.WPS = w.WPS || h.wps
		w.WPSActive = w.WPSActive || h.button
	}
	return w
}

func (n *network) group() string {
	for _, h := range n.members {
		return h.group()
	}
	return ""
}

// offers reports whether an access point of the network lets machines in one of
// these ways.
func (n *network) offers(ways ...string) bool {
	for _, h := range n.members {
		if h.offers(ways...) {
			return true
		}
	}
	return false
}

// attemptTimeout is how long the supplicant may try to get into a network: it
// scans, and tries each access point more than once.
const attemptTimeout = 45 * time.Second

// renewalTimeout is how long new keys, or the way to another access point, may
// take. Some handshakes hang half way, and nothing passes any more.
const renewalTimeout = 15 * time.Second

var errNoAccess = errors.New("no access point lets us in in time")

// attempt is a network that the supplicant was told to be in.
type attempt struct {
	n      *network
	path   bus.ObjectPath // at the supplicant
	done   func(error)    // nil once the outcome was told
	timer  *loop.Timer
	cancel func() // the call under way
	begun  bool   // the supplicant does something about it
	again  bool   // it was told a second time
	ended  bool

	inSetup     bool             // the access point is to give the credentials
	credentials core.Credentials // to ask it with
}

// Connect implements [core.NetworkDriver].
func (n *network) Connect(c core.Credentials, done func(error)) {
	a := n.a
	if a.attempt != nil {
		a.attempt.end()
	}
	a.scans.pause()
	t := &attempt{n: n, done: done, cancel: func() {}}
	a.attempt = t
	a.appearAs(n.address(c.Address), func(err error) {
		switch {
		case t.ended:
		case err != nil:
			a.b.Log.Warn("network is not joined", "err", err)
			t.tell(err)
		case c.WPS:
			t.setUp(c)
		default:
			t.unlock(c, t.approach)
		}
	})
}

// approach joins the network as soon as it was heard: the supplicant joins at once
// what it has just heard, and otherwise looks through all channels first.
func (t *attempt) approach(c core.Credentials) {
	t.n.a.scans.refresh(t.n, func() {
		if !t.ended {
			t.join(c)
		}
	})
}

// join has the supplicant join the network with what lets us in.
func (t *attempt) join(c core.Credentials) {
	n, a := t.n, t.n.a
	profile, err := n.profile(c)
	if err != nil {
		a.b.Loop.Post("cannot connect", func() { t.tell(err) })
		return
	}
	t.timer = a.b.Loop.After("attempt timeout", attemptTimeout, func() { t.tell(errNoAccess) })
	a.b.Bus.Call(supplicant.InterfaceAddNetworkCall(a.owner, a.path, profile), func(values []any, err error) {
		path, err := bus.Result[bus.ObjectPath](values, err)
		switch {
		case t.ended:
			if err == nil {
				t.forget(path)
			}
		case err != nil:
			t.tell(fmt.Errorf("wpa_supplicant refuses the network: %w", err))
		default:
			t.path = path
			t.choose()
		}
	})
}

// choose tells the supplicant to be in the network, now.
func (t *attempt) choose() {
	a := t.n.a
	t.cancel = a.b.Bus.Call(supplicant.InterfaceSelectNetworkCall(a.owner, a.path, t.path), func(_ []any, err error) {
		if err != nil {
			t.tell(fmt.Errorf("wpa_supplicant does not take the network: %w", err))
		}
	})
}

// Disconnect implements [core.NetworkDriver].
func (n *network) Disconnect() {
	if t := n.a.attempt; t != nil && t.n == n {
		t.end()
		n.a.scans.restart()
	}
}

// tell reports the outcome of the attempt, once.
func (t *attempt) tell(err error) {
	if done := t.done; done != nil && !t.ended {
		t.done = nil
		t.timer.Stop()
		done(err)
	}
}

// step follows the supplicant from one state to another.
func (t *attempt) step(from, to string) {
	switch {
	case t.path == "":
		// That was about what was before.
	case to == stateCompleted:
		t.timer.Stop()
		t.tell(nil)
	case to != stateDisconnected:
		t.begun = true
		if from == stateCompleted {
			t.timer = t.n.a.b.Loop.After("renewal timeout", renewalTimeout, t.n.core.Left)
		}
	case !t.begun:
		// The end of an earlier attempt.
	case t.done == nil:
		t.n.core.Left()
	case from == stateHandshake && t.n.a.verdict.confused() && !t.again:
		// The supplicant takes the passphrase for wrong, and would wait.
		t.again = true
		t.choose()
	case from == stateHandshake, from == stateAuthenticating && t.n.offers(waysSAE...) && t.n.a.verdict.refused():
		t.tell(core.ErrRejected)
	}
	// Other failures the supplicant tries again by itself.
}

// refused hears that an 802.1X server does not let us in.
func (t *attempt) refused() {
	if t.path != "" && t.begun {
		t.tell(core.ErrRejected)
	}
}

// end takes the network from the supplicant.
func (t *attempt) end() {
	if t.ended {
		return
	}
	t.ended = true
	t.endSetup()
	t.timer.Stop()
	t.cancel()
	t.n.a.attempt = nil
	if t.path != "" {
		t.forget(t.path)
	}
}

// forget removes the network at path, which also leaves it.
func (t *attempt) forget(path bus.ObjectPath) {
	a := t.n.a
	if a.path != "" && a.owner == a.b.owner {
		a.b.Bus.Call(supplicant.InterfaceRemoveNetworkCall(a.owner, a.path, path), nil)
	}
}
