package wifi

import (
	"errors"
	"fmt"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/pkg/api/properties"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
)

// The states of an adapter that matter, as the supplicant calls them.
const (
	stateDisconnected   = "disconnected"
	stateScanning       = "scanning"
	stateAuthenticating = "authenticating"
	stateHandshake      = "4way_handshake"
	stateCompleted      = "completed"
)

// adapter is one wireless link.
type adapter struct {
	b      *Bearer
	owner  string // of the supplicant's name
	link   kernel.Link
	device *core.Device
	gone   bool

	on       bool           // as last asked for
	path     bus.ObjectPath // at the supplicant, "" while it doesn't have it
	state    string
	verdict  verdict // of the access point on the attempt under way
	bsss     map[bus.ObjectPath]*bss
	networks map[string]*network
	current  bus.ObjectPath          // the access point in use
	lost     map[bus.ObjectPath]bool // access points that are kept until the next scan, nil for none
	attempt  *attempt                // to be in a network, also once it succeeded
	scans    scans
}

func (a *adapter) info() core.DeviceInfo {
	return core.DeviceInfo{
		Type: core.Wifi,
		Link: core.Link{Index: a.link.Index, Name: a.link.Name, Addr: core.HardwareAddr(a.link.HardwareAddr)},
		MTU:  a.link.MTU, Permanent: core.HardwareAddr(identity(a.link)),
	}
}

// SetPowered implements [core.DeviceDriver]: the supplicant has the adapter while
// it is powered, and brings the link up and down.
func (a *adapter) SetPowered(on bool, done func(error)) {
	a.on = on
	if !on {
		a.close(func() { done(nil) })
		return
	}
	if a.path != "" {
		done(nil)
		return
	}
	a.create(func(path bus.ObjectPath, err error) {
		switch {
		case a.gone:
			done(core.ErrAborted)
		case err != nil:
			done(fmt.Errorf("cannot hand %s to wpa_supplicant: %w", a.link.Name, err))
		case !a.on:
			a.b.Bus.Call(supplicant.WpaSupplicant1RemoveInterfaceCall(a.owner, rootPath, path), nil)
			done(core.ErrAborted)
		default:
			a.open(path)
			done(nil)
		}
	})
}

// create has the supplicant take the adapter, or finds that it has it already.
func (a *adapter) create(done func(bus.ObjectPath, error)) {
	owner, name := a.owner, a.link.Name
	about := bus.Dict{
		{Key: supplicant.CreateInterfaceIfname, Value: name},
		{Key: supplicant.CreateInterfaceDriver, Value: a.b.Driver},
	}
	a.b.Bus.Call(supplicant.WpaSupplicant1CreateInterfaceCall(owner, rootPath, about), func(values []any, err error) {
		if errors.Is(err, &bus.Error{Name: supplicant.WpaSupplicant1ErrorInterfaceExists}) {
			a.b.Bus.Call(supplicant.WpaSupplicant1GetInterfaceCall(owner, rootPath, name), func(values []any, err error) {
				done(bus.Result[bus.ObjectPath](values, err))
			})
			return
		}
		done(bus.Result[bus.ObjectPath](values, err))
	})
}

// open takes over the supplicant's adapter.
func (a *adapter) open(path bus.ObjectPath) {
	a.path = path
	a.bsss = map[bus.ObjectPath]*bss{}
	a.networks = map[string]*network{}
	a.scans = scans{a: a}
	// Networks of somebody else would be joined behind our back.
	a.b.Bus.Call(supplicant.InterfaceRemoveAllNetworksCall(a.owner, path), nil)
	a.setCountry()
	// WPA3 either way, by hunting and pecking as well as by hash-to-element; old
	// supplicants know the first only.
	a.set(supplicant.InterfaceSaePwe, "2")
	a.getAll(path, supplicant.InterfaceInterface, func(about bus.Dict) {
		a.update(about)
		known, _ := bus.Lookup[[]bus.ObjectPath](about, supplicant.InterfaceBSSs)
		for _, bss := range known {
			a.getAll(bss, supplicant.InterfaceBSS, func(about bus.Dict) { a.heard(bss, about) })
		}
		a.scans.restart()
	})
}

// set sets a property of the supplicant's adapter. Not every supplicant has all,
// and it goes without.
func (a *adapter) set(name, value string) {
	call := properties.PropertiesSetCall(a.owner, a.path, supplicant.InterfaceInterface, name, bus.Variant{Value: value})
	a.b.Bus.Call(call, func(_ []any, err error) {
		if err != nil {
			a.b.Log.Debug("wpa_supplicant does not take it", "interface", a.link.Name, "property", name, "value", value, "err", err)
		}
	})
}

// setCountry has the adapter keep a country's rules for radios.
func (a *adapter) setCountry() {
	if country := a.b.country; country != "" && a.path != "" {
		a.set(supplicant.InterfaceCountry, country)
	}
}

// getAll asks for the properties of an object of this adapter.
func (a *adapter) getAll(path bus.ObjectPath, of string, got func(bus.Dict)) {
	opened := a.path
	a.b.Bus.Call(properties.PropertiesGetAllCall(a.owner, path, of), func(values []any, err error) {
		about, err := bus.Result[bus.Dict](values, err)
		switch {
		case a.path != opened:
		case err != nil:
			a.b.Log.Debug("wpa_supplicant does not say", "path", path, "err", err)
		default:
			got(about)
		}
	})
}

// removeTimeout is how long the supplicant may take to give the adapter back.
const removeTimeout = 5 * time.Second

// close gives the adapter back; done runs when it shows its own address again.
func (a *adapter) close(done func()) {
	if a.path == "" {
		done()
		return
	}
	path := a.path
	a.path = ""
	a.state = ""
	if a.attempt != nil {
		a.attempt.end()
	}
	a.scans.stop()
	networks := a.networks
	a.networks, a.bsss, a.current, a.lost = nil, nil, "", nil
	for _, n := range networks {
		n.core.Remove()
	}
	if a.owner != a.b.owner {
		done()
		return
	}
	removed := func() { a.reveal(done) }
	if a.link.HardwareAddr == identity(a.link) {
		removed = func() {}
		done()
	}
	call := supplicant.WpaSupplicant1RemoveInterfaceCall(a.owner, rootPath, path)
	call.Timeout = removeTimeout
	a.b.Bus.Call(call, func([]any, error) { removed() })
}

// update takes in changed properties.
func (a *adapter) update(about bus.Dict) {
	if caps, ok := bus.Lookup[bus.Dict](about, supplicant.InterfaceCapabilities); ok {
		if n, ok := bus.Lookup[int32](caps, supplicant.CapabilityMaxScanSSID); ok {
			a.scans.limit = int(n)
		}
	}
	if current, ok := bus.Lookup[bus.ObjectPath](about, supplicant.InterfaceCurrentBSS); ok {
		a.use(current)
	}
	a.verdict.take(about)
	state, ok := bus.Lookup[string](about, supplicant.InterfaceState)
	if !ok || state == a.state {
		return
	}
	old := a.state
	a.state = state
	if state == stateAuthenticating {
		a.verdict = verdict{}
	}
	a.b.Log.Debug("supplicant", "interface", a.link.Name, "from", old, "to", state)
	if a.attempt != nil {
		a.attempt.step(old, state)
	}
}

// use notes which access point is in use.
func (a *adapter) use(current bus.ObjectPath) {
	before := a.current
	a.current = current
	for _, path := range []bus.ObjectPath{before, current} {
		if h := a.bsss[path]; h != nil && a.networks[h.group()] != nil {
			a.networks[h.group()].refresh()
		}
	}
}

// heard takes in an access point that is new.
func (a *adapter) heard(path bus.ObjectPath, about bus.Dict) {
	if a.path == "" || !within(path, a.path) {
		return
	}
	if a.bsss[path] != nil {
		a.heardMore(path, about)
		return
	}
	h, err := newBSS(about)
	if err != nil {
		a.b.Log.Debug("access point is ignored", "path", path, "err", err)
		return
	}
	a.bsss[path] = h
	a.join(path, h)
}

// heardMore takes in what changed of an access point.
func (a *adapter) heardMore(path bus.ObjectPath, about bus.Dict) {
	h := a.bsss[path]
	if h == nil {
		return
	}
	before := h.group()
	if err := h.take(about); err != nil {
		a.b.Log.Debug("access point is ignored", "path", path, "err", err)
		a.unheard(path)
		return
	}
	if h.group() != before {
		a.leave(path, before)
		a.join(path, h)
		return
	}
	if n := a.networks[before]; n != nil {
		n.refresh()
	}
}

// unheard forgets an access point.
func (a *adapter) unheard(path bus.ObjectPath) {
	if a.lost != nil {
		a.lost[path] = true
		return
	}
	if h := a.bsss[path]; h != nil {
		delete(a.bsss, path)
		a.leave(path, h.group())
	}
}

// join puts an access point into its network.
func (a *adapter) join(path bus.ObjectPath, h *bss) {
	group := h.group()
	if group == "" {
		return
	}
	n := a.networks[group]
	if n == nil {
		n = &network{a: a, ssid: h.ssid, security: h.security(), members: map[bus.ObjectPath]*bss{}}
		a.networks[group] = n
	}
	n.members[path] = h
	n.refresh()
}

// leave takes an access point out of its network.
func (a *adapter) leave(path bus.ObjectPath, group string) {
	n := a.networks[group]
	if n == nil {
		return
	}
	delete(n.members, path)
	if len(n.members) > 0 {
		n.refresh()
		return
	}
	delete(a.networks, group)
	n.core.Remove()
}
