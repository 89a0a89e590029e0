package bus

import "github.com/godbus/dbus/v5"

// Dict is a dictionary to be sent in the order of its entries.
type Dict []entry

type entry struct {
	Key   string
	Value dbus.Variant
}

// Entry returns an entry of a [Dict].
func Entry(key string, value any) entry { return entry{key, Variant(value)} }

// Variant wraps a value to be sent.
func Variant(value any) dbus.Variant {
	if dict, ok := value.(Dict); ok {
		// An array of pairs is encoded as a dictionary is.
		return dbus.MakeVariantWithSignature(dict, dbus.ParseSignatureMust("a{sv}"))
	}
	return dbus.MakeVariant(value)
}
