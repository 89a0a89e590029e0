package core

import (
	"slices"
	"time"

	"net.connman/pkg/loop"
)

// The wait before a failed service is tried again doubles from the first to
// the last of these.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
)

// retry tries a failed service again.
type retry struct {
	s     *Service
	wait  time.Duration
	timer *loop.Timer
}

func (r *retry) schedule() {
	if !r.s.wanted() {
		return
	}
	first, last := firstRetry, lastRetry
	if r.s.access.rejected {
		first, last = firstRejectedRetry, lastRejectedRetry
	}
	r.wait = min(max(first, 2*r.wait), last)
	r.timer.Stop()
	// From then on it is one of those that connect by themselves when they may.
	r.timer = r.s.m.loop.After("retry "+r.s.id, r.wait, func() {
		r.s.ClearError()
		r.s.m.autoConnect()
	})
}

// Resumed has every service tried again at once that failed, networks looked for
// and the way to the Internet checked: the machine slept and may be somewhere else
// now.
func (m *Manager) Resumed() {
	for _, s := range m.services {
		if s.state == Failed && s.wanted() {
			s.retry.reset()
			s.ClearError()
		}
		if s.state.Connected() {
			s.online.again()
		}
	}
	m.autoConnect()
	m.look()
}

func (r *retry) stop() { r.timer.Stop() }

func (r *retry) reset() {
	r.timer.Stop()
	r.wait = 0
}

// autoConnect has the services looked at that connect by themselves, once at
// the end of the turn.
func (m *Manager) autoConnect() { m.settle.autoConnect = true }

func (m *Manager) runAutoConnect() {
	for _, s := range m.services {
		if s.state == Idle && s.wanted() && s.network.device.powered && m.mayAutoConnect(s) {
			if err := s.connect(reasonAuto); err != nil {
				m.log.Debug("not connected by itself", "service", s.id, "because", err)
			}
		}
	}
}

// mayAutoConnect reports whether s may connect beside what is connected now.
// Wires always may, unless only one service is to be connected; of the rest,
// the technologies that are always connected, those preferred to all that are
// connected, and anything while nothing else is.
func (m *Manager) mayAutoConnect(s *Service) bool {
	switch {
	case s.vpn != nil:
		return m.mayTunnel(s)
	case s.kind == Wifi && s.deviceBusy():
		return false
	}
	if !m.cfg.SingleConnected {
		if s.kind == Ethernet || s.kind == Gadget || slices.Contains(m.cfg.AlwaysConnected, s.kind) {
			return true
		}
	}
	return !slices.ContainsFunc(m.services, func(o *Service) bool {
		busy := o.state.Connected() || o.state.Connecting()
		return busy && o.vpn == nil && !m.preferredTo(s.kind, o.kind)
	})
}

// preferredTo reports whether PreferredTechnologies puts a before b.
func (m *Manager) preferredTo(a, b Type) bool {
	if a == b {
		return false
	}
	for _, t := range m.cfg.Preferred {
		switch t {
		case a:
			return true
		case b:
			return false
		}
	}
	return false
}

// disconnectOthers leaves keep as the only connected service.
func (m *Manager) disconnectOthers(keep *Service) {
	for _, o := range slices.Clone(m.services) {
		if o != keep && o.vpn == nil && o.state.Connected() {
			o.leave("only one service is to be connected", func() {})
		}
	}
}
