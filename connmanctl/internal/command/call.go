package command

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
)

// callTimeout is how long a daemon may take over a call: connecting may wait for
// a person to type a passphrase.
const callTimeout = 120 * time.Second

// noReply is what libdbus says of a call that nobody answered.
const noReply = "Did not receive a reply. Possible causes include: " +
	"the remote application did not send a reply, the message bus security policy blocked the reply, " +
	"the reply timeout expired, or the network connection was broken."

// target is an object's interface on the bus.
type target struct{ daemon, path, iface string }

var (
	manager      = target{daemon, managerPath, managerIface}
	diagnostics  = target{daemon, managerPath, diagnosticsIface}
	vpnManager   = target{vpnDaemon, managerPath, vpnManagerIface}
	provisioning = target{vpnDaemon, managerPath, provisioningIface}
)

func service(id string) target       { return target{daemon, servicePath + id, serviceIface} }
func technology(id string) target    { return target{daemon, techPath + id, techIface} }
func peer(id string) target          { return target{daemon, peerPath + id, peerIface} }
func vpnConnection(id string) target { return target{vpnDaemon, vpnPath + id, vpnConnectionIface} }

func (t target) method(name string, args []any) bus.MethodCall {
	return bus.MethodCall{
		Destination: t.daemon,
		Path:        bus.ObjectPath(t.path),
		Interface:   t.iface,
		Member:      name,
		Args:        args,
		Timeout:     callTimeout,
	}
}

// ask calls a method and hands what came of it to done.
func (s *Session) ask(t target, method string, args []any, done func(reply []any, err error)) {
	s.send(t.method(method, args), done)
}

func (s *Session) send(call bus.MethodCall, done func(reply []any, err error)) {
	s.open++
	s.conn.Call(call, func(reply []any, err error) {
		s.open--
		done(reply, err)
	})
}

// list asks for objects, with those of their properties that are needed.
func (s *Session) list(l listing, properties []string, done func([]bus.Object, error)) {
	call := l.manager.method(l.method, nil)
	call.Properties = properties
	s.send(call, func(reply []any, err error) {
		objects, _ := first(reply).([]bus.Object)
		done(objects, err)
	})
}

// call calls a method. What it answers goes to done; an error is printed behind
// about, which may be empty.
func (s *Session) call(t target, method, about string, done func(reply []any), args ...any) {
	s.ask(t, method, args, s.orRefused(about, done))
}

// orRefused returns what hands an answer to done or prints the error.
func (s *Session) orRefused(about string, done func(reply []any)) func([]any, error) {
	return func(reply []any, err error) {
		if err != nil {
			s.refused(about, err)
		} else {
			done(reply)
		}
	}
}

// set changes a property.
func (s *Session) set(t target, property string, value any, about string, done func([]any)) {
	s.call(t, "SetProperty", about, done, property, bus.Variant{Value: value})
}

func (s *Session) refused(about string, err error) {
	s.noteError(err)
	if about != "" {
		about = " " + about
	}
	fmt.Fprintf(s.Err, "Error%s: %s\n", about, ErrorText(err))
	s.advise(err)
}

// ErrorText returns what is printed of a call's error: what the daemon said.
func ErrorText(err error) string {
	if err == bus.ErrNoReply || errors.Is(err, bus.ErrDisconnected) {
		return noReply
	}
	return view.SafeLines(err.Error())
}

func (s *Session) noteError(err error) {
	if unanswered(err) {
		s.note(NoDaemon)
	} else {
		s.note(Refused)
	}
}

// unanswered reports whether an error means that no daemon was there to answer.
func unanswered(err error) bool {
	switch name := errorName(err); name {
	case "ServiceUnknown", "NameHasNoOwner", "NoReply", "Timeout", "Disconnected":
		return true
	default:
		return errors.Is(err, bus.ErrDisconnected) || strings.HasPrefix(name, "Spawn.")
	}
}

// errorName returns the name of a D-Bus error, the bus's and ConnMan's own
// without prefix.
func errorName(err error) string {
	var answer *bus.Error
	if !errors.As(err, &answer) {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(answer.Name, "org.freedesktop.DBus.Error."), "net.connman.Error.")
}

// say returns a function that prints a line once the call has worked.
func (s *Session) say(format string, args ...any) func([]any) {
	return func([]any) { fmt.Fprintf(s.Out, format+"\n", args...) }
}

func nothing([]any) {}
