package ethernet

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
)

// Filter says by name which links are to be left alone.
type Filter struct {
	Only      []string // globs, of which one must match; none: any name will do
	Except    []string // globs
	Blacklist []string // beginnings of names
}

// Check returns an error if a glob cannot be one.
func (f Filter) Check() error {
	for _, glob := range slices.Concat(f.Only, f.Except) {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("not an interface pattern: %q", glob)
		}
	}
	return nil
}

// Passes reports whether a link of this name may be handled.
func (f Filter) Passes(name string) bool {
	matches := func(glob string) bool {
		ok, _ := path.Match(glob, name)
		return ok
	}
	return (len(f.Only) == 0 || slices.ContainsFunc(f.Only, matches)) &&
		!slices.ContainsFunc(f.Except, matches) &&
		!slices.ContainsFunc(f.Blacklist, func(begin string) bool { return strings.HasPrefix(name, begin) })
}

// kinds are the virtual links that are used like an Ethernet port. The others
// belong to whoever made them: bridges and taps of containers and machines,
// tunnels, dummies.
var kinds = []string{"", "veth", "vlan", "bond", "team", "dsa"}

// classify returns the technology that a link belongs to, ok false for none of
// ours.
func classify(l kernel.Link) (t core.Type, ok bool) {
	switch {
	case l.Type != kernel.TypeEther || len(l.HardwareAddr) != 6:
		return "", false
	case l.Master != 0 || l.Slave:
		return "", false // its traffic is the bridge's or the bond's
	case !slices.Contains(kinds, l.Kind):
		return "", false
	}
	switch l.DevType {
	case "", "vlan", "bond", "dsa":
		return core.Ethernet, true
	case "gadget":
		return core.Gadget, true
	}
	return "", false
}

// network describes the network at the other end of a link's cable.
func network(t core.Type, l kernel.Link) core.NetworkInfo {
	n := core.NetworkInfo{Ident: fmt.Sprintf("%x", l.HardwareAddr), Group: "cable", Name: "Wired"}
	switch {
	case t == core.Gadget:
		n.Group = "usb"
	case l.Kind == "vlan": // it has the address of the link below
		n.Group = fmt.Sprintf("%03x_cable", l.VLAN)
	}
	return n
}
