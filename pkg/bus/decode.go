package bus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Limits of the D-Bus specification ("Valid Signatures", "Marshaling").
const (
	maxDepth = 64
	maxArray = 64 << 20
)

var (
	errTruncated = errors.New("message ends inside a value")
	errCrossing  = errors.New("array element crosses the array's end")
	errTooDeep   = errors.New("values nested too deeply")
)

// decoder reads values from b, which starts on a boundary of 8. The message may
// come from a hostile process: every length is checked before it is believed.
type decoder struct {
	b     []byte
	pos   int
	order binary.ByteOrder
	seen  map[string]string // keys and signatures, which repeat
	only  []string          // properties of objects that are wanted; nil for all
}

// values reads values of the types in sig until the end.
func (d *decoder) values(sig string) ([]any, error) {
	var values []any
	for sig != "" {
		typ, rest, err := nextType(sig)
		if err != nil {
			return nil, err
		}
		v, err := d.value(typ, 0)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		sig = rest
	}
	if d.pos != len(d.b) {
		return nil, fmt.Errorf("%d bytes follow the last value", len(d.b)-d.pos)
	}
	return values, nil
}

// nextType splits the first complete type off sig.
func nextType(sig string) (typ, rest string, err error) {
	n, err := typeLen(sig, 0)
	if err != nil {
		return "", "", err
	}
	return sig[:n], sig[n:], nil
}

func typeLen(sig string, depth int) (int, error) {
	if sig == "" || depth > maxDepth {
		return 0, errors.New("incomplete or too deep signature")
	}
	switch sig[0] {
	case 'y', 'b', 'n', 'q', 'i', 'u', 'x', 't', 'd', 's', 'o', 'g', 'v':
		return 1, nil
	case 'a':
		if strings.HasPrefix(sig, "a{") {
			return entryLen(sig, depth)
		}
		n, err := typeLen(sig[1:], depth+1)
		return n + 1, err
	case '(':
		return groupLen(sig, ')', depth)
	}
	return 0, fmt.Errorf("unknown type %q in signature", sig[0])
}

// entryLen measures a type of the form a{KV}.
func entryLen(sig string, depth int) (int, error) {
	if len(sig) < 3 || !strings.ContainsRune("ybnqiuxtdsog", rune(sig[2])) {
		return 0, errors.New("dictionary key is not a basic type")
	}
	n, err := groupLen(sig[1:], '}', depth+1)
	if err != nil {
		return 0, err
	}
	if value, err := typeLen(sig[3:], depth+2); err != nil || value != n-3 {
		return 0, errors.New("dictionary entry is not a key and a value")
	}
	return n + 1, nil
}

// groupLen measures types between an opening bracket and end.
func groupLen(sig string, end byte, depth int) (int, error) {
	n := 1
	for n < len(sig) && sig[n] != end {
		l, err := typeLen(sig[n:], depth+1)
		if err != nil {
			return 0, err
		}
		n += l
	}
	if n >= len(sig) || n == 1 {
		return 0, errors.New("unclosed or empty brackets in signature")
	}
	return n + 1, nil
}

func (d *decoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.b)-d.pos {
		return nil, errTruncated
	}
	p := d.b[d.pos : d.pos+n]
	d.pos += n
	return p, nil
}

// fixed takes an aligned value of n bytes.
func (d *decoder) fixed(n int) ([]byte, error) {
	if err := d.align(n); err != nil {
		return nil, err
	}
	return d.take(n)
}

func (d *decoder) align(n int) error {
	for d.pos%n != 0 {
		pad, err := d.take(1)
		if err != nil {
			return err
		}
		if pad[0] != 0 {
			return errors.New("padding is not zero")
		}
	}
	return nil
}

func (d *decoder) uint32() (uint32, error) {
	p, err := d.fixed(4)
	if err != nil {
		return 0, err
	}
	return d.order.Uint32(p), nil
}

func (d *decoder) string() (string, error) {
	p, err := d.rawString()
	return string(p), err
}

// rawString reads a string, which stays in the message.
func (d *decoder) rawString() ([]byte, error) {
	n, err := d.uint32()
	if err != nil || n > math.MaxInt32-1 {
		return nil, errTruncated
	}
	return d.text(int(n))
}

func (d *decoder) signature() (string, error) {
	n, err := d.take(1)
	if err != nil {
		return "", err
	}
	p, err := d.text(int(n[0]))
	return d.intern(p), err
}

// key reads a string that is likely to come again.
func (d *decoder) key() (string, error) {
	p, err := d.rawString()
	return d.intern(p), err
}

func (d *decoder) intern(p []byte) string {
	s, ok := d.seen[string(p)]
	if !ok {
		if d.seen == nil {
			d.seen = make(map[string]string)
		}
		s = string(p)
		d.seen[s] = s
	}
	return s
}

func (d *decoder) text(n int) ([]byte, error) {
	p, err := d.take(n + 1)
	if err != nil {
		return nil, err
	}
	if p[n] != 0 || bytes.IndexByte(p[:n], 0) >= 0 || !utf8.Valid(p[:n]) {
		return nil, errors.New("string is not UTF-8 without NUL")
	}
	return p[:n], nil
}

func (d *decoder) path() (ObjectPath, error) {
	s, err := d.string()
	if err != nil {
		return "", err
	}
	if !validPath(s) {
		return "", fmt.Errorf("%q is not an object path", s)
	}
	return ObjectPath(s), nil
}

// validPath is ObjectPath.IsValid without its garbage: lists have many paths.
func validPath(s string) bool {
	if s == "/" {
		return true
	}
	slash := false // before the next byte
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/' && slash, i == 0 && c != '/':
			return false
		case c == '/', c == '_', '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'z':
			slash = c == '/'
		default:
			return false
		}
	}
	return s != "" && !slash
}

// value reads one value of the complete type typ.
func (d *decoder) value(typ string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	switch typ[0] {
	case 's':
		return d.string()
	case 'o':
		return d.path()
	case 'g':
		s, err := d.signature()
		return Signature(s), err
	case 'v':
		v, err := d.variant(depth + 1)
		return Variant{v}, err
	case 'a':
		return d.array(typ[1:], depth+1)
	case '(', '{':
		return d.fields(typ[1:len(typ)-1], depth+1)
	}
	return d.number(typ[0])
}

func (d *decoder) number(typ byte) (any, error) {
	size := alignment(typ)
	p, err := d.fixed(size)
	if err != nil {
		return nil, err
	}
	switch typ {
	case 'y':
		return p[0], nil
	case 'b':
		n := d.order.Uint32(p)
		if n > 1 {
			return nil, fmt.Errorf("boolean is %d", n)
		}
		return n == 1, nil
	case 'n':
		return int16(d.order.Uint16(p)), nil
	case 'q':
		return d.order.Uint16(p), nil
	case 'i':
		return int32(d.order.Uint32(p)), nil
	case 'u':
		return d.order.Uint32(p), nil
	case 'x':
		return int64(d.order.Uint64(p)), nil
	case 't':
		return d.order.Uint64(p), nil
	}
	return math.Float64frombits(d.order.Uint64(p)), nil // 'd'
}

func (d *decoder) variant(depth int) (any, error) {
	sig, err := d.signature()
	if err != nil {
		return nil, err
	}
	typ, rest, err := nextType(sig)
	if err != nil {
		return nil, err
	}
	if rest != "" {
		return nil, errors.New("variant holds more than one value")
	}
	return d.value(typ, depth)
}

func (d *decoder) fields(sig string, depth int) (any, error) {
	if err := d.align(8); err != nil {
		return nil, err
	}
	var s Struct
	for sig != "" {
		typ, rest, err := nextType(sig)
		if err != nil {
			return nil, err
		}
		v, err := d.value(typ, depth)
		if err != nil {
			return nil, err
		}
		s = append(s, v)
		sig = rest
	}
	return s, nil
}

func (d *decoder) array(elem string, depth int) (any, error) {
	end, err := d.openArray(elem)
	if err != nil {
		return nil, err
	}
	switch elem {
	case "y":
		p, err := d.take(end - d.pos)
		return append([]byte{}, p...), err
	case "s":
		return collect(d, end, 16, d.string)
	case "o":
		return collect(d, end, 32, d.path)
	case "{sv}":
		entries, err := collect(d, end, 32, func() (Entry, error) { return d.entry(depth) })
		return Dict(entries), err
	case "(oa{sv})":
		return collect(d, end, 512, func() (Object, error) { return d.object(depth) })
	}
	items, err := collect(d, end, 16, func() (any, error) { return d.value(elem, depth) })
	return Array{elem, items}, err
}

// openArray reads an array's length and returns where its last element ends.
func (d *decoder) openArray(elem string) (end int, err error) {
	n, err := d.uint32()
	if err != nil {
		return 0, err
	}
	if err := d.align(alignment(elem[0])); err != nil {
		return 0, err
	}
	if n > maxArray || int(n) > len(d.b)-d.pos {
		return 0, errTruncated
	}
	return d.pos + int(n), nil
}

// collect reads elements up to end, which they must meet exactly. An element
// takes about size bytes.
func collect[T any](d *decoder, end, size int, read func() (T, error)) ([]T, error) {
	list := make([]T, 0, (end-d.pos+size-1)/size)
	for d.pos < end {
		v, err := read()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if d.pos != end {
		return nil, errCrossing
	}
	return list, nil
}

func (d *decoder) entry(depth int) (e Entry, err error) {
	if err = d.align(8); err != nil {
		return e, err
	}
	if e.Key, err = d.key(); err != nil {
		return e, err
	}
	e.Value, err = d.variant(depth + 2)
	return e, err
}

func (d *decoder) object(depth int) (o Object, err error) {
	if err = d.align(8); err != nil {
		return o, err
	}
	if o.Path, err = d.path(); err != nil {
		return o, err
	}
	if d.only != nil {
		o.Properties, err = d.someProperties(depth + 2)
		return o, err
	}
	v, err := d.array("{sv}", depth+2)
	if err != nil {
		return o, err
	}
	o.Properties = v.(Dict)
	return o, nil
}

// IsType says whether sig is a single complete D-Bus type.
func IsType(sig string) bool {
	n, err := typeLen(sig, 0)
	return err == nil && n == len(sig)
}
