package command

import (
	"strings"

	"net.connman/pkg/bus"
)

func disconnect(s *Session, args []string) error {
	return s.link("disconnect", args, "Disconnect", "Disconnected")
}

// link connects or disconnects a service or a peer.
func (s *Session) link(command string, args []string, method, worked string) error {
	name, err := nameArg(args)
	if err != nil {
		return err
	}
	s.named(command, serviceList, name, func(id string) { s.connectTo(id, method, worked) })
	return nil
}

func (s *Session) connectTo(id, method, worked string) {
	t := service(id)
	if strings.HasPrefix(id, "peer_") {
		t = peer(id)
	}
	s.call(t, method, t.path, s.say("%s %s", worked, id))
}

// move returns the command that puts a service before or after another.
func move(command, method, where string) func(*Session, []string) error {
	return func(s *Session, args []string) error {
		switch {
		case len(args) > 2:
			return errTooMany
		case len(args) < 2, args[0] == "", args[1] == "":
			return errInvalid
		}
		s.named(command, serviceList, args[0], func(id string) {
			s.named(command, serviceList, args[1], func(other string) {
				t := service(id)
				s.call(t, method, t.path, s.say("Moved %s %s %s", id, where, other), bus.ObjectPath(service(other).path))
			})
		})
		return nil
	}
}
