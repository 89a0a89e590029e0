package core

import (
	"fmt"
	"maps"
	"slices"
)

// SetSpecs makes the provisioned connections those that specs say. One whose
// specification changed is made anew.
func (m *Manager) SetSpecs(specs []Spec) {
	if m.stopped != nil {
		return
	}
	for _, c := range slices.Clone(m.connections) {
		if c.spec != nil && !slices.ContainsFunc(specs, func(s Spec) bool { return s.Equal(*c.spec) }) {
			m.remove(c)
		}
	}
	for _, s := range specs {
		if m.Provisioned(s.File, s.Entry) != nil {
			continue
		}
		if err := m.provision(s); err != nil {
			m.log.Warn("cannot provision", "file", s.File, "entry", s.Entry, "err", err)
		}
	}
}

// Provisioned returns the connection that a provisioning file's entry made, or
// nil.
func (m *Manager) Provisioned(file, entry string) *Connection {
	for _, c := range m.connections {
		if c.spec != nil && c.spec.File == file && c.spec.Entry == entry {
			return c
		}
	}
	return nil
}

func (m *Manager) provision(s Spec) error {
	id, err := m.identify(s.Host, s.Domain, s.Type)
	if err != nil {
		return err
	}
	if _, known := m.kinds[s.Type]; !known {
		return fmt.Errorf("%w: there is no VPN type %.100q", ErrNotSupported, s.Type)
	}
	if m.Connection(id) != nil {
		return fmt.Errorf("%w: a connection of this type with the same Host and Domain", ErrAlreadyExists)
	}
	c := m.newConnection(id, s.Type)
	c.spec = &s
	c.name, c.host, c.domain, c.split = s.Name, s.Host, s.Domain, s.SplitRouting
	c.take(s.Settings)
	m.add(c)
	return nil
}

// Equal reports whether both specify the same, of the same file and entry.
func (s Spec) Equal(o Spec) bool {
	return s.File == o.File && s.Entry == o.Entry && s.Type == o.Type && s.Name == o.Name && s.Host == o.Host &&
		s.Domain == o.Domain && s.SplitRouting == o.SplitRouting && slices.Equal(s.Settings.Routes, o.Settings.Routes) &&
		maps.Equal(s.Settings.Text, o.Settings.Text) && maps.Equal(s.Settings.Secrets, o.Settings.Secrets)
}

// KeysOf are the settings that connections of a provider have, beyond those that
// [Spec] and [Saved] name.
func KeysOf(p Provider) []Key { return append([]Key{authErrorLimit}, p.Keys()...) }

// CheckedSettings are the settings as the provider gets them.
func (s Spec) CheckedSettings() Settings { return withOwn(s.Settings, s.Name, s.Host, s.Domain) }

// withOwn adds what every connection has, and leaves s as it is.
func withOwn(s Settings, name, host, domain string) Settings {
	s.Text = maps.Clone(s.Text)
	s.Text[PropName], s.Text[PropHost], s.Text[PropDomain] = name, host, domain
	return s
}
