package view

import (
	"io"
	"strconv"
	"strings"

	"net.connman/pkg/bus"
)

// style says what is written around values.
type style struct {
	before string // before each value
	dict   string // between a dictionary entry's key and value
	sep    string // between values
}

var (
	listing = style{"  ", " = ", "\n"}
	signal  = style{"", " = ", " = "}
	inArray = style{"", "=", ", "}
	inGroup = style{"", "=", " "}
)

// Properties writes the dictionary that a method returned, one property a line.
func Properties(w io.Writer, reply []any) {
	write(w, func(b *strings.Builder) { properties(b, arg(reply, 0)) })
}

// Object writes the path of an object and the properties that it returned.
func Object(w io.Writer, path string, reply []any) {
	write(w, func(b *strings.Builder) { object(b, path, arg(reply, 0)) })
}

// Objects writes the objects that a method returned with their properties.
func Objects(w io.Writer, reply []any) {
	objects, _ := arg(reply, 0).([]bus.Object)
	write(w, func(b *strings.Builder) {
		for _, o := range objects {
			object(b, string(o.Path), o.Properties)
		}
	})
}

// Signal writes the line of a changed property or of a signal without a layout
// of its own.
func Signal(w io.Writer, source, what string, args []any) {
	write(w, func(b *strings.Builder) {
		head(b, source, what)
		values(b, args, signal)
		b.WriteByte('\n')
	})
}

// SessionUpdate writes the settings of a session that changed.
func SessionUpdate(w io.Writer, settings bus.Dict) {
	write(w, func(b *strings.Builder) {
		head(b, "Session", "Update")
		b.WriteString("= {\n")
		values(b, elems(settings), style{"", " = ", "\n"})
		b.WriteString("\n}\n")
	})
}

func object(b *strings.Builder, path string, dict any) {
	b.WriteString(Safe(path) + "\n")
	properties(b, dict)
}

func properties(b *strings.Builder, dict any) {
	values(b, elems(dict), listing)
	b.WriteByte('\n')
}

// head writes the two columns that begin a signal.
func head(b *strings.Builder, source, what string) {
	pad(b, Safe(source), 12)
	b.WriteByte(' ')
	pad(b, Safe(what), 20)
	b.WriteByte(' ')
}

// entry is a dictionary entry of any types.
type entry []any

// values writes values and, in the style of their container, what they hold.
func values(b *strings.Builder, all []any, s style) {
	for i, v := range all {
		if i > 0 {
			b.WriteString(s.sep)
		}
		b.WriteString(s.before)
		value(b, v, s)
	}
}

func value(b *strings.Builder, v any, s style) {
	switch v := v.(type) {
	case string:
		b.WriteString(Safe(v))
	case bus.ObjectPath:
		b.WriteString(Safe(string(v)))
	case bus.Variant:
		values(b, []any{v.Value}, s)
	case bus.Entry:
		values(b, []any{v.Key, v.Value}, style{"", s.dict, s.dict})
	case entry:
		values(b, v, style{"", s.dict, s.dict})
	case bus.Struct, bus.Object:
		b.WriteString("{ ")
		values(b, elems(v), inGroup)
		b.WriteString(" }")
	case bus.Dict, bus.Array, []bus.Object, []string, []bus.ObjectPath, []byte:
		b.WriteString("[ ")
		values(b, elems(v), inArray)
		b.WriteString(" ]")
	default:
		b.WriteString(number(v))
	}
}

func number(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "True"
		}
		return "False"
	case byte:
		return strconv.Itoa(int(v))
	case uint16:
		return strconv.Itoa(int(v))
	case int32:
		return strconv.Itoa(int(v))
	case uint32: // the reference prints it as signed
		return strconv.Itoa(int(int32(v)))
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', 6, 64)
	}
	return "<type " + bus.SignatureOf(v)[:1] + ">"
}

// elems returns what a container holds, and nothing for other values.
func elems(v any) []any {
	switch v := v.(type) {
	case bus.Dict:
		return list(v)
	case []bus.Object:
		return list(v)
	case []string:
		return list(v)
	case []bus.ObjectPath:
		return list(v)
	case []byte:
		return list(v)
	case bus.Object:
		return []any{v.Path, v.Properties}
	case bus.Struct:
		return v
	case bus.Array:
		return arrayElems(v)
	}
	return nil
}

// arrayElems returns an array's elements; the entries of a dictionary arrive as
// groups of two.
func arrayElems(array bus.Array) []any {
	if !strings.HasPrefix(array.Elem, "{") {
		return array.Items
	}
	var entries []any
	for _, item := range array.Items {
		if pair, ok := item.(bus.Struct); ok && len(pair) == 2 {
			entries = append(entries, entry(pair))
		}
	}
	return entries
}

func list[T any](items []T) []any {
	all := make([]any, len(items))
	for i, item := range items {
		all[i] = item
	}
	return all
}

// arg returns value i of a message, or nil.
func arg(values []any, i int) any {
	if i < len(values) {
		return values[i]
	}
	return nil
}

// pad writes text filled up to width bytes.
func pad(b *strings.Builder, text string, width int) {
	b.WriteString(text)
	for n := len(text); n < width; n++ {
		b.WriteByte(' ')
	}
}

// write hands w one piece of text, so that an asynchronous line is not torn.
func write(w io.Writer, fill func(*strings.Builder)) {
	var b strings.Builder
	fill(&b)
	_, _ = io.WriteString(w, b.String())
}
