package techtest

import (
	"testing"
	"time"

	"net.connman/connmand/internal/core"
)

// Hardware is what a bearer under test drives, with hands on it. Its methods
// are called from outside the loop.
type Hardware struct {
	Type core.Type
	// Appear plugs in a device called name, off and without a network.
	Appear func(name string)
	// Vanish makes it go away without a warning.
	Vanish func(name string)
	// SetNetwork brings a network into its reach or takes it away. A device
	// that is off has none in reach, and looks again when switched on.
	SetNetwork func(name string, there bool)
	// On reports whether the device is switched on.
	On func(name string) bool
	// Kill makes the device's driver stop answering or go away, if the bearer
	// has one that can: then no device is left. Revive brings back the driver
	// with its devices.
	Kill, Revive func()
	// Lone says that there is one device at most, which users do not switch: it
	// stands for a daemon.
	Lone bool
}

// Suite tests the bearer that start brings up in a world. Each test runs in a
// synctest bubble with a world of its own.
func Suite(t *testing.T, start func(w *World) Hardware) {
	for name, test := range map[string]func(*World, Hardware){
		"appears and vanishes":        appears,
		"network comes and goes":      networkComes,
		"network flaps":               networkFlaps,
		"two devices":                 many(twoDevices),
		"technology off":              many(technologyOff),
		"technology off at the start": many(technologyOffAtStart),
		"vanishes while off":          many(vanishesWhileOff),
		"vanishes while connecting":   vanishesConnecting,
		"driver vanishes":             driverVanishes,
	} {
		t.Run(name, func(t *testing.T) { Run(t, func(w *World) { test(w, start(w)) }) })
	}
}

// many has a test made for hardware of which there are several, or that users
// switch.
func many(test func(*World, Hardware)) func(*World, Hardware) {
	return func(w *World, h Hardware) {
		if !h.Lone {
			test(w, h)
		}
	}
}

func appears(w *World, h Hardware) {
	w.wantTechnology(h, false)
	h.Appear("one")
	w.wantTechnology(h, true)
	w.wantOn(h, "one", true)
	w.wantServices(h, 0)
	h.Vanish("one")
	w.wantTechnology(h, false)
}

func networkComes(w *World, h Hardware) {
	h.Appear("one")
	w.settle()
	for range 3 {
		h.SetNetwork("one", true)
		w.wantServices(h, 1)
		h.SetNetwork("one", false)
		w.wantServices(h, 0)
	}
	w.wantTechnology(h, true)
}

// However fast it flaps, what counts is how it ends.
func networkFlaps(w *World, h Hardware) {
	h.Appear("one")
	w.settle()
	for range 200 {
		h.SetNetwork("one", true)
		h.SetNetwork("one", false)
	}
	w.wantServices(h, 0)
	for range 200 {
		h.SetNetwork("one", false)
		h.SetNetwork("one", true)
	}
	w.wantServices(h, 1)
}

func twoDevices(w *World, h Hardware) {
	h.Appear("one")
	h.Appear("two")
	w.settle()
	h.SetNetwork("one", true)
	h.SetNetwork("two", true)
	w.wantServices(h, 2)
	h.Vanish("one")
	w.wantServices(h, 1)
	w.wantTechnology(h, true)
	h.Vanish("two")
	w.wantServices(h, 0)
	w.wantTechnology(h, false)
}

func technologyOff(w *World, h Hardware) {
	h.Appear("one")
	w.settle()
	h.SetNetwork("one", true)
	w.wantServices(h, 1)
	w.setPowered(h, false)
	w.wantOn(h, "one", false)
	w.wantServices(h, 0)
	h.SetNetwork("one", true) // nobody looks
	w.wantServices(h, 0)
	w.setPowered(h, true)
	w.wantOn(h, "one", true)
	h.SetNetwork("one", true)
	w.wantServices(h, 1)
}

func technologyOffAtStart(w *World, h Hardware) {
	w.forbid(h.Type)
	h.Appear("one")
	w.wantTechnology(h, true)
	w.wantOn(h, "one", false)
	w.wantServices(h, 0)
	w.setPowered(h, true)
	h.SetNetwork("one", true)
	w.wantServices(h, 1)
}

func vanishesWhileOff(w *World, h Hardware) {
	h.Appear("one")
	w.settle()
	w.setPowered(h, false)
	h.Vanish("one")
	w.wantTechnology(h, false)
	h.Appear("one")
	w.wantTechnology(h, true)
	w.wantOn(h, "one", false) // the user's wish outlives the device
}

func vanishesConnecting(w *World, h Hardware) {
	h.Appear("one")
	w.settle()
	h.SetNetwork("one", true)
	w.wantServices(h, 1)
	w.connect(h)
	h.Vanish("one")
	w.wantServices(h, 0)
	time.Sleep(5 * time.Minute) // timers of what is gone do no harm
	w.wantServices(h, 0)
	h.Appear("one")
	w.settle()
	h.SetNetwork("one", true)
	w.wantServices(h, 1)
}

func driverVanishes(w *World, h Hardware) {
	if h.Kill == nil {
		return // the kernel itself drives it
	}
	h.Appear("one")
	w.settle()
	h.SetNetwork("one", true)
	w.wantServices(h, 1)
	h.Kill()
	w.wantServices(h, 0)
	h.Revive()
	w.settle()
	h.SetNetwork("one", true)
	w.wantServices(h, 1)
}
