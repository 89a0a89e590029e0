package lab

import (
	"github.com/godbus/dbus/v5"
)

// dict is a dictionary whose entries keep their order; godbus encodes it as an
// array of pairs, which has the same form.
type dict []entry

type entry struct {
	Key   string
	Value dbus.Variant
}

// Object is an object with its properties, of type (oa{sv}).
type Object struct {
	Path       dbus.ObjectPath
	Properties dict
}

// Dict returns a dictionary of the given keys and values in turn.
func Dict(pairs ...any) dict {
	d := dict{}
	for i := 0; i < len(pairs); i += 2 {
		d = append(d, entry{pairs[i].(string), Variant(pairs[i+1])})
	}
	return d
}

// Objects is the answer of a method that lists objects.
func Objects(objects ...Object) Answer {
	return Answer{Signature: "a(oa{sv})", Values: []any{append([]Object{}, objects...)}}
}

// Properties is the answer of a method that returns properties.
func Properties(d dict) Answer {
	return Answer{Signature: "a{sv}", Values: []any{d}}
}

// Variant wraps a value, which may be a dictionary.
func Variant(value any) dbus.Variant {
	if d, ok := value.(dict); ok {
		return dbus.MakeVariantWithSignature(d, dbus.ParseSignatureMust("a{sv}"))
	}
	return dbus.MakeVariant(value)
}

// signatureOf returns the signature of values, which may be dictionaries.
func signatureOf(values []any) dbus.Signature {
	var all string
	for _, value := range values {
		if _, ok := value.(dict); ok {
			all += "a{sv}"
		} else {
			all += dbus.SignatureOf(value).String()
		}
	}
	return dbus.ParseSignatureMust(all)
}
