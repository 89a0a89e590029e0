package vpn

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/link"
	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

const (
	busName     = "net.connman.vpn"
	managerPath = bus.ObjectPath("/")
	pathPrefix  = "/net/connman/vpn/connection/"
	// maxIdent keeps the names of files within what file systems take.
	maxIdent = 200
)

// A daemon that vanishes though it had connections is started again, after a
// pause that doubles from the first to the last of these unless it lived for
// longer.
const (
	firstPause = time.Second
	lastPause  = 5 * time.Minute
)

// Links are the links of the machine; *link.Table is.
type Links interface {
	Watch(observe func(link.Event))
}

// Bus is how the daemon is reached; *bus.Conn is one.
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
}

// bearer turns the daemon's connections into networks.
type bearer struct {
	Config
	owner       string // who is the daemon, "" while nobody is
	since       time.Time
	pause       time.Duration
	links       map[int]kernel.Link
	device      *core.Device // nil while there is no daemon
	connections map[bus.ObjectPath]*connection
	silence     []func() // end the subscriptions to the daemon's signals
	answered    bool     // the daemon has, or there is none
}

// Start reports the VPNs of the machine from now on. A daemon that the bus can
// start is started.
func Start(c Config) {
	b := &bearer{Config: c, links: map[int]kernel.Link{}, connections: map[bus.ObjectPath]*connection{}}
	c.Links.Watch(b.observe)
	c.Bus.WatchName(busName, b.changeOwner)
	b.wake()
}

// wake has the bus start the daemon, if it can. That there is none is no error:
// the name's owner is followed.
func (b *bearer) wake() {
	b.Bus.Call(vpn.ManagerGetConnectionsCall(busName, managerPath), func(_ []any, err error) {
		if err != nil && b.owner == "" {
			b.Log.Debug("no VPNs", "err", err)
			b.answered = true
			b.known()
		}
	})
}

// observe follows the links: a tunnel's may appear after the daemon tells of it,
// and vanish before.
func (b *bearer) observe(e link.Event) {
	switch e := e.(type) {
	case link.Added:
		b.links[e.Link.Index] = e.Link
		b.known()
	case link.Changed:
		b.links[e.Link.Index] = e.Link
		if e.Old.MTU == e.Link.MTU && e.Old.Name == e.Link.Name {
			return
		}
	case link.Removed:
		delete(b.links, e.Link.Index)
		for _, c := range b.each() {
			c.linkGone(e.Link.Index)
		}
		return
	}
	for _, c := range b.each() {
		c.touch()
	}
}

// each lists the connections in a fixed order.
func (b *bearer) each() []*connection {
	paths := slices.Sorted(maps.Keys(b.connections))
	list := make([]*connection, 0, len(paths))
	for _, path := range paths {
		list = append(list, b.connections[path])
	}
	return list
}

// changeOwner follows the daemon's coming and going.
func (b *bearer) changeOwner(owner string) {
	if owner == b.owner {
		return
	}
	had := len(b.connections) > 0
	b.forget()
	b.owner = owner
	if owner == "" {
		if had {
			b.Log.Warn("the VPN daemon is gone")
			b.wakeAgain()
		}
		return
	}
	b.since = b.Loop.Now()
	b.device = b.Manager.AddDevice(core.DeviceInfo{Type: core.VPN}, daemon{})
	b.silence = []func(){
		b.Bus.Subscribe(bus.Match{Sender: owner, Interface: vpn.InterfaceManager}, b.managerSignalled),
		b.Bus.Subscribe(bus.Match{Sender: owner, Interface: vpn.InterfaceConnection, Member: "PropertyChanged"}, b.changed),
	}
	b.Bus.Call(vpn.ManagerGetConnectionsCall(owner, managerPath), func(values []any, err error) {
		if b.owner == owner {
			b.listed(bus.Result[[]bus.Object](values, err))
		}
	})
}

// wakeAgain starts the daemon again after a while.
func (b *bearer) wakeAgain() {
	if b.Loop.Now().Sub(b.since) > lastPause {
		b.pause = 0
	}
	b.pause = min(max(firstPause, 2*b.pause), lastPause)
	b.Loop.After("VPN daemon", b.pause, func() {
		if b.owner == "" {
			b.wake()
		}
	})
}

// forget forgets the daemon and all that it knows.
func (b *bearer) forget() {
	for _, stop := range b.silence {
		stop()
	}
	b.silence = nil
	connections := b.each()
	clear(b.connections)
	for _, c := range connections {
		c.gone = true
	}
	if b.device != nil {
		b.device.Remove()
		b.device = nil
	}
	for _, c := range connections {
		c.left()
	}
}

// listed takes in all connections.
func (b *bearer) listed(list []bus.Object, err error) {
	if err != nil {
		b.Log.Warn("the VPN daemon does not list its connections", "err", err)
	}
	for _, o := range list {
		b.add(o.Path, o.Properties)
	}
	b.answered = true
	b.known()
}

// known tells that all VPNs have been reported, once the links are there that this
// is about.
func (b *bearer) known() {
	if b.answered && len(b.links) > 0 {
		b.answered = false
		b.Loop.Post("VPNs known", b.Manager.VPNsKnown) // after those with a tunnel
	}
}

func (b *bearer) managerSignalled(s bus.ReceivedSignal) {
	path, ok := arg[bus.ObjectPath](s, 0)
	switch {
	case !ok || s.Path != managerPath:
	case s.Member == "ConnectionAdded":
		about, _ := arg[bus.Dict](s, 1)
		b.add(path, about)
	case s.Member == "ConnectionRemoved":
		b.remove(path)
	}
}

// changed takes in a property that changed.
func (b *bearer) changed(s bus.ReceivedSignal) {
	c := b.connections[s.Path]
	name, ok := arg[string](s, 0)
	value, valued := arg[bus.Variant](s, 1)
	if c == nil || !ok || !valued {
		return
	}
	c.take(name, value.Value)
}

// add takes in a connection, or what is new of it.
func (b *bearer) add(path bus.ObjectPath, about bus.Dict) {
	ident, ok := strings.CutPrefix(string(path), pathPrefix)
	if !ok || ident == "" || len(ident) > maxIdent || strings.Contains(ident, "/") {
		b.Log.Warn("the VPN daemon names a connection that cannot be one", "path", path)
		return
	}
	c := b.connections[path]
	if c == nil {
		c = &connection{b: b, owner: b.owner, path: path, ident: ident}
		b.connections[path] = c
	}
	for _, e := range about {
		c.note(e.Key, e.Value)
	}
	if c.network == nil {
		c.network = b.device.AddNetwork(core.NetworkInfo{Ident: ident, Name: c.title(), VPN: c.info}, c)
	}
	c.follow("")
}

func (b *bearer) remove(path bus.ObjectPath) {
	c := b.connections[path]
	if c == nil {
		return
	}
	delete(b.connections, path)
	c.gone = true
	c.network.Remove()
	c.left()
}

// daemon is the device's driver. Being off only means that none of its networks
// is connected.
type daemon struct{}

// SetPowered implements [core.DeviceDriver].
func (daemon) SetPowered(_ bool, done func(error)) { done(nil) }

// arg returns an argument of a signal if it has the type T.
func arg[T any](s bus.ReceivedSignal, i int) (T, bool) {
	if i >= len(s.Args) {
		var none T
		return none, false
	}
	v, ok := s.Args[i].(T)
	return v, ok
}
