package bus

import (
	"context"
	"fmt"
	"os"
	"strings"

	"net.connman/pkg/loop"
)

// dispatch answers a method call. The errors and the freedom that Introspect
// and Peer leave in path and arguments are libdbus's, on which the reference
// stands.
func (c *Conn) dispatch(m *message) {
	call := &Call{
		Sender: m.sender, Path: m.path, Interface: m.iface, Member: m.member,
		conn: c, serial: m.serial, flags: m.flags,
	}
	if m.iface == ifacePeer {
		c.servePeer(call)
		return
	}
	if o := c.objects.byPath[m.path]; o != nil {
		method, server := o.method(m.iface, m.member)
		if method != nil && signatureOf(method.In) == m.signature {
			call.method, call.server = method, server
			c.handle(call, m)
			return
		}
	}
	switch {
	case m.member == "Introspect" && (m.iface == ifaceIntrospectable || m.iface == ""):
		call.answer(&message{kind: kindReply}, c.introspectBare(m.path))
	case c.objects.exists(m.path):
		call.Error(noSuchMethod("org.freedesktop.DBus.Error.UnknownMethod", m))
	default:
		call.Error(noSuchMethod("org.freedesktop.DBus.Error.UnknownObject", m))
	}
}

func (c *Conn) handle(call *Call, m *message) {
	args, err := m.values()
	if err != nil {
		call.Error(&Error{"org.freedesktop.DBus.Error.InvalidArgs", err.Error()})
		return
	}
	call.method.Handle(call, args)
}

func noSuchMethod(name string, m *message) *Error {
	iface := m.iface
	if iface == "" {
		iface = "(null)"
	}
	return &Error{name, fmt.Sprintf("Method %q with signature %q on interface %q doesn't exist\n",
		m.member, m.signature, iface)}
}

// servePeer answers org.freedesktop.DBus.Peer, which every path has.
func (c *Conn) servePeer(call *Call) {
	switch call.Member {
	case "Ping":
		call.answer(&message{kind: kindReply})
	case "GetMachineId":
		loop.Go(c.loop, "machine id", machineID, func(id string, err error) {
			if err != nil {
				call.Error(err)
				return
			}
			call.answer(&message{kind: kindReply}, id)
		})
	default:
		call.Error(&Error{"org.freedesktop.DBus.Error.UnknownMethod",
			"Unknown method invoked on org.freedesktop.DBus.Peer interface"})
	}
}

// machineID reads the machine's ID (machine-id(5)).
func machineID(context.Context) (string, error) {
	var b []byte
	var err error
	for _, file := range []string{"/var/lib/dbus/machine-id", "/etc/machine-id"} {
		if b, err = os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(b)), nil
		}
	}
	return "", fmt.Errorf("cannot read the machine's ID: %w", err)
}
