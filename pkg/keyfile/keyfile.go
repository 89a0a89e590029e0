package keyfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrNotFound says that a file has no such key.
var ErrNotFound = errors.New("not found")

// Problem is something wrong in a file, and where.
type Problem struct {
	File  string // name of the file; "" when only its content was given
	Line  int    // from 1; 0 when no line can be named
	Group string // "" when the line is in no group
	Key   string // "" when the line is no key
	Text  string // what is wrong; never a key's value, which may be secret
}

// Error says where the problem is and what it is.
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ": ")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Group != "" {
		fmt.Fprintf(&b, "[%s] ", p.Group)
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	return b.String() + p.Text
}

type kind int

const (
	other  kind = iota // blank, comment or not understood: kept, not used
	header             // starts a group
	pair               // a key with its value
)

type line struct {
	kind  kind
	raw   string // the whole line with its ending
	group string // the group that the line is in or starts
	key   string
	value string // as written, escapes and all
	at    int    // line number in the file that was read, 0 for new lines
}

// File is the content of a key file.
type File struct {
	separator byte
	lines     []line
	order     []string
}

// Semicolon and Comma are the list separators in use: state files have the
// first, configuration the second.
const (
	Semicolon byte = ';'
	Comma     byte = ','
)

// New returns an empty file whose lists are written with separator.
func New(separator byte) *File { return &File{separator: separator} }

// Order says in what order the keys of a group are written: a new key goes
// behind the one that comes before it here and is present, or to the top.
func (f *File) Order(keys []string) { f.order = keys }

// Parse reads a key file. It always returns a usable File; the problems tell
// which lines were not understood. Such lines are kept but never used.
func Parse(data []byte, separator byte) (*File, []Problem) {
	f := New(separator)
	var problems []Problem
	group, inGroup := "", false
	for number := 1; len(data) > 0; number++ {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			end = len(data)
		}
		l, err := parseLine(string(data[:end]))
		data = data[end:]
		if err == nil && l.kind == pair && !inGroup {
			l.kind, err = other, errors.New("in no group")
		}
		if l.kind == header {
			group, inGroup = l.group, true
		}
		// Keys behind a broken group header must not end up in the group above.
		if err != nil && strings.HasPrefix(trimSpace(l.raw), "[") {
			group, inGroup = "", false
		}
		l.group, l.at = group, number
		f.lines = append(f.lines, l)
		if err != nil {
			problems = append(problems, Problem{Line: number, Group: group, Text: err.Error()})
		}
	}
	return f, problems
}

func parseLine(raw string) (line, error) {
	l := line{raw: raw}
	text := strings.TrimSuffix(strings.TrimSuffix(raw, "\n"), "\r")
	if !strings.HasSuffix(raw, "\n") {
		text = raw // GLib takes a carriage return at the very end as value
	}
	text = strings.TrimLeft(text, space)
	switch {
	case text == "" || text[0] == '#':
		return l, nil
	case strings.IndexByte(text, 0) >= 0:
		return l, errors.New("a NUL byte does not belong into a text file")
	case text[0] == '[':
		return parseHeader(l, text)
	}
	key, value, found := strings.Cut(text, "=")
	key = strings.TrimRight(key, space)
	switch {
	case !found || key == "":
		return l, errors.New("neither a group nor a key=value nor a comment")
	case !validKey(key):
		return l, errors.New("invalid key name")
	}
	l.kind, l.key, l.value = pair, key, strings.TrimLeft(value, space)
	return l, nil
}

func parseHeader(l line, text string) (line, error) {
	name, rest, found := strings.Cut(text[1:], "]")
	switch {
	case !found || strings.Trim(rest, " \t") != "":
		return l, errors.New("neither a group nor a key=value nor a comment")
	case !validGroup(name):
		return l, errors.New("invalid group name")
	}
	l.kind, l.group = header, name
	return l, nil
}

// space is what GLib takes for white space.
const space = " \t\n\r\f"

func trimSpace(s string) string { return strings.Trim(s, space) }

func validGroup(name string) bool {
	return name != "" && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r == '[' || r == ']' || r < ' ' || r == 0x7f })
}

// validKey accepts a name, followed by a locale in brackets if need be.
func validKey(key string) bool {
	name, locale, translated := strings.Cut(key, "[")
	if name == "" || !utf8.ValidString(key) || strings.ContainsAny(name, "]=") || trimSpace(name) != name {
		return false
	}
	if !translated {
		return true
	}
	locale, closed := strings.CutSuffix(locale, "]")
	return closed && !strings.ContainsFunc(locale, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@", r)
	})
}

// Bytes returns the file as it is to be written.
func (f *File) Bytes() []byte {
	var b bytes.Buffer
	for _, l := range f.lines {
		b.WriteString(l.raw)
	}
	return b.Bytes()
}

// Groups lists the groups in the order of their first appearance.
func (f *File) Groups() []string {
	var groups []string
	for _, l := range f.lines {
		if l.kind == header && !slices.Contains(groups, l.group) {
			groups = append(groups, l.group)
		}
	}
	return groups
}

// Keys lists the keys of a group, each once.
func (f *File) Keys(group string) []string {
	var keys []string
	for _, l := range f.lines {
		if l.kind == pair && l.group == group && !slices.Contains(keys, l.key) {
			keys = append(keys, l.key)
		}
	}
	return keys
}

// HasGroup reports whether there is such a group, empty or not.
func (f *File) HasGroup(group string) bool {
	return slices.ContainsFunc(f.lines, func(l line) bool { return l.kind == header && l.group == group })
}

// Has reports whether group has key.
func (f *File) Has(group, key string) bool { return f.find(group, key) >= 0 }

// Line is the number of the line that says key, or that starts group when key
// is "". It is 0 for what was not read from a file.
func (f *File) Line(group, key string) int {
	if key != "" {
		if i := f.find(group, key); i >= 0 {
			return f.lines[i].at
		}
		return 0
	}
	for _, l := range f.lines {
		if l.kind == header && l.group == group {
			return l.at
		}
	}
	return 0
}

// Problem makes a problem of a key, or with key "" of a group, of this file.
func (f *File) Problem(group, key, format string, args ...any) Problem {
	return Problem{Line: f.Line(group, key), Group: group, Key: key, Text: fmt.Sprintf(format, args...)}
}

// find returns the line that counts for key: of several the last, as in GLib.
func (f *File) find(group, key string) int {
	for i := len(f.lines) - 1; i >= 0; i-- {
		if l := &f.lines[i]; l.kind == pair && l.group == group && l.key == key {
			return i
		}
	}
	return -1
}

// SetValue writes value as it is, which must be in one line and escaped. An
// existing key keeps its place and the spaces around its =; a new one goes
// where Order says, or behind the last key of its group.
func (f *File) SetValue(group, key, value string) {
	if i := f.find(group, key); i >= 0 {
		l := &f.lines[i]
		if l.value != value {
			end := ending(l.raw)
			prefix := strings.TrimSuffix(strings.TrimSuffix(l.raw, end), l.value)
			l.raw, l.value = prefix+value+end, value
		}
		return
	}
	f.insert(f.placeFor(group, key), line{kind: pair, raw: key + "=" + value + "\n", group: group, key: key, value: value})
}

// placeFor returns where to add key to group, which it adds if need be.
func (f *File) placeFor(group, key string) int {
	if ordered := slices.Index(f.order, key); ordered >= 0 {
		for before := ordered - 1; before >= 0; before-- {
			if i := f.find(group, f.order[before]); i >= 0 {
				return i + 1
			}
		}
		if i := slices.IndexFunc(f.lines, func(l line) bool { return l.kind == header && l.group == group }); i >= 0 {
			return i + 1
		}
	}
	for i := len(f.lines) - 1; i >= 0; i-- {
		if l := &f.lines[i]; l.group == group && l.kind != other {
			return i + 1
		}
	}
	if n := len(f.lines); n > 0 {
		f.insert(n, line{raw: "\n"})
	}
	f.insert(len(f.lines), line{kind: header, raw: "[" + group + "]\n", group: group})
	return len(f.lines)
}

func (f *File) insert(at int, l line) {
	if at > 0 && !strings.HasSuffix(f.lines[at-1].raw, "\n") {
		f.lines[at-1].raw += "\n"
	}
	f.lines = slices.Insert(f.lines, at, l)
}

// Remove takes a key out, however often it is there.
func (f *File) Remove(group, key string) {
	f.lines = slices.DeleteFunc(f.lines, func(l line) bool {
		return l.kind == pair && l.group == group && l.key == key
	})
}

// ending is the line ending of raw as parseLine saw it.
func ending(raw string) string {
	switch {
	case strings.HasSuffix(raw, "\r\n"):
		return "\r\n"
	case strings.HasSuffix(raw, "\n"):
		return "\n"
	}
	return ""
}
