package command

import (
	"fmt"

	"net.connman/connmanctl/internal/bus"
	"net.connman/connmanctl/internal/view"
)

// target is an object's interface on the bus.
type target struct{ daemon, path, iface string }

var manager = target{daemon, managerPath, managerIface}

func service(id string) target    { return target{daemon, servicePath + id, serviceIface} }
func technology(id string) target { return target{daemon, techPath + id, techIface} }

// call calls a method. What it answers goes to done; an error is printed behind
// about, which may be empty.
func (s *Session) call(t target, method, about string, done func(*bus.Message), args ...any) {
	s.Conn.Call(t.daemon, t.path, t.iface, method, func(reply *bus.Message, err *bus.Error) {
		if err != nil {
			s.refused(about, err)
		} else {
			done(reply)
		}
	}, args...)
}

// set changes a property.
func (s *Session) set(t target, property string, value any, about string, done func(*bus.Message)) {
	s.call(t, "SetProperty", about, done, property, bus.Variant(value))
}

func (s *Session) refused(about string, err *bus.Error) {
	s.noteError(err)
	if about != "" {
		about = " " + about
	}
	fmt.Fprintf(s.Err, "Error%s: %s\n", about, view.Safe(err.Text))
}

func (s *Session) noteError(err *bus.Error) {
	if err.Unanswered() {
		s.note(NoDaemon)
	} else {
		s.note(Refused)
	}
}

// say returns a function that prints a line once the call has worked.
func (s *Session) say(format string, args ...any) func(*bus.Message) {
	return func(*bus.Message) { fmt.Fprintf(s.Out, format+"\n", args...) }
}

func nothing(*bus.Message) {}
