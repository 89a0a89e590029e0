package keyfile

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Value returns a value as it is written, escapes and all.
func (f *File) Value(group, key string) (string, bool) {
	i := f.find(group, key)
	if i < 0 {
		return "", false
	}
	return f.lines[i].value, true
}

// The errors of the typed getters below are ErrNotFound or a [Problem].

// String returns a value with its escapes resolved. A wrong escape is an
// error, and the value returned with it keeps the escape.
func (f *File) String(group, key string) (string, error) {
	raw, ok := f.Value(group, key)
	if !ok {
		return "", ErrNotFound
	}
	parts, err := unescape(raw, 0)
	if err != nil {
		return strings.Join(parts, ""), f.Problem(group, key, "%v", err)
	}
	return strings.Join(parts, ""), nil
}

// List returns the elements of a list, a last separator being optional.
func (f *File) List(group, key string) ([]string, error) {
	raw, ok := f.Value(group, key)
	if !ok {
		return nil, ErrNotFound
	}
	parts, err := unescape(raw, f.separator)
	if err != nil {
		return nil, f.Problem(group, key, "%v", err)
	}
	return parts, nil
}

// Bool returns a value that says true, false, 1 or 0.
func (f *File) Bool(group, key string) (bool, error) {
	raw, ok := f.Value(group, key)
	if !ok {
		return false, ErrNotFound
	}
	switch trimSpace(raw) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, f.Problem(group, key, "neither true nor false")
}

// Int returns a decimal whole number of 32 bits.
func (f *File) Int(group, key string) (int, error) {
	raw, ok := f.Value(group, key)
	if !ok {
		return 0, ErrNotFound
	}
	n, err := strconv.ParseInt(trimSpace(raw), 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, f.Problem(group, key, "number out of range")
	case err != nil:
		return 0, f.Problem(group, key, "not a whole number")
	}
	return int(n), nil
}

// Float returns a finite decimal number with a point.
func (f *File) Float(group, key string) (float64, error) {
	raw, ok := f.Value(group, key)
	if !ok {
		return 0, ErrNotFound
	}
	x, err := strconv.ParseFloat(trimSpace(raw), 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, f.Problem(group, key, "not a number")
	}
	return x, nil
}

// SetString writes any text, escaped.
func (f *File) SetString(group, key, value string) { f.SetValue(group, key, escape(value, 0)) }

// SetBool writes true or false.
func (f *File) SetBool(group, key string, value bool) {
	f.SetValue(group, key, strconv.FormatBool(value))
}

// SetInt writes a decimal number.
func (f *File) SetInt(group, key string, value int) { f.SetValue(group, key, strconv.Itoa(value)) }

// SetList writes every element with a separator behind it.
func (f *File) SetList(group, key string, values []string) {
	f.SetValue(group, key, joinList(values, f.separator))
}

func joinList(values []string, separator byte) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString(escape(v, separator))
		b.WriteByte(separator)
	}
	return b.String()
}

// escape writes s as GLib does: leading blanks and tabs, line breaks and
// backslashes escaped, in lists (separator not 0) the separator too.
func escape(s string, separator byte) string {
	var b strings.Builder
	leading := true
	for i := range len(s) {
		c := s[i]
		switch {
		case c == ' ' && leading:
			b.WriteString(`\s`)
		case c == '\t' && leading:
			b.WriteString(`\t`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\\':
			b.WriteString(`\\`)
		case c == separator && separator != 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
		leading = leading && (c == ' ' || c == '\t' || c == '\n' || c == '\r')
	}
	return b.String()
}

var (
	errEscape = errors.New(`wrong escape (known are \s \n \t \r \\)`)
	errUTF8   = errors.New("not UTF-8")
)

// unescape resolves the escapes of raw and, when separator is not 0, splits it
// there. On a wrong escape it still returns all it can.
func unescape(raw string, separator byte) (parts []string, err error) {
	if !utf8.ValidString(raw) {
		return nil, errUTF8
	}
	var b strings.Builder
	open := false // an element has begun
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == separator && separator != 0:
			parts = append(parts, b.String())
			b.Reset()
			open = false
			continue
		case c != '\\':
			b.WriteByte(c)
		case i+1 == len(raw):
			err = errEscape
		default:
			i++
			if !writeEscaped(&b, raw[i], separator) {
				err = errEscape
			}
		}
		open = true
	}
	if open {
		parts = append(parts, b.String())
	}
	return parts, err
}

func writeEscaped(b *strings.Builder, c, separator byte) bool {
	switch c {
	case 's':
		b.WriteByte(' ')
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case '\\':
		b.WriteByte('\\')
	default:
		if separator != 0 && c == separator {
			b.WriteByte(c)
			return true
		}
		b.WriteByte('\\')
		b.WriteByte(c)
		return false
	}
	return true
}
