//go:build netns

package vpn

import (
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

const (
	vpnName             = "net.connman.vpn"
	managerInterface    = "net.connman.vpn.Manager"
	connectionInterface = "net.connman.vpn.Connection"
	// tunnelName is the interface of all tunnels.
	tunnelName = "vpn0"
)

// vpnd is a VPN daemon that does what a test says.
type vpnd struct {
	t    *testing.T
	host *lab.Host
	conn *dbus.Conn
	far  *far // the other end of its tunnels

	mu          sync.Mutex // guards what follows
	connections []*connection
	connect     func(c *connection, caller string) *dbus.Error
	calls       []string
}

// connection is one VPN of it.
type connection struct {
	d     *vpnd
	path  dbus.ObjectPath
	props map[string]dbus.Variant
	tun   *os.File   // nil while there is no tunnel
	steps sync.Mutex // one thing after the other, though calls come in crowds

	// What the far end says.
	ipv4   map[string]dbus.Variant
	routes []route
}

type properties map[string]any

// route is one as the API has it.
type route struct{ Properties map[string]dbus.Variant }

func routeTo(network, mask, gateway string) route {
	return route{map[string]dbus.Variant{
		"ProtocolFamily": dbus.MakeVariant(int32(4)), "Network": dbus.MakeVariant(network),
		"Netmask": dbus.MakeVariant(mask), "Gateway": dbus.MakeVariant(gateway),
	}}
}

// inside is an address in the tunnel, as the API has it.
func inside(address string) map[string]dbus.Variant {
	return map[string]dbus.Variant{
		"Address": dbus.MakeVariant(address), "Netmask": dbus.MakeVariant("255.255.255.0"),
		"Gateway": dbus.MakeVariant(serverAddress), "Peer": dbus.MakeVariant("10.9.0.1"),
	}
}

// startVPN puts a VPN daemon on the bus. It connects whatever it is asked to.
func startVPN(t *testing.T, host *lab.Host, bus *lab.Bus) *vpnd {
	t.Helper()
	d := &vpnd{t: t, host: host, far: newFar()}
	d.connect = func(c *connection, _ string) *dbus.Error { c.establish(); return nil }
	var err error
	d.conn, err = bus.Connect()
	must(t, err)
	t.Cleanup(d.close)
	must(t, d.conn.Export(vpnManager{d}, "/", managerInterface))
	reply, err := d.conn.RequestName(vpnName, dbus.NameFlagDoNotQueue)
	must(t, err)
	if reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal("somebody else is the VPN daemon")
	}
	return d
}

// close makes the daemon vanish with its tunnels.
func (d *vpnd) close() {
	_, _ = d.conn.ReleaseName(vpnName) // known by the time that another one comes
	d.conn.Close()
	d.mu.Lock()
	connections := d.connections
	d.mu.Unlock()
	for _, c := range connections {
		c.closeTunnel()
	}
	d.far.wait()
}

// add makes a connection appear whose path ends in ident.
func (d *vpnd) add(ident string, props properties) *connection {
	d.t.Helper()
	c := &connection{
		d: d, path: dbus.ObjectPath("/net/connman/vpn/connection/" + ident), props: map[string]dbus.Variant{},
		ipv4: inside("10.9.0.2"), routes: []route{routeTo("10.50.0.0", "255.255.0.0", "10.9.0.1")},
	}
	all := properties{
		"State": "idle", "Type": "openvpn", "Name": ident, "Host": serverAddress, "Domain": "office.test", "Index": int32(0),
		"Immutable": false, "SplitRouting": false, "Nameservers": []string{}, "UserRoutes": []route{}, "ServerRoutes": []route{},
	}
	for name, value := range props {
		all[name] = value
	}
	for name, value := range all {
		c.props[name] = dbus.MakeVariant(value)
	}
	d.mu.Lock()
	d.connections = append(d.connections, c)
	d.mu.Unlock()
	must(d.t, d.conn.Export(vpnConnection{c}, c.path, connectionInterface))
	must(d.t, d.conn.Emit("/", managerInterface+".ConnectionAdded", c.path, c.props))
	return c
}

// called are the calls so far, each with its argument.
func (d *vpnd) called() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.calls...)
}

func (d *vpnd) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, fmt.Sprintf(format, args...))
}

// set changes a property and tells.
func (c *connection) set(name string, value any) {
	v := dbus.MakeVariant(value)
	c.d.mu.Lock()
	c.props[name] = v
	c.d.mu.Unlock()
	_ = c.d.conn.Emit(c.path, connectionInterface+".PropertyChanged", name, v)
}

// establish brings the tunnel up as the original does: the device, what the far
// end said, and then that it is ready.
func (c *connection) establish() {
	c.steps.Lock()
	defer c.steps.Unlock()
	c.set("State", "configuration")
	c.set("Index", int32(c.openTunnel()))
	c.set("IPv4", c.ipv4)
	c.set("Nameservers", []string{"10.9.0.1"})
	c.set("State", "ready")
	c.set("ServerRoutes", c.routes)
}

// openTunnel makes the device and brings it up.
func (c *connection) openTunnel() (index int) {
	c.closeTunnel()
	err := c.d.host.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(tunnelName)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return err
		}
		c.d.mu.Lock()
		c.tun = os.NewFile(uintptr(fd), tunnelName)
		c.d.mu.Unlock()
		l, err := c.d.host.Netlink.LinkByName(tunnelName)
		if err != nil {
			return err
		}
		index = l.Attrs().Index
		return c.d.host.Netlink.LinkSetUp(l)
	})
	if err != nil {
		c.d.t.Errorf("cannot make a tunnel: %v", err)
		return 0
	}
	c.d.mu.Lock()
	c.d.far.begin(c.tun)
	c.d.mu.Unlock()
	return index
}

// closeTunnel takes the device away, which is gone when nobody reads from it any
// more.
func (c *connection) closeTunnel() {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.tun != nil {
		c.tun.Close()
		c.tun = nil
		c.d.far.wait()
	}
}

// end ends the connection from the far end.
func (c *connection) end(state string) {
	c.steps.Lock()
	defer c.steps.Unlock()
	c.set("State", "disconnect")
	c.closeTunnel()
	c.set("Index", int32(0))
	c.set("State", state)
}

// vpnManager serves the daemon's manager.
type vpnManager struct{ d *vpnd }

// object is one of a list.
type object struct {
	Path       dbus.ObjectPath
	Properties map[string]dbus.Variant
}

func (m vpnManager) GetConnections() ([]object, *dbus.Error) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	list := []object{}
	for _, c := range m.d.connections {
		list = append(list, object{c.path, maps.Clone(c.props)})
	}
	return list, nil
}

func (m vpnManager) RegisterAgent(dbus.ObjectPath) *dbus.Error { return nil }

// vpnConnection serves a connection.
type vpnConnection struct{ c *connection }

func (v vpnConnection) GetProperties() (map[string]dbus.Variant, *dbus.Error) {
	v.c.d.mu.Lock()
	defer v.c.d.mu.Unlock()
	return maps.Clone(v.c.props), nil
}

func (v vpnConnection) Connect() *dbus.Error { return v.Connect2("") }

func (v vpnConnection) Connect2(caller string) *dbus.Error {
	v.c.d.note("Connect %s", caller)
	return v.c.d.connect(v.c, caller)
}

func (v vpnConnection) Disconnect() *dbus.Error {
	v.c.d.note("Disconnect")
	v.c.end("idle")
	return nil
}

func (v vpnConnection) SetProperty(name string, value dbus.Variant) *dbus.Error {
	v.c.d.note("SetProperty %s %v", name, value)
	v.c.set(name, value.Value())
	return nil
}
