package command

import (
	"strings"

	"net.connman/pkg/bus"
)

func connect(s *Session, args []string) error    { return s.link(args, "Connect", "Connected") }
func disconnect(s *Session, args []string) error { return s.link(args, "Disconnect", "Disconnected") }

// link connects or disconnects a service or a peer.
func (s *Session) link(args []string, method, worked string) error {
	id, err := idArg(args)
	if err != nil {
		return err
	}
	t := service(id)
	if strings.HasPrefix(id, "peer_") {
		t = peer(id)
	}
	s.call(t, method, t.path, s.say("%s %s", worked, id))
	return nil
}

// move returns the command that puts a service before or after another.
func move(method, where string) func(*Session, []string) error {
	return func(s *Session, args []string) error {
		switch {
		case len(args) > 2:
			return errTooMany
		case len(args) < 2, !validID(args[0]), !validID(args[1]):
			return errInvalid
		}
		t, other := service(args[0]), service(args[1])
		s.call(t, method, t.path, s.say("Moved %s %s %s", args[0], where, args[1]), bus.ObjectPath(other.path))
		return nil
	}
}
