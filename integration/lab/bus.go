package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/godbus/dbus/v5"
)

// Bus is a private system bus.
type Bus struct {
	// Address is what DBUS_SYSTEM_BUS_ADDRESS takes.
	Address string
}

// busConfig lets everybody do everything: what a policy allows is not what
// the lab tests.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="*"/>
    <allow receive_type="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
`

// StartBus starts a dbus-daemon on the host.
func (h *Host) StartBus() (*Bus, error) {
	socket := filepath.Join(h.dir, "run/dbus/system_bus_socket")
	config := filepath.Join(h.dir, "bus.conf")
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, fmt.Errorf("cannot start the bus: %w", err)
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o644); err != nil {
		return nil, fmt.Errorf("cannot start the bus: %w", err)
	}
	p, err := h.Start(exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+config))
	if err != nil {
		return nil, err
	}
	err = Eventually(30*time.Second, func() error {
		select {
		case <-p.Done():
			return errors.New("dbus-daemon ended")
		default:
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("cannot start the bus: %w", err)
	}
	return &Bus{Address: "unix:path=" + socket}, nil
}

// Connect makes a new connection to the bus.
func (b *Bus) Connect(options ...dbus.ConnOption) (*dbus.Conn, error) {
	conn, err := dbus.Connect(b.Address, options...)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the private bus: %w", err)
	}
	return conn, nil
}

// WaitName waits for a name to be owned, in either direction, without asking
// again and again: it returns at the signal that says so.
func (b *Bus) WaitName(ctx context.Context, name string, owned bool) error {
	conn, err := b.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	err = conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"),
		dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name))
	if err != nil {
		return err
	}
	var has bool
	if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&has); err != nil {
		return err
	}
	for has != owned {
		select {
		case signal := <-signals:
			if signal.Name == "org.freedesktop.DBus.NameOwnerChanged" {
				has = signal.Body[2] != ""
			}
		case <-ctx.Done():
			return fmt.Errorf("%s: owned is still %v: %w", name, has, ctx.Err())
		}
	}
	return nil
}
