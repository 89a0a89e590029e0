package command

import (
	"fmt"
	"slices"
	"strings"

	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
)

// listing is a method that lists objects which a command line may name.
type listing struct {
	manager target
	method  string
	what    string // they are, for people
	ids     string // known identifiers, which need not be looked up
}

var (
	technologyList = listing{manager, "GetTechnologies", "technologies", "ethernet wifi bluetooth cellular gadget p2p offline"}
	serviceList    = listing{manager, "GetServices", "services", ""}
	peerList       = listing{manager, "GetPeers", "peers", ""}
	connectionList = listing{vpnManager, "GetConnections", "VPN connections", ""}
)

// named hands the identifier of the object that word means to then: word itself
// if it is one, otherwise that of the only object with this name. A word that
// means nothing may still be an identifier, of which the daemon then says that
// it does not know it.
func (s *Session) named(command string, l listing, word string, then func(id string)) {
	if isID(word) || slices.Contains(strings.Fields(l.ids), word) {
		then(word)
		return
	}
	s.list(l, []string{"Name"}, func(known []bus.Object, _ error) {
		switch ids := meant(known, word); {
		case len(ids) == 1:
			then(ids[0])
		case len(ids) > 1:
			s.ambiguous(command, l, word, ids)
		case validID(word):
			then(word)
		default:
			s.misuse(s.Err, command, errInvalid)
		}
	})
}

// meant returns the identifiers of the objects that word may mean.
func meant(known []bus.Object, word string) (ids []string) {
	for _, o := range known {
		id := view.ID(string(o.Path))
		if id == word {
			return []string{id}
		}
		if name, _ := bus.Lookup[string](o.Properties, "Name"); name == word {
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *Session) ambiguous(command string, l listing, word string, ids []string) {
	s.misuse(s.Err, command, fmt.Errorf("several %s are called %s, name one of", l.what, view.Safe(word)))
	for _, id := range ids {
		fmt.Fprintf(s.Err, "  %s\n", view.Safe(id))
	}
}

// isID reports whether word can be nothing but the identifier of a service or a
// peer, so that nobody has to be asked.
func isID(word string) bool {
	kind, rest, _ := strings.Cut(word, "_")
	switch kind {
	case "peer", "vpn", "cellular":
		return validID(rest)
	case "ethernet", "wifi", "bluetooth", "gadget":
		const address = 12
		return len(rest) > address && rest[address] == '_' && strings.Trim(rest[:address], "0123456789abcdef") == "" && validID(rest)
	}
	return false
}

// nameArg returns the only argument, which names an object.
func nameArg(args []string) (string, error) {
	switch {
	case len(args) > 1:
		return "", errTooMany
	case len(args) < 1 || args[0] == "":
		return "", errInvalid
	}
	return args[0], nil
}
