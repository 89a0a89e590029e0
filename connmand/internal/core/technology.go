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
	despite   bool // switched on by hand during OfflineMode
}

// powerChange is a change of power that some caller waits for.
type powerChange struct {
	on      bool
	waiting int // devices that have not answered
	err     error
	blocked bool // the radios, as they are not wanted
	done    func(error)
	timeout *loop.Timer
}

// hidden reports whether users see nothing of the technology: that of VPNs is
// there with the daemon that looks after them, and goes on and off with the
// offline mode.
func (t *Technology) hidden() bool { return t.kind == VPN }

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
			Enable: slices.Contains(m.cfg.DefaultEnabled, kind) || t.hidden(),
		}
		m.globalDirty = !t.hidden()
	}
	m.technologies = append(m.technologies, t)
	if t.hidden() {
		return t
	}
	m.changes = append(m.changes, Change{Kind: TechnologyAdded, Technology: t})
	return t
}

// SetPowered switches all devices of the technology and remembers the wish, also
// where nothing is left to switch; done hears how it went once they answered.
// Switched on by hand it stays so during OfflineMode.
func (t *Technology) SetPowered(on bool, done func(error)) {
	switch {
	case t.radio().Hard:
		done(ErrPermissionDenied)
		return
	case t.power != nil:
		done(ErrInProgress)
		return
	}
	t.remember(on)
	switch {
	case t.powered == on && on:
		done(ErrAlreadyEnabled)
	case t.powered == on:
		done(ErrAlreadyDisabled)
	default:
		t.switchPower(on, done)
	}
}

// remember keeps the user's wish for this and for later runs.
func (t *Technology) remember(on bool) {
	t.despite = on && t.m.global.OfflineMode
	settings := t.Settings()
	if settings.Enable != on {
		settings.Enable = on
		t.m.global.Technologies[t.kind] = settings
		t.m.globalDirty = true
	}
}

// wish is whether the technology is to be on.
func (t *Technology) wish() bool {
	return t.Settings().Enable && (!t.m.global.OfflineMode || t.despite)
}

// wanted is whether the technology should be on, all told.
func (t *Technology) wanted() bool { return t.wish() && !t.radio().blocked() }

// applyPower brings the devices to the wanted power.
func (t *Technology) applyPower() {
	if t.power == nil && t.powered != t.wanted() {
		t.switchPower(t.wanted(), func(error) {})
	}
}

// able is whether the technology can be as it is to be, for the switches that no
// program can turn.
func (t *Technology) able() bool { return t.wish() && !t.radio().Hard }

// applyWish brings the devices to the power that is to be, and with it the
// switches that a program can turn.
func (t *Technology) applyWish() {
	if t.power == nil && t.powered != t.able() {
		t.switchPower(t.able(), func(error) {})
	}
}

func (t *Technology) switchPower(on bool, done func(error)) {
	p := &powerChange{on: on, done: done}
	t.power = p
	p.timeout = t.m.loop.After("power timeout", powerTimeout, func() {
		// The devices may be slow, but what they end up with counts.
		answer := p.done
		p.done = func(error) {}
		answer(ErrTimeout)
	})
	end := func(err error) { t.endPower(p, err) }
	switch r := t.radio(); {
	case on && r.Soft:
		t.block(false, func(err error) {
			if err != nil || t.power != p {
				end(err)
				return
			}
			t.switchDevices(p, end)
		})
	case !on && r.Switches > 0 && !r.blocked() && !t.wish():
		t.switchDevices(p, func(err error) {
			if err != nil || t.power != p {
				end(err)
				return
			}
			p.blocked = true
			t.block(true, end)
		})
	default:
		t.switchDevices(p, end)
	}
}

// switchDevices switches all devices; done hears when they have answered.
func (t *Technology) switchDevices(p *powerChange, done func(error)) {
	p.waiting = 1
	answered := func(err error) {
		if err != nil {
			p.err = err
		}
		if p.waiting--; p.waiting == 0 {
			done(p.err)
		}
	}
	for _, d := range t.devices {
		p.waiting++
		d.setPowered(p.on, answered)
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
	switch { // the wish may have changed meanwhile
	case err != nil:
	case p.blocked:
		t.applyWish()
	default:
		t.applyPower()
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
