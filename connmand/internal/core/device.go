package core

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"net.connman/pkg/netcfg"
)

// DeviceDriver is the part of a bearer that steers one of its devices.
type DeviceDriver interface {
	// SetPowered switches the device; done hears the outcome.
	SetPowered(on bool, done func(error))
}

// DeviceInfo describes a device. It may change while the device is there.
type DeviceInfo struct {
	Type Type
	Link Link
	MTU  int // bytes
	// Permanent is the hardware's own address, where Link may have another one.
	Permanent HardwareAddr
}

// Device is one adapter.
type Device struct {
	m        *Manager
	info     DeviceInfo
	driver   DeviceDriver
	networks []*Network
	powered  bool  // or being powered
	sought   *seek // a hidden network that the user named
	removed  bool
}

// AddDevice makes a device known and switches it on or off as its technology
// is. Its driver is not called before AddDevice returned.
func (m *Manager) AddDevice(info DeviceInfo, driver DeviceDriver) *Device {
	if info.Type != VPN { // then the links are known
		m.seekEarlier()
	}
	t := m.AddTechnology(info.Type)
	d := &Device{m: m, info: info, driver: driver}
	t.devices = append(t.devices, d)
	if _, ok := driver.(Scanner); ok {
		m.loadKnown()
	}
	m.loop.Post("power device", func() {
		switch {
		case d.removed:
		case t.powered == t.able() && t.power == nil:
			d.setPowered(t.powered, func(error) {})
		default:
			t.applyWish()
		}
	})
	return d
}

// Info returns what is known of the device.
func (d *Device) Info() DeviceInfo { return d.info }

// Update changes what is known of the device; its type stays.
func (d *Device) Update(info DeviceInfo) {
	if d.info == info {
		return
	}
	d.info = info
	for _, n := range d.networks {
		if n.service != nil {
			n.service.mark(PropEthernet)
			n.service.m.provision()
		}
	}
}

// Remove forgets the device and all its networks. The technology stays known
// until its last device has gone.
func (d *Device) Remove() {
	d.removed = true
	for len(d.networks) > 0 {
		d.networks[0].Remove()
	}
	t := d.m.Technology(d.info.Type)
	t.devices = slices.DeleteFunc(t.devices, func(o *Device) bool { return o == d })
	if len(t.devices) == 0 {
		d.m.removeTechnology(t)
	}
}

func (m *Manager) removeTechnology(t *Technology) {
	if t.power != nil {
		t.endPower(t.power, ErrAborted)
	}
	m.technologies = slices.DeleteFunc(m.technologies, func(o *Technology) bool { return o == t })
	if t.hidden() {
		return
	}
	m.changes = append(m.changes, Change{Kind: TechnologyRemoved, Technology: t})
}

func (d *Device) setPowered(on bool, done func(error)) {
	d.powered = on
	if !on {
		for _, n := range d.networks {
			d.m.unwish(n.ServiceID())
			if n.service != nil {
				n.service.abandon("device powered off")
			}
		}
	}
	d.takeOverIPv6(on)
	d.m.autoConnect()
	d.driver.SetPowered(on, func(err error) {
		if err != nil && !errors.Is(err, ErrAborted) {
			d.m.log.Warn("cannot switch device", "interface", d.info.Link.Name, "on", on, "err", err)
		}
		done(err)
	})
}

// takeOverIPv6 has the kernel stop listening to routers by itself, or do so
// again.
func (d *Device) takeOverIPv6(on bool) {
	if d.info.Type == VPN {
		return // its links come and go with its networks
	}
	want := netcfg.IPv6Link{Mode: netcfg.IPv6Kernel}
	if on {
		want.Mode = netcfg.IPv6Quiet
	}
	d.m.ports.Links.SetIPv6(d.info.Link.Index, want, nil)
}

// shutdown disconnects the device's services and switches it off.
func (d *Device) shutdown(done func()) {
	waiting := 1
	off := func() {
		if waiting--; waiting == 0 {
			d.setPowered(false, func(error) { done() })
		}
	}
	for _, n := range d.networks {
		if n.service != nil {
			waiting++
			n.service.shutdown(off)
		}
	}
	off()
}

// NetworkDriver is the part of a bearer that joins one network. A network that
// is joined by being plugged in has none.
type NetworkDriver interface {
	// Connect joins the network on the link level, with credentials where it
	// wants some; done hears the outcome, ErrRejected if they are wrong.
	Connect(c Credentials, done func(error))
	// Disconnect leaves it. A Connect under way does not report any more.
	Disconnect()
}

// NetworkInfo describes a network.
type NetworkInfo struct {
	Ident string // identifies the network among those of its type
	Group string // "cable" and the like, "" for none; identifier and group name the service
	Name  string
	// Wireless is set for networks of the type wifi.
	Wireless Wireless
	// VPN is set for networks of the type vpn.
	VPN VPNInfo
}

// Network is something that a device can be connected to.
type Network struct {
	device   *Device
	info     NetworkInfo
	driver   NetworkDriver
	service  *Service
	removed  bool
	strength uint8
	point    AccessPoint
	tunnel   *Tunnel // of a VPN, while it is open
}

// ServiceID is the name of the network's service in object paths and in the
// state directory.
func (n *Network) ServiceID() string {
	id := string(n.device.info.Type) + "_" + n.info.Ident
	if n.info.Group != "" {
		id += "_" + n.info.Group
	}
	return id
}

// AddNetwork makes a network known. Its service appears as soon as its
// settings have been read, and connects if it is to connect by itself. driver
// is nil where nothing but a cable joins the network.
func (d *Device) AddNetwork(info NetworkInfo, driver NetworkDriver) *Network {
	n := &Network{device: d, info: info, driver: driver}
	d.networks = append(d.networks, n)
	d.m.loadService(n)
	return n
}

// loadService gives a network its service as soon as the settings are read.
func (m *Manager) loadService(n *Network) {
	loaded := func(settings ServiceSettings, found bool) {
		if !n.removed && n.service == nil {
			m.addService(n, settings, found)
		}
	}
	m.ports.Storage.LoadService(n.ServiceID(), func(settings ServiceSettings, found bool) {
		if found || n.device.info.Type != Wifi || !m.cfg.SettingsFollowNetwork {
			loaded(settings, found)
			return
		}
		m.ports.Storage.LoadTwin(n.ServiceID(), func(settings ServiceSettings, found bool) {
			// Leases belong to the other adapter.
			settings.IPv4.LastAddress, settings.LastAddress6 = netip.Addr{}, netip.Addr{}
			loaded(settings, found)
		})
	})
}

// remakeTime is how long a provisioned VPN that has gone keeps its settings: one whose
// file was edited is made anew.
const remakeTime = time.Minute

// Remove forgets the network: it cannot be reached any more. A VPN that goes while
// its device stays was deleted, and its settings go, too.
func (n *Network) Remove() {
	if n.removed {
		return
	}
	n.removed = true
	n.device.networks = slices.DeleteFunc(n.device.networks, func(o *Network) bool { return o == n })
	n.device.m.vpnRemoved(n.ServiceID(), n.device.removed)
	if n.service != nil {
		n.service.remove()
	}
	switch m, id := n.device.m, n.ServiceID(); {
	case n.device.info.Type != VPN, n.device.removed:
	case n.info.VPN.Immutable:
		m.loop.After("VPN "+id, remakeTime, func() {
			if m.Service(id) == nil && !n.device.removed {
				m.ports.Storage.RemoveService(id)
			}
		})
	default:
		m.ports.Storage.RemoveService(id)
	}
}
