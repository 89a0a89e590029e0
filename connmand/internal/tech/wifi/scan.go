package wifi

import (
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

// While there is no connection an adapter looks for networks, ever more seldom.
const (
	firstScan  = 3 * time.Second
	lastScan   = 5 * time.Minute
	scanFactor = 3
	// scanLimit is when a scan counts as over that nobody said so of.
	scanLimit = 20 * time.Second
)

// scans looks for networks.
type scans struct {
	a       *adapter
	limit   int // SSIDs that one scan can ask for, the empty one included
	offset  int // into the hidden SSIDs, to ask for all of them by turns
	running bool
	waiting []func(error) // for the scan that runs
	next    []func(error) // for the one after it
	ssids   []string      // to ask for then
	over    *loop.Timer

	auto     *loop.Timer
	interval time.Duration // of the scans without a connection, 0 while paused
}

// Scan implements [core.Scanner].
func (a *adapter) Scan(ssids []string, done func(error)) {
	s := &a.scans
	s.next = append(s.next, done)
	s.ssids = append(s.ssids, ssids...)
	s.run()
}

// run starts a scan unless one runs already.
func (s *scans) run() {
	if s.running || len(s.next) == 0 {
		return
	}
	a := s.a
	s.running = true
	s.waiting, s.next = s.next, nil
	about := bus.Dict{
		{Key: supplicant.ScanType, Value: "active"},
		{Key: supplicant.ScanSSIDs, Value: s.targets()},
	}
	opened := a.path
	s.over = a.b.Loop.After("scan limit", scanLimit, func() { s.finish(nil) })
	a.b.Bus.Call(supplicant.InterfaceScanCall(a.owner, a.path, about), func(_ []any, err error) {
		if err != nil && a.path == opened {
			s.finish(err)
		}
	})
}

// targets are the SSIDs to ask for: the empty one, which everybody answers, and
// as many hidden ones as the adapter takes.
func (s *scans) targets() bus.Array {
	all := bus.Array{Elem: "ay", Items: []any{[]byte{}}}
	hidden := s.ssids
	s.ssids = nil
	for i := range min(len(hidden), max(s.limit-1, 0)) {
		all.Items = append(all.Items, []byte(hidden[(s.offset+i)%len(hidden)]))
	}
	if len(hidden) > 0 {
		s.offset = (s.offset + len(all.Items) - 1) % len(hidden)
	}
	return all
}

// scanned hears that a scan, ours or not, is over.
func (a *adapter) scanned() {
	a.device.Scanned()
	if a.scans.running {
		a.scans.finish(nil)
	}
}

func (s *scans) finish(err error) {
	s.over.Stop()
	s.running = false
	waiting := s.waiting
	s.waiting = nil
	for _, done := range waiting {
		done(err)
	}
	s.run()
}

// restart looks for networks at once and then, with background scanning, ever
// more seldom, until pause.
func (s *scans) restart() {
	if s.a.path == "" {
		return
	}
	s.auto.Stop()
	s.interval = firstScan
	s.again()
}

func (s *scans) again() {
	a, opened := s.a, s.a.path
	a.Scan(a.b.Manager.HiddenSSIDs(), func(error) {
		if s.interval == 0 || a.path != opened {
			return
		}
		if !a.b.BackgroundScan {
			return
		}
		s.auto.Stop()
		s.auto = a.b.Loop.After("scan", s.interval, s.again)
		s.interval = min(s.interval*scanFactor, lastScan)
	})
}

// pause ends looking for networks by itself.
func (s *scans) pause() {
	s.auto.Stop()
	s.interval = 0
}

// stop ends everything, because the adapter goes.
func (s *scans) stop() {
	s.pause()
	s.over.Stop()
	waiting := append(s.waiting, s.next...)
	*s = scans{a: s.a}
	for _, done := range waiting {
		done(core.ErrAborted)
	}
}
