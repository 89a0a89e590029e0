package bus

import (
	"encoding/binary"
	"iter"
	"math"
)

// maxDepth bounds the nesting of containers, as the D-Bus specification does.
const maxDepth = 64

// Value is a value of a received message. It is a view into the message's
// bytes: nothing is decoded before it is asked for, and containers keep their
// order. Bytes that break the format end an iteration early or read as zero.
type Value struct {
	typ   string // one complete type
	data  []byte // aligned to 8 bytes at its start
	at    int    // where the value starts, alignment included
	order binary.ByteOrder
}

// Kind returns the type code of the value as the D-Bus specification names it:
// 's', 'a', '(' for a structure, '{' for a dictionary entry, 0 for no value.
func (v Value) Kind() byte {
	if v.typ == "" {
		return 0
	}
	return v.typ[0]
}

// Text returns a string, object path or signature, and "" for other kinds.
func (v Value) Text() string {
	switch v.Kind() {
	case 's', 'o':
		if n, ok := v.uint32(v.at); ok {
			return v.slice(v.at+4, int(n))
		}
	case 'g':
		if v.at < len(v.data) {
			return v.slice(v.at+1, int(v.data[v.at]))
		}
	}
	return ""
}

// Uint returns a byte, boolean or number as its bits, and 0 for other kinds.
func (v Value) Uint() uint64 {
	width := fixedWidth(v.Kind())
	if width == 0 || v.at+width > len(v.data) {
		return 0
	}
	b := v.data[v.at:]
	switch width {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(v.order.Uint16(b))
	case 4:
		return uint64(v.order.Uint32(b))
	default:
		return v.order.Uint64(b)
	}
}

// Double returns a floating point number, and 0 for other kinds.
func (v Value) Double() float64 {
	if v.Kind() != 'd' {
		return 0
	}
	return math.Float64frombits(v.Uint())
}

// Elems yields what an array, structure, dictionary entry or variant holds.
func (v Value) Elems() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		switch v.Kind() {
		case 'a':
			v.array(yield)
		case '(', '{':
			eachType(v.typ[1:len(v.typ)-1], v.data, v.at, v.order, yield)
		case 'v':
			if typ, at, ok := v.variant(v.at); ok {
				eachType(typ, v.data, at, v.order, yield)
			}
		}
	}
}

// Dict yields the entries of a dictionary with text keys, variants opened.
func (v Value) Dict() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for entry := range v.Elems() {
			if entry.Kind() != '{' {
				return
			}
			pair := first(entry.Elems(), 2)
			if !yield(pair[0].Text(), pair[1].Open()) {
				return
			}
		}
	}
}

// Open returns what a variant holds, and any other value itself.
func (v Value) Open() Value {
	if v.Kind() != 'v' {
		return v
	}
	return first(v.Elems(), 1)[0]
}

// Pair returns the first two elements of a container.
func (v Value) Pair() (Value, Value) {
	pair := first(v.Elems(), 2)
	return pair[0], pair[1]
}

func first(values iter.Seq[Value], n int) []Value {
	found := make([]Value, 0, 2)
	for v := range values {
		if found = append(found, v); len(found) == n {
			return found
		}
	}
	return append(found, make([]Value, n-len(found))...)
}

func (v Value) array(yield func(Value) bool) {
	typ := v.typ[1:]
	at, end, ok := v.bounds(v.at, typ)
	for ok && at < end {
		item := Value{typ, v.data[:end], align(at, typ[0]), v.order}
		at, ok = item.end(item.at, typ, 0)
		if !ok || !yield(item) {
			return
		}
	}
}

// eachType yields the values of the types that typ lists, from offset at on.
func eachType(typ string, data []byte, at int, order binary.ByteOrder, yield func(Value) bool) {
	for typ != "" {
		n := typeLen(typ, 0)
		if n == 0 {
			return
		}
		v := Value{typ[:n], data, align(at, typ[0]), order}
		end, ok := v.end(v.at, v.typ, 0)
		if !ok || !yield(v) {
			return
		}
		typ, at = typ[n:], end
	}
}

// end returns the offset behind the value of type typ that starts at or after at.
func (v Value) end(at int, typ string, depth int) (int, bool) {
	if depth > maxDepth {
		return 0, false
	}
	at = align(at, typ[0])
	end := at + fixedWidth(typ[0])
	switch typ[0] {
	case 's', 'o':
		n, ok := v.uint32(at)
		if !ok {
			return 0, false
		}
		end = at + 4 + int(n) + 1
	case 'g':
		if at >= len(v.data) {
			return 0, false
		}
		end = at + 1 + int(v.data[at]) + 1
	case 'a':
		_, stop, ok := v.bounds(at, typ[1:])
		return stop, ok
	case '(', '{':
		for rest := typ[1 : len(typ)-1]; rest != ""; {
			n := typeLen(rest, 0)
			if n == 0 {
				return 0, false
			}
			stop, ok := v.end(end, rest[:n], depth+1)
			if !ok {
				return 0, false
			}
			rest, end = rest[n:], stop
		}
	case 'v':
		inner, start, ok := v.variant(at)
		if !ok {
			return 0, false
		}
		return v.end(start, inner, depth+1)
	}
	return end, end <= len(v.data)
}

// bounds returns where the elements of the array at offset at start and end.
func (v Value) bounds(at int, elem string) (start, end int, ok bool) {
	n, ok := v.uint32(at)
	start = align(at+4, elem[0])
	end = start + int(n)
	return start, end, ok && end <= len(v.data)
}

// variant returns the type of the variant at offset at and where its value starts.
func (v Value) variant(at int) (typ string, start int, ok bool) {
	if at >= len(v.data) {
		return "", 0, false
	}
	n := int(v.data[at])
	typ = v.slice(at+1, n)
	start = at + 1 + n + 1
	if typ == "" || typeLen(typ, 0) != len(typ) || start > len(v.data) {
		return "", 0, false
	}
	return typ, align(start, typ[0]), true
}

func (v Value) uint32(at int) (uint32, bool) {
	if at+4 > len(v.data) {
		return 0, false
	}
	return v.order.Uint32(v.data[at:]), true
}

func (v Value) slice(at, n int) string {
	if at+n > len(v.data) {
		return ""
	}
	return string(v.data[at : at+n])
}

func align(at int, kind byte) int {
	n := 1
	switch kind {
	case '(', '{':
		n = 8
	case 's', 'o', 'a':
		n = 4
	case 'g', 'v':
	default:
		n = max(1, fixedWidth(kind))
	}
	return (at + n - 1) &^ (n - 1)
}

// fixedWidth returns the size of a type whose values all have the same, or 0.
func fixedWidth(kind byte) int {
	switch kind {
	case 'y':
		return 1
	case 'n', 'q':
		return 2
	case 'b', 'i', 'u', 'h':
		return 4
	case 'x', 't', 'd':
		return 8
	}
	return 0
}

// typeLen returns the length of the first complete type in sig, 0 when there
// is none.
func typeLen(sig string, depth int) int {
	if sig == "" || depth > maxDepth {
		return 0
	}
	switch sig[0] {
	case 'a':
		n := typeLen(sig[1:], depth+1)
		if n == 0 {
			return 0
		}
		return n + 1
	case '(':
		return bracketLen(sig, ')', depth)
	case '{':
		return bracketLen(sig, '}', depth)
	case 's', 'o', 'g', 'v':
		return 1
	}
	if fixedWidth(sig[0]) > 0 {
		return 1
	}
	return 0
}

func bracketLen(sig string, closing byte, depth int) int {
	at := 1
	for at < len(sig) && sig[at] != closing {
		n := typeLen(sig[at:], depth+1)
		if n == 0 {
			return 0
		}
		at += n
	}
	if at == 1 || at >= len(sig) {
		return 0
	}
	return at + 1
}
