package vpn

import (
	"fmt"
	"strings"
	"sync"

	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/kernel/fake"
	"net.connman/connmand/internal/link"
	"net.connman/connmand/internal/tech/techtest"
	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
)

// fakeDaemon is a VPN daemon in memory.
type fakeDaemon struct {
	w      *techtest.World
	bus    *techtest.Bus
	kernel *fake.Kernel

	mu          sync.Mutex // guards what follows
	connections map[bus.ObjectPath]bus.Dict
	calls       []string
	connect     func(path bus.ObjectPath, answer func(error))
	disconnect  func(path bus.ObjectPath, answer func(error))
}

// newDaemon starts the bearer in a world with a daemon that is not there yet.
func newDaemon(w *techtest.World) *fakeDaemon {
	f := &fakeDaemon{w: w, bus: techtest.NewBus(w), kernel: fake.New(), connections: map[bus.ObjectPath]bus.Dict{}}
	f.bus.Answer = f.answer
	f.connect = func(path bus.ObjectPath, answer func(error)) {}
	f.disconnect = func(path bus.ObjectPath, answer func(error)) {
		f.set(path, vpn.ConnectionState, "disconnect")
		f.set(path, vpn.ConnectionState, "idle")
		answer(nil)
	}
	table := link.New(w.Loop, f.kernel, w.Log)
	go func() {
		_ = f.kernel.Run(w.Context, func(e []kernel.Event) { w.Loop.Post("kernel", func() { table.Deliver(e) }) })
	}()
	w.Do(func() { Start(Config{Manager: w.Manager, Loop: w.Loop, Log: w.Log, Bus: f.bus, Links: table}) })
	return f
}

// kill makes the daemon vanish with all that it knows.
func (f *fakeDaemon) kill() {
	f.mu.Lock()
	clear(f.connections)
	f.mu.Unlock()
	f.bus.Kill()
}

func pathOf(ident string) bus.ObjectPath { return bus.ObjectPath(pathPrefix + ident) }

// add makes a connection appear.
func (f *fakeDaemon) add(ident string, about ...bus.Entry) {
	d := append(bus.Dict{{Key: vpn.ConnectionState, Value: "idle"}, {Key: vpn.ConnectionName, Value: ident},
		{Key: vpn.ConnectionHost, Value: "203.0.113.5"}}, about...)
	f.mu.Lock()
	f.connections[pathOf(ident)] = d
	f.mu.Unlock()
	f.bus.Emit(managerPath, vpn.InterfaceManager, "ConnectionAdded", pathOf(ident), d)
}

func (f *fakeDaemon) remove(ident string) {
	f.mu.Lock()
	delete(f.connections, pathOf(ident))
	f.mu.Unlock()
	f.bus.Emit(managerPath, vpn.InterfaceManager, "ConnectionRemoved", pathOf(ident))
}

// set changes a property.
func (f *fakeDaemon) set(path bus.ObjectPath, name string, value any) {
	f.bus.Emit(path, vpn.InterfaceConnection, "PropertyChanged", name, bus.Variant{Value: value})
}

// ready tells of a tunnel on a link.
func (f *fakeDaemon) ready(path bus.ObjectPath, index int) {
	f.set(path, vpn.ConnectionState, "configuration")
	f.set(path, vpn.ConnectionIndex, int32(index))
	f.set(path, vpn.ConnectionIPv4, address("10.9.0.2", "255.255.255.0"))
	f.set(path, vpn.ConnectionState, "ready")
}

// address is what the daemon says of IPv4.
func address(address, mask string) bus.Dict {
	return bus.Dict{{Key: vpn.IPv4Address, Value: address}, {Key: vpn.IPv4Netmask, Value: mask},
		{Key: vpn.IPv4Gateway, Value: "203.0.113.5"}}
}

// called are the calls since the last time, but for those that list.
func (f *fakeDaemon) called() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := strings.Join(f.calls, ", ")
	f.calls = nil
	return calls
}

func (f *fakeDaemon) answer(m bus.MethodCall, answer func([]any, error)) {
	f.mu.Lock()
	if m.Member != "GetConnections" {
		f.calls = append(f.calls, strings.TrimSpace(m.Member+" "+strings.Trim(fmt.Sprint(m.Args), "[]")))
	}
	list := []bus.Object{}
	for path, about := range f.connections {
		list = append(list, bus.Object{Path: path, Properties: about})
	}
	f.mu.Unlock()
	done := func(err error) { answer(nil, err) }
	switch m.Member {
	case "GetConnections":
		answer([]any{list}, nil)
	case "Connect", "Connect2":
		f.connect(m.Path, done)
	case "Disconnect":
		f.disconnect(m.Path, done)
	default:
		done(nil)
	}
}
