package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
	"net.connman/integration/pki"
)

const (
	vpnServer  = "10.98.0.1"
	vpnMachine = "10.98.0.2"
	// connections are made one after the other in each run.
	connections = 3
)

// measureOpenVPN measures from the call of Connect until the connection says that
// it is ready, and what the daemon takes when it has nothing to do. There is one
// cable, and the same openvpn on both sides for every daemon.
func measureOpenVPN(t *table, m lab.Manager) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	l, err := lab.New()
	if err != nil {
		return err
	}
	err = openVPNRun(ctx, t, m, l)
	return errors.Join(err, l.Close())
}

func openVPNRun(ctx context.Context, t *table, m lab.Manager, l *lab.Lab) error {
	machine, server, err := vpnHosts(l)
	if err != nil {
		return err
	}
	settings, err := serveOpenVPN(l, server)
	if err != nil {
		return err
	}
	bus, err := machine.StartBus()
	if err != nil {
		return err
	}
	if err := standIn(bus); err != nil {
		return err
	}
	daemon, err := m.Run(machine, bus)
	if err != nil {
		return err
	}
	if err := bus.WaitName(ctx, m.BusName, true); err != nil {
		return err
	}
	conn, err := bus.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	var path dbus.ObjectPath
	create := conn.Object(m.BusName, "/").CallWithContext(ctx, m.BusName+".Manager.Create", 0, settings)
	if err := create.Store(&path); err != nil {
		return fmt.Errorf("cannot create the connection: %w", err)
	}
	idle, err := memory(daemon.Pid())
	if err != nil {
		return err
	}
	t.less(m, "VPN daemon: memory idle, Rss", "MB", idle.rss)
	recorder, err := bus.Record()
	if err != nil {
		return err
	}
	defer recorder.Close()
	for range connections {
		took, err := connectVPN(ctx, conn.Object(m.BusName, path), m.BusName, recorder)
		if err != nil {
			return err
		}
		// The original says idle before all is gone.
		gone := lab.Eventually(patience, func() error {
			if _, err := machine.Netlink.LinkByName("vpn0"); err == nil {
				return errors.New("the link is still there")
			}
			return nil
		})
		if gone != nil {
			return gone
		}
		t.less(m, "OpenVPN: Connect to ready", "ms", float64(took)/float64(time.Millisecond))
	}
	return nil
}

// connmand stands in for the daemon of that name: the original asks it whether
// there is a network before it connects.
type connmand struct{}

// GetProperties is net.connman.Manager's.
func (connmand) GetProperties() (map[string]dbus.Variant, *dbus.Error) {
	return map[string]dbus.Variant{"State": dbus.MakeVariant("online")}, nil
}

// standIn has the stand-in on the bus as long as that lives.
func standIn(bus *lab.Bus) error {
	const name = "net.connman"
	conn, err := bus.Connect()
	if err != nil {
		return err
	}
	if err := conn.Export(connmand{}, "/", name+".Manager"); err != nil {
		return err
	}
	_, err = conn.RequestName(name, dbus.NameFlagDoNotQueue)
	return err
}

// vpnHosts makes the machine and the server, and joins them.
func vpnHosts(l *lab.Lab) (machine, server *lab.Host, err error) {
	if machine, err = l.Host("machine"); err != nil {
		return nil, nil, err
	}
	if server, err = l.Host("server"); err != nil {
		return nil, nil, err
	}
	near, far, err := l.Cable(machine, "eth0", nil, server, "eth0")
	if err != nil {
		return nil, nil, err
	}
	err = errors.Join(near.AddAddr(vpnMachine+"/24"), far.AddAddr(vpnServer+"/24"), near.Up(), far.Up())
	return machine, server, err
}

// serveOpenVPN starts a server and returns the settings of a connection to it.
func serveOpenVPN(l *lab.Lab, server *lab.Host) (map[string]dbus.Variant, error) {
	authority, err := pki.New(l.Dir)
	if err != nil {
		return nil, err
	}
	cert, key, err := authority.Server(vpnServer)
	if err != nil {
		return nil, err
	}
	openvpn := filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "openvpn/usr/sbin/openvpn")
	p, err := server.Start(exec.Command(openvpn, "--server", "10.99.0.0", "255.255.255.0", "--topology", "subnet", "--dev", "tun",
		"--ca", authority.CA, "--cert", cert, "--key", key, "--dh", "none", "--keepalive", "10", "60",
		"--push", "route 10.50.0.0 255.255.0.0", "--push", "dhcp-option DNS 10.99.0.1"))
	if err != nil {
		return nil, err
	}
	err = lab.Eventually(patience, func() error {
		log, err := os.ReadFile(p.Log)
		if err == nil && !strings.Contains(string(log), "Initialization Sequence Completed") {
			err = errors.New("openvpn does not serve")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	cert, key, err = authority.Client("client")
	text := map[string]string{
		"Type": "openvpn", "Name": "bench", "Host": vpnServer, "Domain": "bench.test",
		"OpenVPN.CACert": authority.CA, "OpenVPN.Cert": cert, "OpenVPN.Key": key,
	}
	settings := make(map[string]dbus.Variant)
	for key, value := range text {
		settings[key] = dbus.MakeVariant(value)
	}
	return settings, err
}

// connectVPN connects, says how long that took, and disconnects.
func connectVPN(ctx context.Context, connection dbus.BusObject, name string, recorder *lab.Recorder) (time.Duration, error) {
	state := func(want string) func(*dbus.Message) bool {
		return func(m *dbus.Message) bool {
			if lab.Header(m, dbus.FieldMember) != "PropertyChanged" || len(m.Body) != 2 || m.Body[0] != "State" {
				return false
			}
			return m.Body[1].(dbus.Variant).Value() == want
		}
	}
	mark, began := recorder.Mark(), time.Now()
	if err := connection.CallWithContext(ctx, name+".Connection.Connect", 0).Err; err != nil {
		return 0, fmt.Errorf("cannot connect: %w", err)
	}
	up, err := recorder.Wait(ctx, mark, state("ready"))
	if err != nil {
		return 0, fmt.Errorf("not connected: %w", err)
	}
	mark = recorder.Mark()
	if err := connection.CallWithContext(ctx, name+".Connection.Disconnect", 0).Err; err != nil {
		return 0, err
	}
	if _, err := recorder.Wait(ctx, mark, state("idle")); err != nil {
		return 0, fmt.Errorf("not disconnected: %w", err)
	}
	return up.At.Sub(began), nil
}
