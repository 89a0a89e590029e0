package provision

import (
	"errors"
	"strings"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/keyfile"
)

const (
	globalGroup   = "global"
	servicePrefix = "service_"
)

// Parse reads the content of a .config file; name is the file's without its
// ending.
func Parse(name string, data []byte) ([]core.ServiceSpec, []keyfile.Problem) {
	return read(name)(keyfile.Parse(data, keyfile.Comma))
}

// ParseTOML reads the content of a .toml file.
func ParseTOML(name string, data []byte) ([]core.ServiceSpec, []keyfile.Problem) {
	return read(name)(keyfile.ParseTOML(data, keyfile.Comma))
}

func read(name string) func(*keyfile.File, []keyfile.Problem) ([]core.ServiceSpec, []keyfile.Problem) {
	return func(file *keyfile.File, problems []keyfile.Problem) ([]core.ServiceSpec, []keyfile.Problem) {
		broken := make(map[string]bool) // groups with a line that was not understood
		for _, p := range problems {
			broken[p.Group] = true
		}
		var specs []core.ServiceSpec
		for _, group := range file.Groups() {
			g := &groupReader{file: file, name: group}
			entry, isService := strings.CutPrefix(group, servicePrefix)
			switch {
			case group == globalGroup:
				g.unknown("Name", "Description")
			case !isService || entry == "":
				g.wrong("", "unknown group, neither %s nor %s*", globalGroup, servicePrefix)
			default:
				spec := g.service()
				spec.File, spec.Entry = name, entry
				if broken[group] {
					g.drop("", "left out because a line of it was not understood")
				}
				if !g.dropped {
					specs = append(specs, spec)
				}
			}
			problems = append(problems, g.problems...)
		}
		return specs, problems
	}
}

// groupReader reads the keys of one group.
type groupReader struct {
	file     *keyfile.File
	name     string
	problems []keyfile.Problem
	dropped  bool // the group must not be used
}

func (g *groupReader) wrong(key, format string, args ...any) {
	g.problems = append(g.problems, g.file.Problem(g.name, key, format, args...))
}

func (g *groupReader) drop(key, format string, args ...any) {
	g.wrong(key, format, args...)
	g.dropped = true
}

// unknown reports the keys that are not among known.
func (g *groupReader) unknown(known ...string) {
	isKnown := make(map[string]bool)
	for _, k := range known {
		isKnown[k] = true
	}
	for _, key := range g.file.Keys(g.name) {
		if !isKnown[key] {
			g.wrong(key, "unknown key")
		}
	}
}

func (g *groupReader) has(key string) bool { return g.file.Has(g.name, key) }

// ok notes what is wrong with a value; a missing one is not wrong.
func (g *groupReader) ok(err error) bool {
	if p, is := errors.AsType[keyfile.Problem](err); is {
		g.problems = append(g.problems, p)
		g.dropped = true
	}
	return err == nil
}

// verbatim is a string with the white space behind it, which a passphrase may
// end in.
func (g *groupReader) verbatim(key string) string {
	s, err := g.file.String(g.name, key)
	if !g.ok(err) {
		return ""
	}
	return s
}

func (g *groupReader) text(key string) string { return strings.TrimRight(g.verbatim(key), " \t") }

// list is a list without white space around its elements and without those
// that good refuses.
func (g *groupReader) list(key, what string, good func(string) bool) []string {
	list, err := g.file.List(g.name, key)
	if !g.ok(err) {
		return nil
	}
	var kept []string
	for _, s := range list {
		if s = strings.TrimSpace(s); good(s) {
			kept = append(kept, s)
		} else {
			g.wrong(key, "%q is not %s", s, what)
		}
	}
	return kept
}

// flag takes true and 1; all else is false, as the C implementation has it, and
// reported unless it says so.
func (g *groupReader) flag(key string) bool {
	v, err := g.file.Bool(g.name, key)
	if err != nil && g.has(key) {
		g.wrong(key, "neither true nor false, taken as false")
	}
	return v
}
