package command

import (
	"io"

	"net.connman/connmanctl/internal/bus"
	"net.connman/connmanctl/internal/view"
)

// list returns a command without arguments that prints what a method returns.
func list(t target, method string, show func(io.Writer, *bus.Message)) func(*Session, []string) error {
	return func(s *Session, args []string) error {
		if len(args) > 0 {
			return errTooMany
		}
		s.call(t, method, "", func(reply *bus.Message) { show(s.Out, reply) })
		return nil
	}
}

func properties(w io.Writer, reply *bus.Message)   { view.Properties(w, reply.Arg(0)) }
func technologies(w io.Writer, reply *bus.Message) { view.Objects(w, reply.Arg(0)) }

func services(w io.Writer, reply *bus.Message) {
	view.Services(w, reply.Arg(0), reply.Arg(1))
	io.WriteString(w, "\n")
}

func peers(w io.Writer, reply *bus.Message) {
	view.Peers(w, reply.Arg(0), reply.Arg(1))
	io.WriteString(w, "\n")
}

func tetheringClients(w io.Writer, reply *bus.Message) {
	view.TetheringClients(w, reply.Arg(0), reply.Arg(1))
	io.WriteString(w, "\n")
}

func vpnConnections(w io.Writer, reply *bus.Message) { view.VPNConnections(w, reply.Arg(0)) }

// object prints the properties of one object.
func (s *Session) object(t target) {
	s.call(t, "GetProperties", view.ID(t.path), func(reply *bus.Message) {
		view.Object(s.Out, t.path, reply.Arg(0))
	})
}

// listOr returns a command that lists objects, or shows the one it is given.
func listOr(all func(*Session, []string) error, one func(id string) target) func(*Session, []string) error {
	return func(s *Session, args []string) error {
		if len(args) == 0 {
			return all(s, nil)
		}
		id, err := idArg(args)
		if err != nil {
			return err
		}
		s.object(one(id))
		return nil
	}
}

// showServices also takes an option in front of the service, which says what
// happens anyway.
func showServices(s *Session, args []string) error {
	if len(args) > 0 && find(serviceOptions, args[0]) != "" {
		if args = args[1:]; len(args) == 0 {
			return errInvalid
		}
	}
	return listOr(list(manager, "GetServices", services), service)(s, args)
}
