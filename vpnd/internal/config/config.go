package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"net.connman/pkg/keyfile"
	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/core"
)

// Config is all that the configuration says.
type Config struct {
	core.Config

	// ExitWhenIdle is after how long without use the daemon ends; 0 means never.
	ExitWhenIdle time.Duration

	identity  proc.Identity
	overrides map[string]proc.Identity // by type
}

// Identity is who the programs of a type of VPN run as.
func (c Config) Identity(typ string) proc.Identity {
	id, over := c.identity, c.overrides[typ]
	if over.User != "" {
		id.User = over.User
	}
	if over.Group != "" {
		id.Group = over.Group
	}
	if over.Groups != nil {
		id.Groups = over.Groups
	}
	return id
}

// Default is the configuration without a file.
func Default() Config {
	return Config{Config: core.Config{InputRequestTimeout: 300 * time.Second}}
}

const (
	mainName    = "connman-vpn"
	overrideDir = "vpn-plugin"
	confEnding  = ".conf"
	tomlEnding  = ".toml"
)

// DefaultPath is the file to read from dir when the user named none.
func DefaultPath(dir string) string { return choose(filepath.Join(dir, mainName)) }

// choose returns path with the ending .conf, or .toml where only that is there.
func choose(path string) string {
	if _, err := os.Stat(path + confEnding); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(path + tomlEnding); err == nil {
			return path + tomlEnding
		}
	}
	return path + confEnding
}

// Load reads the file at path, and from the directory vpn-plugin in dir what
// types of VPN have of their own. Names that end in .toml are TOML. The Config is
// always usable. A missing file is no problem.
func Load(path, dir string, types []string) (Config, []keyfile.Problem) {
	c := Default()
	problems := load(path, func(file *keyfile.File) []keyfile.Problem { return c.read(file) })
	c.overrides = make(map[string]proc.Identity)
	for _, typ := range types {
		path := choose(filepath.Join(dir, overrideDir, typ))
		problems = append(problems, load(path, func(file *keyfile.File) []keyfile.Problem {
			r := reader{file: file}
			r.known(privileges, identityKeys...)
			c.overrides[typ] = r.identity()
			return r.problems
		})...)
	}
	return c, problems
}

func load(path string, read func(*keyfile.File) []keyfile.Problem) []keyfile.Problem {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return []keyfile.Problem{{File: path, Text: fmt.Sprintf("cannot be read: %v", err)}}
	}
	parse := keyfile.Parse
	if strings.HasSuffix(path, tomlEnding) {
		parse = keyfile.ParseTOML
	}
	file, problems := parse(data, keyfile.Comma)
	problems = append(problems, read(file)...)
	for i := range problems {
		problems[i].File = path
	}
	return problems
}

// The groups and keys.
const (
	general      = "General"
	keyTimeout   = "InputRequestTimeout"
	keyExit      = "ExitWhenIdle"
	privileges   = "DACPrivileges"
	keyUser      = "User"
	keyGroup     = "Group"
	keyMoreGroup = "SupplementaryGroups"
)

var identityKeys = []string{keyUser, keyGroup, keyMoreGroup}

// read takes over what the main file says.
func (c *Config) read(file *keyfile.File) []keyfile.Problem {
	r := reader{file: file}
	r.known(general, keyTimeout, keyExit)
	r.known(privileges, identityKeys...)
	r.seconds(keyTimeout, 1, &c.InputRequestTimeout)
	r.seconds(keyExit, 0, &c.ExitWhenIdle)
	c.identity = r.identity()
	return r.problems
}

// reader reads values. One that is wrong is reported and leaves the default.
type reader struct {
	file     *keyfile.File
	groups   []string // known ones
	problems []keyfile.Problem
}

func (r *reader) wrong(group, key, format string, args ...any) {
	r.problems = append(r.problems, r.file.Problem(group, key, format, args...))
}

// known reports the keys of a group that are not among keys, and the groups
// that nobody knows, once all are declared.
func (r *reader) known(group string, keys ...string) {
	r.groups = append(r.groups, group)
	for _, key := range r.file.Keys(group) {
		if !slices.Contains(keys, key) {
			r.wrong(group, key, "unknown key")
		}
	}
}

func (r *reader) ok(err error) bool {
	if p, is := errors.AsType[keyfile.Problem](err); is {
		r.problems = append(r.problems, p)
	}
	return err == nil
}

func (r *reader) seconds(key string, least int, to *time.Duration) {
	n, err := r.file.Int(general, key)
	switch {
	case !r.ok(err):
	case n < least:
		r.wrong(general, key, "less than %d", least)
	default:
		*to = time.Duration(n) * time.Second
	}
}

// identity reads who programs run as, and ends the reading.
func (r *reader) identity() proc.Identity {
	for _, group := range r.file.Groups() {
		if !slices.Contains(r.groups, group) {
			r.wrong(group, "", "unknown group")
		}
	}
	id := proc.Identity{User: r.account(keyUser), Group: r.account(keyGroup)}
	list, err := r.file.List(privileges, keyMoreGroup)
	if r.ok(err) {
		id.Groups = []string{}
	}
	for _, name := range list {
		if name = strings.TrimSpace(name); r.accountOK(keyMoreGroup, name) {
			id.Groups = append(id.Groups, name)
		}
	}
	return id
}

func (r *reader) account(key string) string {
	name, err := r.file.String(privileges, key)
	if name = strings.TrimSpace(name); !r.ok(err) || !r.accountOK(key, name) {
		return ""
	}
	return name
}

// accountOK reports whether name may be that of a user or a group. Whether there
// is one shows when a program is started.
func (r *reader) accountOK(key, name string) bool {
	strange := func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) || c == ':' || c == '/' }
	if name == "" || strings.ContainsFunc(name, strange) {
		r.wrong(privileges, key, "not the name or number of an account")
		return false
	}
	return true
}
