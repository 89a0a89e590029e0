package lab

import (
	"github.com/godbus/dbus/v5"

	"net.connman/connmanctl/internal/bus"
)

// Object is an object with its properties, of type (oa{sv}).
type Object struct {
	Path       dbus.ObjectPath
	Properties bus.Dict
}

// Dict returns a dictionary of the given keys and values in turn.
func Dict(pairs ...any) bus.Dict {
	dict := bus.Dict{}
	for i := 0; i < len(pairs); i += 2 {
		dict = append(dict, bus.Entry(pairs[i].(string), pairs[i+1]))
	}
	return dict
}

// Objects is the answer of a method that lists objects.
func Objects(objects ...Object) Answer {
	return Answer{Signature: "a(oa{sv})", Values: []any{append([]Object{}, objects...)}}
}

// Properties is the answer of a method that returns properties.
func Properties(dict bus.Dict) Answer {
	return Answer{Signature: "a{sv}", Values: []any{dict}}
}

// Variant wraps a value, which may be a dictionary.
func Variant(value any) dbus.Variant { return bus.Variant(value) }
