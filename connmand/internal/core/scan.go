package core

import (
	"errors"
	"slices"
	"time"

	"net.connman/pkg/loop"
)

// Scanner is a DeviceDriver that can look for networks.
type Scanner interface {
	// Scan looks for networks, also for those that hide one of the SSIDs. done
	// hears when all that was found has been reported.
	Scan(ssids []string, done func(error))
}

// scanTimeout is how long looking for networks may take: a radio stays a tenth
// of a second on each of some forty channels.
const scanTimeout = 15 * time.Second

// Scan has all devices of the technology look for networks; done hears when they
// have.
func (t *Technology) Scan(done func(error)) {
	waiting, result, able := 1, ErrNotSupported, false
	finish := func(err error) {
		switch {
		case err == nil:
			able = true
		case errors.Is(result, ErrNotSupported):
			result = err
		}
		if waiting--; waiting > 0 {
			return
		}
		if able {
			result = nil
		}
		done(result)
	}
	for _, d := range slices.Clone(t.devices) {
		if _, ok := d.driver.(Scanner); ok {
			waiting++
			d.scan(nil, finish)
		}
	}
	finish(ErrNotSupported)
}

// scan has the device look for networks, those included that hide a known SSID.
func (d *Device) scan(more []string, done func(error)) {
	if !d.powered {
		done(ErrNoCarrier)
		return
	}
	var timeout *loop.Timer
	answered := false
	answer := func(err error) {
		if !answered {
			answered = true
			timeout.Stop()
			done(err)
		}
	}
	timeout = d.m.loop.After("scan timeout", scanTimeout, func() { answer(ErrTimeout) })
	d.driver.(Scanner).Scan(append(more, d.m.HiddenSSIDs()...), answer)
}

// look has all devices look for networks that can; nobody waits for them.
func (m *Manager) look() {
	for _, t := range m.technologies {
		t.Scan(func(error) {})
	}
}

// Scanned tells that the device has looked for networks, asked to or not, and that
// all it found has been reported: services are put into order once for all.
func (d *Device) Scanned() { d.m.settle.order = true }

// HiddenSSIDs are the SSIDs to ask for by name because their networks do not
// tell them.
func (m *Manager) HiddenSSIDs() []string {
	all := slices.Clone(m.hidden)
	for _, spec := range m.specs {
		if spec.Wifi != nil && spec.Wifi.Hidden && !slices.Contains(all, spec.Wifi.SSID) {
			all = append(all, spec.Wifi.SSID)
		}
	}
	return all
}

// loadKnown has the networks of earlier runs looked for, too.
func (m *Manager) loadKnown() {
	if m.knownLoaded {
		return
	}
	m.knownLoaded = true
	m.ports.Storage.LoadKnown(func(known []KnownNetwork) {
		for _, n := range known {
			if n.Hidden {
				m.rememberHidden(n.SSID)
			}
			if n.Frequency != 0 && !slices.Contains(m.frequencies, n.Frequency) {
				m.frequencies = append(m.frequencies, n.Frequency)
			}
		}
	})
}

// Frequencies are where known networks were last, in MHz, those first that were
// used last.
func (m *Manager) Frequencies() []int { return m.frequencies }

// rememberFrequency notes where a network is that lets us in.
func (m *Manager) rememberFrequency(mhz int) {
	others := slices.DeleteFunc(m.frequencies, func(f int) bool { return f == mhz })
	m.frequencies = slices.Insert(others, 0, mhz)
}

// rememberHidden notes an SSID to ask for from now on.
func (m *Manager) rememberHidden(ssid string) {
	if !slices.Contains(m.hidden, ssid) {
		m.hidden = append(m.hidden, ssid)
	}
}

// seek looks for a hidden network on behalf of the user, who named it.
type seek struct {
	ssid        string
	security    Security
	credentials Credentials
	done        func(error)
}

// seek looks for the network that the user named when connecting to a hidden
// one, and connects to it; done hears how that went.
func (d *Device) seek(k *seek) {
	if d.sought != nil {
		d.sought.done(ErrAborted)
	}
	d.sought = k
	for _, n := range d.networks {
		if n.service != nil && d.found(n.service) {
			return
		}
	}
	d.scan([]string{k.ssid}, func(err error) {
		switch {
		case d.sought != k:
		case err != nil:
			d.sought = nil
			k.done(err)
		default:
			// Services appear once their settings have been read.
			d.m.loop.After("hidden network", foundWithin, func() {
				if d.sought == k {
					d.sought = nil
					k.done(ErrNotFound)
				}
			})
		}
	})
}

// foundWithin is how long after a scan the service of what it found appears.
const foundWithin = time.Second

// found connects the service if it is the one that is sought.
func (d *Device) found(s *Service) bool {
	k, w := d.sought, s.network.info.Wireless
	if k == nil || w.SSID != k.ssid || w.Security != k.security {
		return false
	}
	d.sought = nil
	s.settings.Hidden = true
	d.m.rememberHidden(k.ssid)
	s.access.offer(k.credentials)
	s.Connect("", k.done)
	return true
}
