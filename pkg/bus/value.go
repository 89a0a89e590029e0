package bus

import (
	"fmt"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// The Go types that stand for D-Bus types, both ways:
//
//	y byte · b bool · n int16 · q uint16 · i int32 · u uint32 · x int64 · t uint64 · d float64
//	s string · o ObjectPath · g Signature · v Variant
//	as []string · ao []ObjectPath · ay []byte · a{sv} Dict · a(oa{sv}) []Object
//	any other array Array · any struct or other dictionary entry Struct
//
// A value's D-Bus type follows from its Go type alone, so a type switch on a
// decoded value is an exact check of its signature.

// ObjectPath is the path of an object, of type o.
type ObjectPath = dbus.ObjectPath

// Signature is a D-Bus value of type g.
type Signature string

// Variant is a D-Bus value of type v. Its Value is one of the types above.
type Variant struct{ Value any }

// Dict is a dictionary of type a{sv} whose entries keep their order: it is sent
// in this order and holds what was received in the order of arrival.
type Dict []Entry

// Entry is one entry of a Dict. Value is what is inside the variant.
type Entry struct {
	Key   string
	Value any
}

// Get returns the value of key; ok is false when the dictionary lacks it.
func (d Dict) Get(key string) (value any, ok bool) {
	for _, e := range d {
		if e.Key == key {
			return e.Value, true
		}
	}
	return nil, false
}

// Lookup returns the value of key if d has it with exactly the type T.
func Lookup[T any](d Dict, key string) (T, bool) {
	value, _ := d.Get(key)
	t, ok := value.(T)
	return t, ok
}

// Object is an object with its properties, of type (oa{sv}).
type Object struct {
	Path       ObjectPath
	Properties Dict
}

// EncodedObject is an Object in the wire format. It can be kept and sent many
// times: a slice of them has the type a(oa{sv}), like a slice of Object.
type EncodedObject []byte

// EncodeObject encodes o once for all, in no more memory than that takes.
func EncodeObject(o Object) EncodedObject {
	var e encoder
	e.object(o)
	return slices.Clone(e.b)
}

// Array is an array whose elements have the D-Bus type Elem.
type Array struct {
	Elem  string
	Items []any
}

// Struct is a struct, or the two halves of a dictionary entry.
type Struct []any

// SignatureOf returns the signature of values in sequence. It panics on a Go
// type that is not in the list above, which is a programming error.
func SignatureOf(values ...any) string {
	if len(values) == 1 {
		return typeOf(values[0])
	}
	var sig strings.Builder
	for _, v := range values {
		sig.WriteString(typeOf(v))
	}
	return sig.String()
}

func typeOf(value any) string {
	switch v := value.(type) {
	case byte:
		return "y"
	case bool:
		return "b"
	case int16:
		return "n"
	case uint16:
		return "q"
	case int32:
		return "i"
	case uint32:
		return "u"
	case int64:
		return "x"
	case uint64:
		return "t"
	case float64:
		return "d"
	case string:
		return "s"
	case ObjectPath:
		return "o"
	case Signature:
		return "g"
	case Variant:
		return "v"
	case []string:
		return "as"
	case []ObjectPath:
		return "ao"
	case []byte:
		return "ay"
	case Dict:
		return "a{sv}"
	case []Object, []EncodedObject:
		return "a(oa{sv})"
	case Array:
		return "a" + v.Elem
	case Struct:
		return "(" + SignatureOf(v...) + ")"
	}
	panic(fmt.Sprintf("bus: Go type %T stands for no D-Bus type", value))
}

// alignment returns the boundary in bytes on which values of a type start
// (D-Bus specification, "Marshaling").
func alignment(typ byte) int {
	switch typ {
	case 'y', 'g', 'v':
		return 1
	case 'n', 'q':
		return 2
	case 'x', 't', 'd', '(', '{':
		return 8
	}
	return 4
}
