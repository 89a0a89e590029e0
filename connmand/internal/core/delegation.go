package core

import (
	"net/netip"
	"slices"
	"time"
)

// sharing reports whether the machine is to share its connection: whether a
// technology that may tether is remembered to do so.
func (m *Manager) sharing() bool {
	return m.cfg.PersistentTethering && slices.ContainsFunc(m.technologies, func(t *Technology) bool {
		return t.powered && t.Settings().Tethering && slices.Contains(m.cfg.Tethering, t.kind)
	})
}

// DelegatedPrefixes returns the prefixes that the service's network left to
// this machine for networks behind it. Their lifetimes count from now.
func (s *Service) DelegatedPrefixes() []DelegatedPrefix {
	v := &s.ipv6
	if v.lease == nil {
		return nil
	}
	list := slices.Clone(v.lease.Prefixes)
	age := s.m.loop.Now().Sub(v.leasedAt)
	for i := range list {
		if p := &list[i]; p.Preferred != Forever {
			p.Preferred = max(p.Preferred-age, 0)
		}
		if p := &list[i]; p.Valid != Forever {
			p.Valid = max(p.Valid-age, 0)
		}
	}
	return list
}

// tellPrefixes logs which prefixes came and went.
func (s *Service) tellPrefixes(before []DelegatedPrefix) {
	has := func(list []DelegatedPrefix, p netip.Prefix) bool {
		return slices.ContainsFunc(list, func(e DelegatedPrefix) bool { return e.Prefix == p })
	}
	now := s.DelegatedPrefixes()
	for _, p := range now {
		if !has(before, p.Prefix) {
			s.m.log.Info("prefix delegated", "service", s.id, "prefix", p.Prefix, "valid", p.Valid.Round(time.Second))
		}
	}
	for _, p := range before {
		if !has(now, p.Prefix) {
			s.m.log.Info("prefix delegated no more", "service", s.id, "prefix", p.Prefix)
		}
	}
}
