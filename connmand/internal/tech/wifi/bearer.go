package wifi

import (
	"log/slog"
	"maps"
	"slices"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/link"
	"net.connman/pkg/api/properties"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

// busName and rootPath are where wpa_supplicant is found.
const (
	busName  = "fi.w1.wpa_supplicant1"
	rootPath = bus.ObjectPath("/fi/w1/wpa_supplicant1")
)

// Links are the links of the machine; *link.Table is.
type Links interface {
	Watch(observe func(link.Event))
	SetHardwareAddr(index int, addr string, done func(error))
}

// Bus is how the supplicant is reached; *bus.Conn is one.
type Bus interface {
	Call(m bus.MethodCall, done func(values []any, err error)) (cancel func())
	Subscribe(m bus.Match, fn func(bus.ReceivedSignal)) (stop func())
	WatchName(name string, fn func(owner string)) (stop func())
}

// Config is what the bearer works with.
type Config struct {
	Manager *core.Manager
	Loop    *loop.Loop
	Log     *slog.Logger
	Bus     Bus
	Links   Links
	// Passes says by name which links may be handled.
	Passes func(name string) bool
	// Driver are the kernel interfaces that the supplicant tries, "nl80211,wext".
	Driver string
	// BackgroundScan looks for networks again and again while there is no
	// connection, and has the supplicant look for better access points of the
	// network it is in.
	BackgroundScan bool
	Roaming        core.RoamingScan // with BackgroundScan
	// StableAddress makes a hardware address, in binary, for a network and an
	// adapter; RandomAddress another one each time.
	StableAddress func(ssid, adapter string) string
	RandomAddress func() string
}

// Bearer turns wireless links into devices.
type Bearer struct {
	Config
	owner    string // who is the supplicant, "" while nobody is
	links    map[int]kernel.Link
	adapters map[int]*adapter
	country  string   // whose rules for radios are kept, "" for those of the kernel
	silence  []func() // end the subscriptions to the supplicant's signals
}

// Start reports the wireless devices of the machine from now on. A supplicant
// that the bus can start is started when there is a first one.
func Start(c Config) *Bearer {
	b := &Bearer{Config: c, links: map[int]kernel.Link{}, adapters: map[int]*adapter{}}
	b.Bus = wakeful{Bus: c.Bus, loop: c.Loop}
	c.Bus.WatchName(busName, b.changeOwner)
	c.Links.Watch(b.observe)
	return b
}

// SetCountry has all adapters keep the rules of a country (ISO 3166) for radios.
func (b *Bearer) SetCountry(code string) {
	b.country = code
	for _, a := range b.adapters {
		a.setCountry()
	}
}

func (b *Bearer) observe(e link.Event) {
	switch e := e.(type) {
	case link.Added:
		b.consider(e.Link)
	case link.Changed:
		b.consider(e.Link)
	case link.Removed:
		delete(b.links, e.Link.Index)
		b.remove(e.Link.Index)
	}
}

// consider brings what is known of a link up to date.
func (b *Bearer) consider(l kernel.Link) {
	old, known := b.links[l.Index]
	ours := l.Wireless() && len(l.HardwareAddr) == 6 && l.Master == 0 && b.Passes(l.Name)
	switch {
	case !ours:
		delete(b.links, l.Index)
		b.remove(l.Index)
		return
	case known && (identity(old) != identity(l) || old.Name != l.Name):
		b.remove(l.Index) // the identity of its services changes
	}
	b.links[l.Index] = l
	if a := b.adapters[l.Index]; a != nil {
		a.link = l
		a.device.Update(a.info())
		return
	}
	if b.owner == "" {
		b.wake()
		return
	}
	b.add(l)
}

// identity is the address that an adapter's services are named by.
func identity(l kernel.Link) string {
	if len(l.Permanent) == len(l.HardwareAddr) {
		return l.Permanent
	}
	return l.HardwareAddr
}

// wake has the bus start the supplicant, if it can. That nobody is there yet is
// no error: the name's owner is followed.
func (b *Bearer) wake() {
	call := properties.PropertiesGetAllCall(busName, rootPath, supplicant.InterfaceWpaSupplicant1)
	b.Bus.Call(call, func(_ []any, err error) {
		if err != nil {
			b.Log.Debug("wpa_supplicant is not to be had", "err", err)
		}
	})
}

// changeOwner follows the supplicant's coming and going.
func (b *Bearer) changeOwner(owner string) {
	if owner == b.owner {
		return
	}
	for _, silence := range b.silence {
		silence()
	}
	b.silence = nil
	b.owner = owner
	for _, index := range slices.Sorted(maps.Keys(b.adapters)) {
		b.remove(index)
	}
	if owner == "" {
		b.Log.Warn("wpa_supplicant is gone")
		if len(b.links) > 0 {
			b.wake()
		}
		return
	}
	b.silence = []func(){
		b.Bus.Subscribe(bus.Match{Sender: owner, Interface: supplicant.InterfaceWpaSupplicant1, Member: "InterfaceRemoved"}, b.taken),
		b.Bus.Subscribe(bus.Match{Sender: owner, Interface: supplicant.InterfaceInterface}, b.signalled),
		b.Bus.Subscribe(bus.Match{Sender: owner, Interface: supplicant.InterfaceWPS}, b.signalled),
		b.Bus.Subscribe(bus.Match{Sender: owner, Interface: properties.InterfaceProperties, Member: "PropertiesChanged"}, b.changed),
	}
	for _, index := range slices.Sorted(maps.Keys(b.links)) {
		b.add(b.links[index])
	}
}

func (b *Bearer) add(l kernel.Link) {
	b.Log.Info("new device", "interface", l.Name, "technology", core.Wifi)
	a := &adapter{b: b, owner: b.owner, link: l}
	b.adapters[l.Index] = a
	a.device = b.Manager.AddDevice(a.info(), a)
}

func (b *Bearer) remove(index int) {
	a, ok := b.adapters[index]
	if !ok {
		return
	}
	b.Log.Info("device gone", "interface", a.link.Name)
	delete(b.adapters, index)
	a.gone = true
	a.close(func() {})
	a.device.Remove()
}

// taken hears that somebody took an adapter from the supplicant: it is given back.
func (b *Bearer) taken(s bus.ReceivedSignal) {
	path, ok := arg[bus.ObjectPath](s, 0)
	for index, a := range b.adapters {
		if ok && path != "" && a.path == path {
			b.remove(index)
			b.add(a.link)
			return
		}
	}
}

// at returns the adapter at a path of the supplicant, or the one below which the
// path lies.
func (b *Bearer) at(path bus.ObjectPath) *adapter {
	for _, a := range b.adapters {
		if a.path != "" && (a.path == path || within(path, a.path)) {
			return a
		}
	}
	return nil
}

// within reports whether path lies below parent.
func within(path, parent bus.ObjectPath) bool {
	return len(path) > len(parent) && path[:len(parent)] == parent && path[len(parent)] == '/'
}

// signalled hears what an adapter's signals say.
func (b *Bearer) signalled(s bus.ReceivedSignal) {
	a := b.at(s.Path)
	if a == nil || a.path != s.Path {
		return
	}
	switch s.Member {
	case "BSSAdded":
		if path, ok := arg[bus.ObjectPath](s, 0); ok {
			about, _ := arg[bus.Dict](s, 1)
			a.heard(path, about)
		}
	case "BSSRemoved":
		if path, ok := arg[bus.ObjectPath](s, 0); ok {
			a.unheard(path)
		}
	case "ScanDone":
		a.scanned()
	case "EAP":
		status, _ := arg[string](s, 0)
		parameter, _ := arg[string](s, 1)
		if a.attempt != nil && status == "completion" && parameter == "failure" {
			a.attempt.refused()
		}
	case "Event", "Credentials":
		a.setup(s)
	}
}

// changed hears of properties that changed, of adapters and of access points.
func (b *Bearer) changed(s bus.ReceivedSignal) {
	a := b.at(s.Path)
	of, ok := arg[string](s, 0)
	about, ok2 := arg[bus.Dict](s, 1)
	if a == nil || !ok || !ok2 {
		return
	}
	switch {
	case of == supplicant.InterfaceInterface && s.Path == a.path:
		a.update(about)
	case of == supplicant.InterfaceBSS:
		a.heardMore(s.Path, about)
	}
}

// arg returns a signal's argument if it has the type T.
func arg[T any](s bus.ReceivedSignal, i int) (T, bool) {
	if i >= len(s.Args) {
		var none T
		return none, false
	}
	v, ok := s.Args[i].(T)
	return v, ok
}
