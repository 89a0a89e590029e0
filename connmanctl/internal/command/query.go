package command

import (
	"io"

	"net.connman/connmanctl/internal/view"
)

// list returns a command without arguments that prints what a method returns.
func list(t target, method string, show func(io.Writer, []any)) func(*Session, []string) error {
	return func(s *Session, args []string) error {
		if len(args) > 0 {
			return errTooMany
		}
		s.call(t, method, "", func(reply []any) { show(s.Out, reply) })
		return nil
	}
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
		t := one(id)
		s.call(t, "GetProperties", id, func(reply []any) { view.Object(s.Out, t.path, reply) })
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
	return listOr(list(manager, "GetServices", view.Services), service)(s, args)
}
