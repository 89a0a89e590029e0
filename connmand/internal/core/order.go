package core

import (
	"cmp"
	"slices"
	"strings"
)

// sort brings the services into order. It is stable, so that services which
// compare alike stay as the user placed them.
func (m *Manager) sort() {
	if slices.IsSortedFunc(m.services, m.compare) {
		return
	}
	slices.SortStableFunc(m.services, m.compare)
	m.markOrder()
}

// compare orders services: those connected first, among them those whose way
// to the Internet is trusted and which have a router; then those connecting,
// favourites, better technologies, stronger signals, names.
func (m *Manager) compare(a, b *Service) int {
	both := a.state.Connected() && b.state.Connected()
	if both {
		if c := m.compareVPN(a, b); c != 0 {
			return c
		}
		if c := first(!a.online.demoted, !b.online.demoted); c != 0 {
			return c
		}
		if c := first(a.routable(), b.routable()); c != 0 {
			return c
		}
		if c := first(m.preferredTo(a.kind, b.kind), m.preferredTo(b.kind, a.kind)); c != 0 {
			return c
		}
		if c := first(a.state == Online, b.state == Online); c != 0 {
			return c
		}
	}
	if c := first(a.state.Connected(), b.state.Connected()); c != 0 {
		return c
	}
	if c := first(a.state.Connecting(), b.state.Connecting()); c != 0 {
		return c
	}
	if c := first(a.favorite, b.favorite); c != 0 {
		return c
	}
	if c := first(m.preferredTo(a.kind, b.kind), m.preferredTo(b.kind, a.kind)); c != 0 {
		return c
	}
	if c := cmp.Compare(rank(a.kind), rank(b.kind)); c != 0 {
		return c
	}
	if c := cmp.Compare(b.Strength(), a.Strength()); c != 0 {
		return c
	}
	return strings.Compare(a.settings.Name, b.settings.Name)
}

// first puts the one for which the criterion holds first.
func first(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

// rank is the place of a technology where nothing else decides.
func rank(t Type) int {
	return slices.Index([]Type{Ethernet, Wifi, Cellular, Bluetooth, VPN, Gadget}, t)
}

// routable reports whether the service can carry traffic to anywhere.
func (s *Service) routable() bool { return s.ipv4.routable() || s.ipv6.routable() }

// MoveBefore puts the service right before target.
func (s *Service) MoveBefore(target *Service) error { return s.m.move(s, target, true) }

// MoveAfter puts the service right after target.
func (s *Service) MoveAfter(target *Service) error { return s.m.move(s, target, false) }

func (m *Manager) move(s, target *Service, before bool) error {
	switch {
	case !s.favorite:
		return ErrNotSupported
	case target == nil || target == s || !target.favorite || !movable(s, target):
		return ErrInvalidService
	}
	demoted, promoted := target, s
	if !before {
		demoted, promoted = s, target
	}
	if demoted.vpn != nil && !demoted.vpn.splittable() {
		return ErrInvalidService // it would be of no use
	}
	s.userChanged()
	target.save()
	demoted.setSplit(true)
	promoted.setSplit(false)
	from, to := slices.Index(m.services, promoted), slices.Index(m.services, demoted)
	if from+1 == to {
		return nil
	}
	// Whoever becomes the default service shows anew that it is online.
	demoted.downgrade("moved back")
	promoted.downgrade("moved forward")
	m.services = slices.Delete(m.services, from, from+1)
	m.services = slices.Insert(m.services, slices.Index(m.services, demoted), promoted)
	m.markOrder()
	m.settle.order = true
	return nil
}

// movable reports whether two services are in states that can change places:
// where one of them does without a family, the other family must be equally
// far with both.
func movable(a, b *Service) bool {
	off6 := a.settings.IPv6.Method == IPv6Off || b.settings.IPv6.Method == IPv6Off
	return !off6 || a.ipv4.state == b.ipv4.state || a.ipv4.state.Connected() && b.ipv4.state.Connected()
}

// setReady takes families that are online back to ready, without a step
// between.
func (s *Service) setReady(reason string) {
	moved := false
	if s.ipv4.state == Online {
		moved = s.setFamilyState(&s.ipv4.state, Ready, "ipv4", reason)
	}
	if s.ipv6.state == Online {
		moved = s.setFamilyState(&s.ipv6.state, Ready, "ipv6", reason) || moved
	}
	if moved {
		s.updateState(reason)
	}
}

// downgrade takes an online service back to ready.
func (s *Service) downgrade(reason string) {
	s.online.stop()
	s.setReady(reason)
}
