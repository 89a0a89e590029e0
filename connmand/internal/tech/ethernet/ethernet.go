package ethernet

import (
	"log/slog"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/link"
)

// Links are the links of the machine; *link.Table is.
type Links interface {
	Watch(observe func(link.Event))
	SetUp(index int, up bool, done func(error))
}

// bearer turns links into devices.
type bearer struct {
	links   Links
	manager *core.Manager
	filter  Filter
	log     *slog.Logger
	devices map[int]*device
}

// device is one link that is ours.
type device struct {
	b       *bearer
	kind    core.Type
	link    kernel.Link
	core    *core.Device
	network *core.Network // nil without a carrier
	powered bool
}

// Start reports the wired devices among links to m from now on.
func Start(m *core.Manager, links Links, filter Filter, log *slog.Logger) {
	b := &bearer{links: links, manager: m, filter: filter, log: log, devices: make(map[int]*device)}
	links.Watch(b.observe)
}

func (b *bearer) observe(e link.Event) {
	switch e := e.(type) {
	case link.Added:
		b.consider(e.Link)
	case link.Changed:
		b.consider(e.Link)
	case link.Removed:
		b.remove(e.Link.Index)
	}
}

// consider brings what is known of a link up to date.
func (b *bearer) consider(l kernel.Link) {
	kind, ours := classify(l)
	ours = ours && b.filter.Passes(l.Name)
	d, known := b.devices[l.Index]
	if known && (!ours || kind != d.kind) {
		b.remove(l.Index)
		known = false
	}
	switch {
	case !ours:
	case known:
		d.update(l)
	default:
		b.log.Info("new device", "interface", l.Name, "technology", kind)
		d = &device{b: b, kind: kind, link: l}
		b.devices[l.Index] = d
		d.core = b.manager.AddDevice(d.info(), d)
	}
}

func (b *bearer) remove(index int) {
	d, ok := b.devices[index]
	if !ok {
		return
	}
	b.log.Info("device gone", "interface", d.link.Name)
	delete(b.devices, index)
	d.core.Remove()
}

func (d *device) info() core.DeviceInfo {
	return core.DeviceInfo{
		Type: d.kind,
		Link: core.Link{Index: d.link.Index, Name: d.link.Name, Addr: core.HardwareAddr(d.link.HardwareAddr)},
		MTU:  d.link.MTU,
	}
}

func (d *device) update(l kernel.Link) {
	readdressed := d.link.HardwareAddr != l.HardwareAddr
	d.link = l
	if readdressed {
		d.unplug() // the identity of the service changes with the address
	}
	d.core.Update(d.info())
	d.look()
}

// SetPowered implements [core.DeviceDriver].
func (d *device) SetPowered(on bool, done func(error)) {
	d.powered = on
	d.look()
	d.b.links.SetUp(d.link.Index, on, done)
}

// look reports the network if there is one that was not reported, or that it
// is gone.
func (d *device) look() {
	switch present := d.powered && d.link.Up && d.link.Carrier; {
	case !present:
		d.unplug()
	case d.network == nil:
		d.network = d.core.AddNetwork(network(d.kind, d.link), nil)
	}
}

func (d *device) unplug() {
	if d.network != nil {
		d.network.Remove()
		d.network = nil
	}
}
