package core

import (
	"fmt"
	"strings"

	"net.connman/pkg/logx"
)

// maxID leaves room for what names of files and D-Bus paths have besides.
const maxID = 200

// Description says what connection to create.
type Description struct {
	Type, Name, Host, Domain string
	SplitRouting             *bool   // nil: not said
	Routes                   []Route // nil: not said
	// Values are the other settings. Unknown ones are passed over.
	Values []Value
}

// Create makes a connection and keeps it. Asked for one that is there, with the
// same host, domain and type, it changes that one's settings, unless a
// provisioning file has them.
func (m *Manager) Create(d Description) (*Connection, error) {
	d.Type = strings.ToLower(d.Type)
	if err := m.check(d); err != nil {
		return nil, err
	}
	id, err := m.identify(d.Host, d.Domain, d.Type)
	if err != nil {
		return nil, err
	}
	c, made := m.Connection(id), false
	switch {
	case c == nil:
		c, made = m.newConnection(id, d.Type), true
		c.host, c.domain = d.Host, d.Domain
	case c.spec != nil:
		m.changes.added(c) // as if it were new: so it always was
		return c, nil
	}
	if err := c.describe(d, made); err != nil {
		return nil, err
	}
	if made {
		m.add(c)
	} else {
		m.changes.added(c)
	}
	c.save()
	return c, nil
}

// check looks at what every connection must have.
func (m *Manager) check(d Description) error {
	if d.Host == "" {
		return fmt.Errorf("%w: Host is missing", ErrInvalidArguments)
	}
	if d.Type == "" || d.Name == "" {
		return fmt.Errorf("%w: Type and Name are needed", ErrNotSupported)
	}
	if err := CheckHost(d.Host); err != nil {
		return fmt.Errorf("%w: Host is %w", ErrInvalidArguments, err)
	}
	if err := CheckName(d.Name); err != nil {
		return fmt.Errorf("%w: Name %w", ErrInvalidArguments, err)
	}
	if d.Domain != "" {
		if err := CheckDomain(d.Domain); err != nil {
			return fmt.Errorf("%w: Domain is %w", ErrInvalidArguments, err)
		}
	}
	k, known := m.kinds[d.Type]
	if !known {
		return fmt.Errorf("%w: there is no VPN type %.100q", ErrNotSupported, d.Type)
	}
	if err := k.provider.Missing(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSupported, err)
	}
	return nil
}

// describe sets what d says. A new connection has no need of a change's news.
func (c *Connection) describe(d Description, made bool) error {
	for _, v := range d.Values {
		if key, known := c.kind.key(v.Key); !known {
			c.m.log.Warn("unknown setting is passed over", "connection", c.id, "key", v.Key)
		} else if v.Text != "" {
			if err := key.CheckValue(v.Text.Reveal()); err != nil {
				return fmt.Errorf("%w: %s %w", ErrInvalidArguments, v.Key, err)
			}
		}
	}
	if len(d.Routes) > MaxRoutes {
		return fmt.Errorf("%w: more than %d routes", ErrInvalidArguments, MaxRoutes)
	}
	if made {
		before := c.m.changes
		defer func() { c.m.changes = before }()
	}
	// All was checked: nothing fails any more.
	for _, own := range [][2]string{{PropName, d.Name}, {PropHost, d.Host}, {PropDomain, d.Domain}} {
		_, _ = c.SetText(own[0], own[1])
	}
	for _, v := range d.Values {
		if key, known := c.kind.key(v.Key); known {
			_, _ = c.setValue(key, v.Text.Reveal())
		}
	}
	if d.SplitRouting != nil {
		c.SetSplitRouting(*d.SplitRouting)
	}
	if d.Routes != nil {
		_, _ = c.SetRoutes(d.Routes)
	}
	return nil
}

// identify returns the identifier for a connection: HOST_DOMAIN, and if one of
// another type has that already, with the type behind it.
func (m *Manager) identify(host, domain, typ string) (string, error) {
	id := identifier(host, domain)
	if c := m.Connection(id); c != nil && c.typ != typ {
		id += "_" + identifier(typ, "")
	}
	if c := m.Connection(id); c != nil && c.typ != typ {
		return "", fmt.Errorf("%w: %s is a connection of another type", ErrAlreadyExists, id)
	}
	if len(id) > maxID {
		return "", fmt.Errorf("%w: Host and Domain are too long", ErrInvalidArguments)
	}
	return id, nil
}

// identifier joins host and domain and replaces what no object's path may have.
func identifier(host, domain string) string {
	if domain != "" {
		host += "_" + domain
	}
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, host)
}

// Remove takes a connection away for good. A provisioning file's goes with the
// file.
func (m *Manager) Remove(id string) error {
	c := m.Connection(id)
	switch {
	case c == nil:
		return ErrNotFound
	case c.spec != nil:
		return ErrPermissionDenied
	}
	m.remove(c)
	m.ports.Storage.Remove(id)
	return nil
}

// restore makes the connection that was kept.
func (m *Manager) restore(s Saved) {
	if _, known := m.kinds[s.Type]; !known {
		m.log.Info("saved connection is left alone", "id", s.ID, "because", "no provider for type "+s.Type)
		return
	}
	c := m.newConnection(s.ID, s.Type)
	c.name, c.host, c.domain, c.split, c.routes = s.Name, s.Host, s.Domain, s.SplitRouting, s.Routes
	for _, v := range s.Values {
		key, known := c.kind.key(v.Key)
		if !known {
			continue
		}
		if err := key.CheckValue(v.Text.Reveal()); err != nil {
			m.log.Warn("wrong setting is left out", "connection", s.ID, "key", v.Key, "err", err)
			continue
		}
		if key.Secret {
			c.secrets[v.Key] = v.Text
		} else {
			c.text[v.Key] = v.Text.Reveal()
		}
	}
	m.connections = append(m.connections, c)
	m.changes.added(c)
}

// take copies settings that were checked.
func (c *Connection) take(s Settings) {
	for key, v := range s.Text {
		assign(c.text, key, v)
	}
	for key, v := range s.Secrets {
		assign(c.secrets, key, logx.Secret(v))
	}
	c.routes = s.Routes
}
