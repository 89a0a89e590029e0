package acd

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"net.connman/connmand/internal/core"
)

// The times of RFC 5227, 1.1.
const (
	probeWait        = time.Second
	probeNum         = 3
	probeMin         = time.Second
	probeMax         = 2 * time.Second
	announceWait     = 2 * time.Second
	announceNum      = 2
	announceInterval = 2 * time.Second
	defendInterval   = 10 * time.Second
)

type state uint8

const (
	idle      state = iota
	probing         // asks whether anybody has the address
	defending       // has the address
	ended           // lost it
)

// event is what happens to a machine.
type event interface{ machineEvent() }

type (
	begin struct{}
	tick  struct{} // the time that next holds has come
	heard struct{ arp arp }
)

func (begin) machineEvent() {}
func (tick) machineEvent()  {}
func (heard) machineEvent() {}

// action is what a machine wants done.
type action interface{ machineAction() }

type (
	send   struct{ arp arp } // to all stations
	report struct{ event core.ConflictEvent }
)

func (send) machineAction()   {}
func (report) machineAction() {}

// machine watches one address on one link.
type machine struct {
	self    core.HardwareAddr
	address netip.Addr
	rand    *rand.Rand

	state    state
	sent     int       // probes, then announcements
	next     time.Time // of the next tick; zero: never
	defended time.Time // when the address was last defended; zero: never
}

// Step tells the machine what happened and returns what to do about it.
func (m *machine) Step(now time.Time, e event) []action {
	switch e := e.(type) {
	case begin:
		if m.state == idle {
			m.state = probing
			m.next = now.Add(m.within(0, probeWait))
		}
	case tick:
		if !m.next.IsZero() && !now.Before(m.next) {
			return m.tick(now)
		}
	case heard:
		return m.hear(now, e.arp)
	}
	return nil
}

func (m *machine) tick(now time.Time) []action {
	switch {
	case m.state == probing && m.sent < probeNum:
		m.sent++
		m.next = now.Add(announceWait)
		if m.sent < probeNum {
			m.next = now.Add(m.within(probeMin, probeMax))
		}
		return []action{send{arp{sender: m.self, senderIP: netip.IPv4Unspecified(), targetIP: m.address}}}
	case m.state == probing:
		m.state, m.sent = defending, 1
		m.next = now.Add(announceInterval)
		return []action{m.announcement(), report{core.AddressFree{}}}
	default:
		m.next = time.Time{}
		if m.sent++; m.sent < announceNum {
			m.next = now.Add(announceInterval)
		}
		return []action{m.announcement()}
	}
}

// hear looks for a conflict: somebody uses the address, or while it is probed
// somebody else probes it too (RFC 5227, 2.1.1 and 2.4). A lone conflict is
// answered with an announcement; the second within the interval ends the use.
func (m *machine) hear(now time.Time, a arp) []action {
	uses := a.senderIP == m.address
	probes := m.state == probing && a.senderIP.IsUnspecified() && a.targetIP == m.address
	if a.sender == m.self || !uses && !probes {
		return nil
	}
	switch {
	case m.state == defending && (m.defended.IsZero() || now.Sub(m.defended) >= defendInterval):
		m.defended = now
		return []action{m.announcement()}
	case m.state == probing || m.state == defending:
		m.state, m.next = ended, time.Time{}
		return []action{report{core.AddressTaken{Conflict: core.Conflict{Address: m.address, Holder: a.sender}}}}
	}
	return nil
}

func (m *machine) announcement() action {
	return send{arp{sender: m.self, senderIP: m.address, targetIP: m.address}}
}

func (m *machine) within(least, most time.Duration) time.Duration {
	return least + time.Duration(m.rand.Int64N(int64(most-least)))
}
