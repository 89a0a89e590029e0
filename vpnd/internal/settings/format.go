package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"net.connman/pkg/keyfile"
	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/core"
)

// The keys of every connection. The Domain has another name in files than
// elsewhere.
const (
	keyName       = "Name"
	keyType       = "Type"
	keyHost       = "Host"
	keyDomain     = "VPN.Domain"
	keySplit      = "SplitRouting"
	keyNetworks   = "Networks"
	keyConfigFile = "Config.file"
)

// errProvisioned says that an old version saved what a provisioning file says.
var errProvisioned = errors.New("provisioned")

func (s *Store) read(id string) (core.Saved, error) {
	path := s.path(id)
	data, err := readFile(path)
	if err != nil {
		return core.Saved{}, err
	}
	c, problems, err := parse(id, data)
	for _, p := range problems {
		p.File = path
		s.log.Warn("wrong value in settings is left out", "err", p)
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	case info.Size() > maxFile:
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("too long")}
	}
	return os.ReadFile(path)
}

// parse reads a connection. Of settings that it does not know only that they are
// text is checked here: they are the provider's.
func parse(id string, data []byte) (core.Saved, []keyfile.Problem, error) {
	file, problems := keyfile.Parse(data, keyfile.Semicolon)
	if len(problems) > 0 {
		return core.Saved{}, problems, errors.New("not a key file")
	}
	c := core.Saved{ID: id}
	for _, key := range file.Keys(id) {
		text, err := file.String(id, key)
		if p, wrong := errors.AsType[keyfile.Problem](err); wrong {
			problems = append(problems, p)
			continue
		}
		text = strings.TrimRight(text, " \t")
		switch key {
		case keyName:
			c.Name, err = text, core.CheckName(text)
		case keyType:
			c.Type = strings.ToLower(text)
		case keyHost:
			c.Host, err = text, core.CheckHost(text)
		case keyDomain:
			if text != "" {
				c.Domain, err = text, core.CheckDomain(text)
			}
		case keySplit:
			c.SplitRouting, err = file.Bool(id, key)
		case keyNetworks:
			c.Routes, err = networks(file, id)
		case keyConfigFile:
			return c, problems, errProvisioned
		default:
			c.Values = append(c.Values, core.Value{Key: key, Text: logx.Secret(text)})
		}
		if err != nil {
			problems = append(problems, file.Problem(id, key, "%v", err))
		}
	}
	if c.Name == "" || c.Host == "" || c.Type == "" {
		return c, problems, errors.New("has no Name, Type or Host")
	}
	if core.CheckName(c.Name) != nil || core.CheckHost(c.Host) != nil {
		return c, problems, errors.New("has no valid Name or Host")
	}
	if c.Domain != "" && core.CheckDomain(c.Domain) != nil {
		c.Domain = ""
	}
	return c, problems, nil
}

func networks(file *keyfile.File, id string) ([]core.Route, error) {
	list, err := file.List(id, keyNetworks)
	if err != nil {
		return nil, err
	}
	return core.ParseNetworks(list, true)
}

// write puts a connection into its file. Values without text are taken out.
func write(file *keyfile.File, c core.Saved) {
	order := []string{keyName, keyType, keyHost, keyDomain, core.PropAuthErrorLimit, keySplit, keyNetworks}
	for _, v := range c.Values {
		if v.Key != core.PropAuthErrorLimit {
			order = append(order, v.Key)
		}
	}
	file.Order(order)
	setText(file, c.ID, keyName, c.Name)
	setText(file, c.ID, keyType, c.Type)
	setText(file, c.ID, keyHost, c.Host)
	setText(file, c.ID, keyDomain, c.Domain)
	if c.SplitRouting {
		file.SetBool(c.ID, keySplit, true)
	} else {
		file.Remove(c.ID, keySplit)
	}
	var list []string
	for _, r := range c.Routes {
		list = append(list, r.String())
	}
	if len(list) > 0 {
		file.SetList(c.ID, keyNetworks, list)
	} else {
		file.Remove(c.ID, keyNetworks)
	}
	for _, v := range c.Values {
		setText(file, c.ID, v.Key, v.Text.Reveal())
	}
}

// setText writes a text, or takes the key out when there is none.
func setText(file *keyfile.File, group, key, value string) {
	if value == "" {
		file.Remove(group, key)
		return
	}
	file.SetString(group, key, value)
}
