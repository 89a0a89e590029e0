package keyfile

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// ParseTOML reads groups (tables) and keys from TOML. Numbers and booleans
// become their plain spelling and arrays become lists; in a group, a table
// inside (IPv6.Privacy = "enabled") makes a key with a dot. TOML that is not
// well-formed as a whole gives an empty File and the problem.
//
// The File is for reading: its Bytes are a key file, not TOML.
func ParseTOML(data []byte, separator byte) (*File, []Problem) {
	t := tomlReader{file: New(separator)}
	var groups map[string]toml.Primitive
	meta, err := toml.Decode(string(data), &groups)
	if err != nil {
		return t.file, []Problem{syntaxProblem(err)}
	}
	t.meta = &meta
	for _, name := range ordered(&meta, nil, groups) {
		t.group(name, groups[name])
	}
	return t.file, t.problems
}

func syntaxProblem(err error) Problem {
	if at, ok := errors.AsType[toml.ParseError](err); ok {
		return Problem{Line: at.Position.Line, Text: at.Message}
	}
	return Problem{Text: err.Error()}
}

type tomlReader struct {
	file     *File
	meta     *toml.MetaData
	problems []Problem
}

// ordered lists the names in table in the order of the file.
func ordered(meta *toml.MetaData, context toml.Key, table map[string]toml.Primitive) []string {
	names := make([]string, 0, len(table))
	for _, k := range meta.Keys() {
		if len(k) > len(context) && slices.Equal(k[:len(context)], context) {
			if name := k[len(context)]; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func (t *tomlReader) group(name string, content toml.Primitive) {
	value, line := t.probe(content)
	var keys map[string]toml.Primitive
	_, ok := value.(map[string]any)
	if !ok || t.meta.PrimitiveDecode(content, &keys) != nil {
		t.problems = append(t.problems, Problem{Line: line, Key: name, Text: "belongs into a group"})
		return
	}
	if !validGroup(name) {
		t.problems = append(t.problems, Problem{Line: line, Text: "invalid group name"})
		return
	}
	t.file.lines = append(t.file.lines, tomlLine(header, name, "", "", line))
	t.table(name, toml.Key{name}, "", keys)
}

// table adds the keys of one table, whose name within the group is prefix.
func (t *tomlReader) table(group string, context toml.Key, prefix string, keys map[string]toml.Primitive) {
	for _, name := range ordered(t.meta, context, keys) {
		value, at := t.probe(keys[name])
		key := prefix + name
		report := func(text string) {
			t.problems = append(t.problems, Problem{Line: at, Group: group, Key: key, Text: text})
		}
		if _, nested := value.(map[string]any); nested {
			var inner map[string]toml.Primitive
			if err := t.meta.PrimitiveDecode(keys[name], &inner); err != nil {
				report("cannot be read")
				continue
			}
			t.table(group, append(slices.Clone(context), name), key+".", inner)
			continue
		}
		raw, ok := rawValue(value, t.file.separator)
		switch {
		case !validKey(key):
			t.problems = append(t.problems, Problem{Line: at, Group: group, Text: "invalid key name"})
		case !ok:
			report("must be a string, a number, true, false or an array of these")
		default:
			t.file.lines = append(t.file.lines, tomlLine(pair, group, key, raw, at))
		}
	}
}

func tomlLine(k kind, group, key, value string, at int) line {
	raw := "[" + group + "]\n"
	if k == pair {
		raw = key + "=" + value + "\n"
	}
	return line{kind: k, raw: raw, group: group, key: key, value: value, at: at}
}

// rawValue spells a TOML value as a key file does.
func rawValue(value any, separator byte) (string, bool) {
	if list, ok := value.([]any); ok {
		texts := make([]string, len(list))
		for i, element := range list {
			if texts[i], ok = plain(element); !ok {
				return "", false
			}
		}
		return joinList(texts, separator), true
	}
	text, ok := plain(value)
	return escape(text, 0), ok
}

func plain(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, !strings.Contains(v, "\x00")
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	}
	return "", false
}

// prober takes a value and fails, because the library tells where a value
// stands only in the error of a failed decoding.
type prober struct{ value any }

var errProbed = errors.New("probed")

func (p *prober) UnmarshalTOML(value any) error {
	p.value = value
	return errProbed
}

// probe returns a value and its line.
func (t *tomlReader) probe(content toml.Primitive) (value any, line int) {
	var p prober
	if at, ok := errors.AsType[toml.ParseError](t.meta.PrimitiveDecode(content, &p)); ok {
		line = at.Position.Line
	}
	return p.value, line
}
