package view

import (
	"io"
	"iter"
	"strconv"
	"strings"

	"net.connman/connmanctl/internal/bus"
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

// Properties writes a dictionary, one property a line.
func Properties(w io.Writer, dict bus.Value) {
	write(w, func(b *strings.Builder) {
		values(b, dict.Elems(), listing)
		b.WriteByte('\n')
	})
}

// Object writes the path of an object and its properties.
func Object(w io.Writer, path string, dict bus.Value) {
	io.WriteString(w, Safe(path)+"\n")
	Properties(w, dict)
}

// Objects writes the objects of an array of paths with properties.
func Objects(w io.Writer, array bus.Value) {
	for object := range array.Elems() {
		path, dict := object.Pair()
		Object(w, path.Text(), dict)
	}
}

// Signal writes the line of a changed property or of a signal without a layout
// of its own.
func Signal(w io.Writer, source, what string, args iter.Seq[bus.Value]) {
	write(w, func(b *strings.Builder) {
		pad(b, source, 12)
		b.WriteByte(' ')
		pad(b, what, 20)
		b.WriteByte(' ')
		values(b, args, signal)
		b.WriteByte('\n')
	})
}

// Changed writes a signal that brings a list, which list writes.
func Changed(w io.Writer, source, what string, list func(io.Writer)) {
	write(w, func(b *strings.Builder) {
		pad(b, source, 12)
		b.WriteByte(' ')
		pad(b, what, 20)
		b.WriteString(" = {\n")
		list(b)
		b.WriteString("\n}\n")
	})
}

// values writes values and, in the style of their container, what they hold.
func values(b *strings.Builder, all iter.Seq[bus.Value], s style) {
	first := true
	for v := range all {
		if !first {
			b.WriteString(s.sep)
		}
		first = false
		b.WriteString(s.before)
		value(b, v, s)
	}
}

func value(b *strings.Builder, v bus.Value, s style) {
	switch v.Kind() {
	case '(':
		b.WriteString("{ ")
		values(b, v.Elems(), inGroup)
		b.WriteString(" }")
	case 'a':
		b.WriteString("[ ")
		values(b, v.Elems(), inArray)
		b.WriteString(" ]")
	case '{':
		values(b, v.Elems(), style{"", s.dict, s.dict})
	case 'v':
		values(b, v.Elems(), s)
	case 's', 'o':
		b.WriteString(Safe(v.Text()))
	default:
		b.WriteString(number(v))
	}
}

func number(v bus.Value) string {
	switch v.Kind() {
	case 'b':
		if v.Uint() == 0 {
			return "False"
		}
		return "True"
	case 'y', 'q', 't':
		return strconv.FormatUint(v.Uint(), 10)
	case 'i', 'u': // the reference prints both as signed
		return strconv.Itoa(int(int32(v.Uint())))
	case 'd':
		return strconv.FormatFloat(v.Double(), 'f', 6, 64)
	}
	return "<type " + string(v.Kind()) + ">"
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
	io.WriteString(w, b.String())
}
