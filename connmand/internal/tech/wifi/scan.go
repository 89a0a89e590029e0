package wifi

import (
	"errors"
	"slices"
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
	// glances is how often about, from one scan of all channels to the next, those
	// few are looked at where known networks were: what was lost comes back there.
	glances = 10
	// scanLimit is when a scan counts as over that nobody said so of, quickLimit
	// the same for one of few channels.
	scanLimit  = 20 * time.Second
	quickLimit = 3 * time.Second
	// quickChannels is how many channels may be looked at first: a radio needs a
	// tenth of a second for each, ten times that for all.
	quickChannels = 4
	// quickPause is how long what a quick scan has found may take to become a
	// service that connects, before all channels are looked at.
	quickPause = 500 * time.Millisecond
	// fresh is how long the supplicant takes what was heard for true (its
	// SCAN_RES_VALID_FOR_CONNECT is 5 s), less the way there.
	fresh = 4 * time.Second
	// width is that of the channels that beacons are on, in MHz.
	width = 20
)

// scans looks for networks.
type scans struct {
	a       *adapter
	limit   int // SSIDs that one scan can ask for, the empty one included
	offset  int // into the hidden SSIDs, to ask for all of them by turns
	running bool
	looked  []int         // the frequencies of the last scan, none for all
	last    time.Time     // when it was over
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
	s.waiting, s.next = s.next, nil
	s.begin(s.targets(), nil, scanLimit)
}

// quick looks at some channels only, unless a scan runs already.
func (s *scans) quick(ssid string, frequencies []int, done func()) {
	if s.running || len(frequencies) == 0 {
		done()
		return
	}
	targets := bus.Array{Elem: "ay", Items: []any{[]byte{}}}
	if ssid != "" && s.limit > 1 {
		targets.Items = append(targets.Items, []byte(ssid))
	}
	s.waiting = []func(error){func(error) { done() }}
	s.begin(targets, frequencies[:min(len(frequencies), quickChannels)], quickLimit)
}

// refresh makes sure that the network was heard a moment ago, if it can be.
func (s *scans) refresh(n *network, done func()) {
	there := n.frequencies()
	missed := func(f int) bool { return len(s.looked) > 0 && !slices.Contains(s.looked, f) }
	if s.a.b.Loop.Now().Sub(s.last) < fresh && !slices.ContainsFunc(there, missed) {
		done()
		return
	}
	s.quick(n.ssid, there, done)
}

// begin has the supplicant scan, all channels if no frequencies are given. While it
// scans by itself, as it does when a network is lost, it takes no order; then that
// scan counts as ours.
func (s *scans) begin(targets bus.Array, frequencies []int, limit time.Duration) {
	a := s.a
	s.running = true
	s.looked = frequencies
	about := bus.Dict{
		{Key: supplicant.ScanType, Value: "active"},
		{Key: supplicant.ScanSSIDs, Value: targets},
	}
	if len(frequencies) > 0 {
		channels := bus.Array{Elem: "(uu)"}
		for _, f := range frequencies {
			channels.Items = append(channels.Items, bus.Struct{uint32(f), uint32(width)})
		}
		about = append(about, bus.Entry{Key: supplicant.ScanChannels, Value: channels})
	}
	a.b.Log.Debug("scan", "interface", a.link.Name, "frequencies", frequencies)
	opened := a.path
	s.over = a.b.Loop.After("scan limit", limit, func() { s.finish(nil) })
	a.b.Bus.Call(supplicant.InterfaceScanCall(a.owner, a.path, about), func(_ []any, err error) {
		switch {
		case err == nil, a.path != opened:
		case errors.Is(err, &bus.Error{Name: supplicant.InterfaceErrorScanError}) && a.state == stateScanning:
			s.looked = nil
		default:
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
	if s := &a.scans; !s.running || len(s.looked) == 0 {
		a.settle()
	}
	a.device.Scanned()
	a.scans.last = a.b.Loop.Now()
	if a.scans.running {
		a.scans.finish(nil)
	}
}

func (s *scans) finish(err error) {
	s.a.b.Log.Debug("scan is over", "interface", s.a.link.Name, "err", err)
	s.over.Stop()
	s.running = false
	waiting := s.waiting
	s.waiting = nil
	for _, done := range waiting {
		done(err)
	}
	s.run()
}

// restart looks for networks at once, first where known ones were, and then, with
// background scanning, ever more seldom, until pause.
func (s *scans) restart() {
	a, opened := s.a, s.a.path
	if opened == "" {
		return
	}
	s.auto.Stop()
	s.interval = firstScan
	known := a.b.Manager.Frequencies()
	if len(known) == 0 {
		s.again()
		return
	}
	s.quick("", known, func() {
		if s.interval != 0 && a.path == opened {
			s.auto.Stop()
			s.auto = a.b.Loop.After("scan all channels", quickPause, s.again)
		}
	})
}

func (s *scans) again() {
	a, opened := s.a, s.a.path
	a.Scan(a.b.Manager.HiddenSSIDs(), func(error) {
		if s.interval == 0 || a.path != opened || !a.b.BackgroundScan {
			return
		}
		s.rest(s.interval, max(firstScan, s.interval/glances))
		s.interval = min(s.interval*scanFactor, lastScan)
	})
}

// rest waits until all channels are to be looked at again, with glances at known
// ones by the way.
func (s *scans) rest(left, pause time.Duration) {
	a, opened := s.a, s.a.path
	s.auto.Stop()
	known := a.b.Manager.Frequencies()
	if len(known) == 0 || left <= pause {
		s.auto = a.b.Loop.After("scan", left, s.again)
		return
	}
	s.auto = a.b.Loop.After("glance", pause, func() {
		s.quick("", known, func() {
			if s.interval != 0 && a.path == opened {
				s.rest(left-pause, pause)
			}
		})
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
