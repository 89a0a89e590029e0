package bus

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// encoder appends values in little-endian wire format to b. Boundaries count
// from base, which is where the message starts.
type encoder struct {
	b    []byte
	base int
}

func (e *encoder) align(n int) {
	for (len(e.b)-e.base)%n != 0 {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) uint16(v uint16) {
	e.align(2)
	e.b = binary.LittleEndian.AppendUint16(e.b, v)
}

func (e *encoder) uint32(v uint32) {
	e.align(4)
	e.b = binary.LittleEndian.AppendUint32(e.b, v)
}

func (e *encoder) uint64(v uint64) {
	e.align(8)
	e.b = binary.LittleEndian.AppendUint64(e.b, v)
}

// string appends s. The bus disconnects who sends it a NUL or bytes that are
// not UTF-8 inside a string, so these are replaced, whoever let them in.
func (e *encoder) string(s string) {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
	}
	e.uint32(uint32(len(s)))
	e.b = append(append(e.b, s...), 0)
}

func (e *encoder) signature(s string) {
	e.b = append(append(append(e.b, byte(len(s))), s...), 0)
}

// path appends an object path. An invalid one is a programming error which the
// bus would punish by disconnecting, so the root takes its place.
func (e *encoder) path(p ObjectPath) {
	if !p.IsValid() {
		p = "/"
	}
	e.string(string(p))
}

// array appends an array whose elements are aligned to boundary and appended
// by elements.
func (e *encoder) array(boundary int, elements func()) {
	length := e.openArray(boundary)
	start := len(e.b)
	elements()
	e.closeArray(length, start)
}

func (e *encoder) openArray(boundary int) (length int) {
	e.uint32(0)
	length = len(e.b) - 4
	e.align(boundary)
	return length
}

func (e *encoder) closeArray(length, start int) {
	binary.LittleEndian.PutUint32(e.b[length:], uint32(len(e.b)-start))
}

func (e *encoder) dict(d Dict) {
	length := e.openArray(8)
	start := len(e.b)
	for _, entry := range d {
		e.align(8)
		e.string(entry.Key)
		e.variant(entry.Value)
	}
	e.closeArray(length, start)
}

func (e *encoder) variant(value any) {
	e.signature(typeOf(value))
	e.value(value)
}

func (e *encoder) object(o Object) {
	e.align(8)
	e.path(o.Path)
	e.dict(o.Properties)
}

func (e *encoder) value(value any) {
	switch v := value.(type) {
	case byte:
		e.b = append(e.b, v)
	case bool:
		var n uint32
		if v {
			n = 1
		}
		e.uint32(n)
	case int16:
		e.uint16(uint16(v))
	case uint16:
		e.uint16(v)
	case int32:
		e.uint32(uint32(v))
	case uint32:
		e.uint32(v)
	case int64:
		e.uint64(uint64(v))
	case uint64:
		e.uint64(v)
	case float64:
		e.uint64(math.Float64bits(v))
	case string:
		e.string(v)
	case ObjectPath:
		e.path(v)
	case Signature:
		e.signature(string(v))
	case Variant:
		e.variant(v.Value)
	default:
		e.container(value)
	}
}

func (e *encoder) container(value any) {
	switch v := value.(type) {
	case Dict:
		e.dict(v)
	case []string:
		e.array(4, func() {
			for _, s := range v {
				e.string(s)
			}
		})
	case []ObjectPath:
		e.array(4, func() {
			for _, p := range v {
				e.path(p)
			}
		})
	case []byte:
		e.array(1, func() { e.b = append(e.b, v...) })
	case []Object:
		e.array(8, func() {
			for _, o := range v {
				e.object(o)
			}
		})
	case []EncodedObject:
		total := 0
		for _, o := range v {
			total += len(o) + 8
		}
		e.b = slices.Grow(e.b, total)
		e.array(8, func() {
			for _, o := range v {
				e.align(8)
				e.b = append(e.b, o...)
			}
		})
	case Array:
		e.array(alignment(v.Elem[0]), func() {
			for _, item := range v.Items {
				e.value(item)
			}
		})
	case Struct:
		e.align(8)
		for _, field := range v {
			e.value(field)
		}
	}
}
