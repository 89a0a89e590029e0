package bus

import (
	"context"
	"fmt"
)

// Observed is a message that a monitor saw.
type Observed struct {
	Kind        string // "call", "reply", "error" or "signal"
	Serial      uint32
	ReplySerial uint32
	Sender      string
	Destination string
	Path        ObjectPath
	Interface   string
	Member      string
	ErrorName   string
	Args        []any
}

var kindNames = map[kind]string{kindCall: "call", kindReply: "reply", kindError: "error", kindSignal: "signal"}

// Monitor shows observe every message on the bus at address in the order in
// which the bus routed them, until ctx ends or the bus goes away. It calls ready
// once nothing will be missed any more. It blocks, needs no loop, and needs the
// bus's permission to monitor.
func Monitor(ctx context.Context, address string, ready func(), observe func(Observed)) error {
	sock, err := dialSocket(ctx, address)
	if err != nil {
		return fmt.Errorf("cannot connect to the bus: %w", err)
	}
	defer sock.Close()
	defer context.AfterFunc(ctx, func() { sock.Close() })()
	in := &reader{sock: sock}
	if _, err := in.handshake(); err != nil {
		return fmt.Errorf("cannot join the bus: %w", err)
	}
	const serial = helloSerial + 1
	become := busCall(serial, "BecomeMonitor")
	become.iface = "org.freedesktop.DBus.Monitoring"
	if _, err := sock.Write(appendMessage(nil, become, []string{}, uint32(0))); err != nil {
		return err
	}
	monitoring := false
	for {
		batch, err := in.batch()
		for _, m := range batch {
			switch {
			case monitoring:
				observe(m.observed())
			case m.replySerial == serial:
				if _, err := m.result(nil); err != nil {
					return fmt.Errorf("cannot monitor the bus: %w", err)
				}
				monitoring = true
				ready()
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

func (m *message) observed() Observed {
	args, err := m.values()
	if err != nil {
		args = []any{err.Error()}
	}
	return Observed{
		Kind: kindNames[m.kind], Serial: m.serial, ReplySerial: m.replySerial,
		Sender: m.sender, Destination: m.destination, Path: m.path, Interface: m.iface,
		Member: m.member, ErrorName: m.errorName, Args: args,
	}
}

// busCall returns a call of a method of the bus itself.
func busCall(serial uint32, member string) *message {
	return &message{
		kind: kindCall, serial: serial,
		destination: busName, path: busPath, iface: busName, member: member,
	}
}
