package core

import (
	"slices"
	"time"

	"net.connman/pkg/loop"
)

// powerTimeout is how long a caller waits for a technology to change power.
const powerTimeout = 10 * time.Second

// Technology is one kind of network hardware, all its devices together.
type Technology struct {
	m         *Manager
	kind      Type
	devices   []*Device
	powered   bool
	connected bool
	marks     marks
	power     *powerChange
}

// powerChange is a change of power that some caller waits for.
type powerChange struct {
	on      bool
	waiting int // devices that have not answered
	err     error
	done    func(error)
	timeout *loop.Timer
}

// Type returns the technology's type.
func (t *Technology) Type() Type { return t.kind }

// Powered reports whether its devices are switched on.
func (t *Technology) Powered() bool { return t.powered }

// Connected reports whether a service of it is connected.
func (t *Technology) Connected() bool { return t.connected }

// Settings returns what is remembered of the technology.
func (t *Technology) Settings() TechnologySettings { return t.m.global.Technologies[t.kind] }

// AddTechnology returns the technology of type kind and makes it when it is
// new.
func (m *Manager) AddTechnology(kind Type) *Technology {
	if t := m.Technology(kind); t != nil {
		return t
	}
	t := &Technology{m: m, kind: kind}
	if _, known := m.global.Technologies[kind]; !known {
		m.global.Technologies[kind] = TechnologySettings{
			Enable: slices.Contains(m.cfg.DefaultEnabled, kind),
		}
		m.globalDirty = true
	}
	m.technologies = append(m.technologies, t)
	m.changes = append(m.changes, Change{Kind: TechnologyAdded, Technology: t})
	return t
}

// SetPowered switches all devices of the technology and remembers the wish;
// done hears how it went once they answered.
func (t *Technology) SetPowered(on bool, done func(error)) {
	switch {
	case t.power != nil:
		done(ErrInProgress)
		return
	case t.powered == on && on:
		done(ErrAlreadyEnabled)
		return
	case t.powered == on:
		done(ErrAlreadyDisabled)
		return
	}
	settings := t.Settings()
	settings.Enable = on
	t.m.global.Technologies[t.kind] = settings
	t.m.globalDirty = true
	t.switchPower(on, done)
}

// wanted is whether the technology should be on, all told.
func (t *Technology) wanted() bool {
	return t.Settings().Enable && !t.m.global.OfflineMode
}

// applyPower brings the devices to the wanted power.
func (t *Technology) applyPower(done func(error)) {
	if t.power == nil && t.powered != t.wanted() {
		t.switchPower(t.wanted(), done)
	}
}

func (t *Technology) switchPower(on bool, done func(error)) {
	p := &powerChange{on: on, waiting: 1, done: done}
	t.power = p
	p.timeout = t.m.loop.After("power timeout", powerTimeout, func() {
		// The devices may be slow, but what they end up with counts.
		answer := p.done
		p.done = func(error) {}
		answer(ErrTimeout)
	})
	answered := func(err error) {
		if err != nil {
			p.err = err
		}
		if p.waiting--; p.waiting == 0 {
			t.endPower(p, p.err)
		}
	}
	for _, d := range t.devices {
		p.waiting++
		d.setPowered(on, answered)
	}
	answered(nil)
}

func (t *Technology) endPower(p *powerChange, err error) {
	if t.power != p {
		return
	}
	p.timeout.Stop()
	t.power = nil
	if err == nil {
		t.setPowered(p.on)
	}
	p.done(err)
	if err == nil {
		t.applyPower(func(error) {}) // the wish may have changed meanwhile
	}
}

func (t *Technology) setPowered(on bool) {
	if t.powered != on {
		t.powered = on
		t.mark(PropPowered)
	}
}

func (t *Technology) updateConnected() {
	connected := slices.ContainsFunc(t.m.services, func(s *Service) bool {
		return s.kind == t.kind && s.state.Connected()
	})
	if connected != t.connected {
		t.connected = connected
		t.mark(PropConnected)
	}
}
