package provision

import (
	"fmt"
	"slices"
	"strings"

	"net.connman/pkg/keyfile"
	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/core"
)

const (
	globalGroup = "global"
	entryPrefix = "provider_"

	keyType     = "Type"
	keyNetworks = "Networks"
)

// parser reads files. It knows the providers, for their keys.
type parser struct{ providers []core.Provider }

// parse reads the content of a .config file; name is the file's without its
// ending.
func (p parser) parse(name string, data []byte) ([]core.Spec, []keyfile.Problem) {
	file, problems := keyfile.Parse(data, keyfile.Comma)
	// Nothing is escaped in these files: a backslash is a backslash.
	return p.read(name, file, problems, func(group, key string) (string, error) {
		value, _ := file.Value(group, key)
		return value, nil
	})
}

// parseTOML reads the content of a .toml file.
func (p parser) parseTOML(name string, data []byte) ([]core.Spec, []keyfile.Problem) {
	file, problems := keyfile.ParseTOML(data, keyfile.Comma)
	return p.read(name, file, problems, file.String)
}

func (p parser) read(name string, file *keyfile.File, problems []keyfile.Problem, value func(group, key string) (string, error)) ([]core.Spec, []keyfile.Problem) {
	broken := make(map[string]bool) // groups with a line that was not understood
	for _, problem := range problems {
		broken[problem.Group] = true
	}
	var specs []core.Spec
	for _, group := range file.Groups() {
		g := &groupReader{file: file, name: group, value: value}
		entry, isEntry := strings.CutPrefix(group, entryPrefix)
		switch {
		case group == globalGroup:
			g.unknown([]string{"Name", "Description"})
		case !isEntry || entry == "":
			g.wrong("", "unknown group, neither %s nor %s*", globalGroup, entryPrefix)
		default:
			spec := g.entry(p.providers)
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

// groupReader reads the keys of one group.
type groupReader struct {
	file     *keyfile.File
	name     string
	value    func(group, key string) (string, error)
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
func (g *groupReader) unknown(known []string) {
	for _, key := range g.file.Keys(g.name) {
		if !slices.Contains(known, key) {
			g.wrong(key, "unknown key")
		}
	}
}

func (g *groupReader) has(key string) bool { return g.file.Has(g.name, key) }

// text reads a value without white space around it, "" if there is none.
func (g *groupReader) text(key string) string {
	if !g.has(key) {
		return ""
	}
	v, err := g.value(g.name, key)
	if err != nil {
		g.drop(key, "cannot be read")
	}
	return strings.TrimSpace(v)
}

// checked reads a value that check accepts.
func (g *groupReader) checked(key string, check func(string) error) string {
	v := g.text(key)
	if err := check(v); err != nil {
		g.drop(key, "%v", err)
	}
	return v
}

// entry reads a connection.
func (g *groupReader) entry(providers []core.Provider) core.Spec {
	spec := core.Spec{
		Type: strings.ToLower(g.text(keyType)),
		Name: g.checked(core.PropName, core.CheckName),
		Host: g.checked(core.PropHost, core.CheckHost),
	}
	if g.has(core.PropDomain) {
		spec.Domain = g.checked(core.PropDomain, core.CheckDomain)
	}
	if g.has(core.PropSplitRouting) {
		split, err := g.file.Bool(g.name, core.PropSplitRouting)
		if err != nil {
			g.drop(core.PropSplitRouting, "neither true nor false")
		}
		spec.SplitRouting = split
	}
	provider := g.provider(spec.Type, providers)
	if provider == nil {
		return spec
	}
	keys := core.KeysOf(provider)
	spec.Settings = g.settings(keys)
	spec.Settings.Routes = g.networks()
	known := []string{keyType, core.PropName, core.PropHost, core.PropDomain, core.PropSplitRouting, keyNetworks}
	for _, k := range keys {
		known = append(known, k.Name)
	}
	g.unknown(known)
	if !g.dropped {
		if err := provider.Check(spec.CheckedSettings()); err != nil {
			g.drop("", "%v", err)
		}
	}
	return spec
}

func (g *groupReader) provider(typ string, providers []core.Provider) core.Provider {
	var types []string
	for _, p := range providers {
		if p.Type() == typ {
			return p
		}
		types = append(types, p.Type())
	}
	if typ == "" {
		g.drop("", "has no Type")
	} else {
		g.drop(keyType, "none of %s", strings.Join(types, ", "))
	}
	return nil
}

func (g *groupReader) settings(keys []core.Key) core.Settings {
	s := core.Settings{Text: make(map[string]string), Secrets: make(map[string]logx.Secret)}
	for _, k := range keys {
		v := g.text(k.Name)
		if v == "" {
			continue
		}
		if err := k.CheckValue(v); err != nil {
			g.drop(k.Name, "%v", err)
		}
		if k.Secret {
			s.Secrets[k.Name] = logx.Secret(v)
		} else {
			s.Text[k.Name] = v
		}
	}
	return s
}

func (g *groupReader) networks() []core.Route {
	list := slices.DeleteFunc(strings.Split(g.text(keyNetworks), ","), func(s string) bool { return strings.TrimSpace(s) == "" })
	routes, err := core.ParseNetworks(list, false)
	if err != nil {
		g.drop(keyNetworks, "%v", err)
	}
	return routes
}

// errorOf joins problems for whoever sent a file.
func errorOf(problems []keyfile.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	const most = 5
	var texts []string
	for _, p := range problems[:min(most, len(problems))] {
		texts = append(texts, p.Error())
	}
	if more := len(problems) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w: %s", core.ErrInvalidArguments, strings.Join(texts, "; "))
}
