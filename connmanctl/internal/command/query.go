package command

import (
	"io"

	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
)

// look is how an answer is written: as text and as JSON.
type look struct {
	text, json func(io.Writer, []any)
	shown      []string // properties of objects that the text shows; nil for all
}

// properties is the look of the properties of the daemon itself.
func properties(kind string) look {
	return look{view.Properties, func(w io.Writer, reply []any) { view.JSONObject(w, kind, managerPath, reply) }, nil}
}

// objects is the look of a list of objects.
func objects(kind string, text func(io.Writer, []any), shown []string) look {
	return look{text, func(w io.Writer, reply []any) { view.JSONObjects(w, kind, reply) }, shown}
}

// list returns a command without arguments that prints what a method returns.
func list(t target, method string, l look) func(*Session, []string) error {
	return func(s *Session, args []string) error {
		if len(args) > 0 {
			return errTooMany
		}
		show, call := l.text, t.method(method, nil)
		if s.json {
			show = l.json
		} else {
			call.Properties = l.shown
		}
		s.send(call, s.orRefused("", func(reply []any) { show(s.Out, reply) }))
		return nil
	}
}

// listOr returns a command that lists objects, or shows the one it is given.
func listOr(all func(*Session, []string) error, command string, l listing, one func(id string) target, kind string) func(*Session, []string) error {
	return func(s *Session, args []string) error {
		if len(args) == 0 {
			return all(s, nil)
		}
		name, err := nameArg(args)
		if err != nil {
			return err
		}
		json := s.json
		s.named(command, l, name, func(id string) {
			t := one(id)
			s.call(t, "GetProperties", id, func(reply []any) {
				if json {
					view.JSONObject(s.Out, kind, t.path, reply)
				} else {
					view.Object(s.Out, t.path, reply)
				}
			})
		})
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
	if s.json {
		return s.diagnosed(args)
	}
	all := list(manager, "GetServices", objects(view.KindService, view.Services, view.ServiceShown))
	return listOr(all, "services", serviceList, service, view.KindService)(s, args)
}

// diagnosed writes services as JSON, with what the daemon knows of them beside
// their properties.
func (s *Session) diagnosed(args []string) error {
	if len(args) == 0 {
		s.call(manager, "GetServices", "", func(reply []any) {
			objects, _ := first(reply).([]bus.Object)
			s.writeServices(objects)
		})
		return nil
	}
	name, err := nameArg(args)
	if err != nil {
		return err
	}
	s.named("services", serviceList, name, func(id string) {
		t := service(id)
		s.call(t, "GetProperties", id, func(reply []any) {
			properties, _ := first(reply).(bus.Dict)
			s.writeServices([]bus.Object{{Path: bus.ObjectPath(t.path), Properties: properties}})
		})
	})
	return nil
}

// writeServices writes services as JSON. The original daemon has no diagnostics.
func (s *Session) writeServices(services []bus.Object) {
	s.ask(diagnostics, "GetServices", nil, func(reply []any, _ error) {
		known := map[bus.ObjectPath]bus.Dict{}
		all, _ := first(reply).([]bus.Object)
		for _, o := range all {
			known[o.Path] = o.Properties
		}
		view.JSONServices(s.Out, services, known)
	})
}
