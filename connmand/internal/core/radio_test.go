package core

import (
	"errors"
	"fmt"
	"testing"
)

// fakeRadios are the switches of one kind of radio. Like the kernel it reports
// what was turned.
type fakeRadios struct {
	w      *world
	turned []bool
	err    error
}

func (f *fakeRadios) Block(kind Type, block bool, done func(error)) {
	f.turned = append(f.turned, block)
	f.w.loop.Post("turned", func() {
		done(f.err)
		if f.err == nil {
			now := f.w.m.radios[kind]
			now.Soft = block
			f.w.m.SetRadio(kind, now)
		}
	})
}

// wireless is a world with a powered adapter that has a switch.
func wireless(t *testing.T, test func(*world, *air, *fakeRadios)) {
	inWorld(t, defaults(), func(w *world) {
		radios := &fakeRadios{w: w}
		w.do(func() { w.m.ports.Radios = radios; w.m.SetRadio(Wifi, Radio{Switches: 1}) })
		test(w, w.radio(), radios)
	})
}

func (w *world) setPowered(on bool) error {
	w.t.Helper()
	result := errors.New("no answer")
	w.do(func() { w.m.Technology(Wifi).SetPowered(on, func(err error) { result = err }) })
	return result
}

func (w *world) setRadio(soft, hard bool) {
	w.do(func() { w.m.SetRadio(Wifi, Radio{Switches: 1, Soft: soft, Hard: hard}) })
}

func (w *world) wantPower(device, remembered bool) {
	w.t.Helper()
	t := w.m.Technology(Wifi)
	if t.Powered() != device || t.devices[0].powered != device || t.Settings().Enable != remembered {
		w.t.Errorf("technology %t, device %t, remembered %t; want %t, %t, %t",
			t.Powered(), t.devices[0].powered, t.Settings().Enable, device, device, remembered)
	}
}

// The user's power turns the switches, too.
func TestPowerTurnsSwitches(t *testing.T) {
	wireless(t, func(w *world, _ *air, radios *fakeRadios) {
		w.wantPower(true, true)
		if err := w.setPowered(false); err != nil {
			t.Error(err)
		}
		w.wantPower(false, false)
		if err := w.setPowered(true); err != nil {
			t.Error(err)
		}
		w.wantPower(true, true)
		if got := fmt.Sprint(radios.turned); got != "[true false]" {
			t.Errorf("switches were turned to %s", got)
		}
	})
}

// Another program's block powers down, and does so for as long as it lasts or
// until the user says otherwise.
func TestSoftBlock(t *testing.T) {
	wireless(t, func(w *world, _ *air, radios *fakeRadios) {
		w.setRadio(true, false)
		w.wantPower(false, true)
		w.setRadio(false, false)
		w.wantPower(true, true)
		if len(radios.turned) != 0 {
			t.Errorf("switches were turned to %v", radios.turned)
		}
		w.setRadio(true, false)
		if err := w.setPowered(true); err != nil {
			t.Error(err)
		}
		w.wantPower(true, true)
		w.setRadio(true, false)
		if err := w.setPowered(false); !errors.Is(err, ErrAlreadyDisabled) {
			t.Errorf("switched off while blocked: %v", err)
		}
		w.setRadio(false, false)
		w.wantPower(false, false)
	})
}

// Against a switch that no program can turn nothing helps.
func TestHardBlock(t *testing.T) {
	wireless(t, func(w *world, _ *air, radios *fakeRadios) {
		w.setRadio(false, true)
		w.wantPower(false, true)
		for _, on := range []bool{true, false} {
			if err := w.setPowered(on); !errors.Is(err, ErrPermissionDenied) {
				t.Errorf("power %t: %v", on, err)
			}
		}
		w.setRadio(true, true)
		w.setRadio(true, false)
		w.wantPower(false, true) // the program's block stays
		w.setRadio(false, false)
		w.wantPower(true, true)
		if len(radios.turned) != 0 {
			t.Errorf("switches were turned to %v", radios.turned)
		}
	})
}

// What another program, or an earlier run, left blocked at the start is freed
// where the technology is to be on, and only there.
func TestSwitchesAtStart(t *testing.T) {
	for _, enabled := range []bool{true, false} {
		for _, switchFirst := range []bool{true, false} {
			inWorld(t, defaults(), func(w *world) {
				radios := &fakeRadios{w: w}
				w.do(func() { w.m.ports.Radios = radios })
				if switchFirst {
					w.setRadio(true, false)
				}
				w.radio()
				if !enabled {
					_ = w.setPowered(false)
					radios.turned = nil
					w.do(func() { w.m.SetRadio(Wifi, Radio{}) })
				}
				if !switchFirst || !enabled {
					w.setRadio(true, false)
				}
				w.wantPower(enabled, enabled)
				if got := len(radios.turned) > 0; got != enabled {
					t.Errorf("enabled %t, switch first %t: turned to %v", enabled, switchFirst, radios.turned)
				}
			})
		}
	}
}

// A switch that cannot be turned is the caller's to know.
func TestSwitchFails(t *testing.T) {
	wireless(t, func(w *world, _ *air, radios *fakeRadios) {
		w.setRadio(true, false)
		radios.err = errBroken
		if err := w.setPowered(true); !errors.Is(err, errBroken) {
			t.Errorf("got %v", err)
		}
		w.wantPower(false, true)
	})
}

// Offline all is off, with its switches, but for what the user switches on by
// hand; afterwards all is as it was to be.
func TestOfflineMode(t *testing.T) {
	wireless(t, func(w *world, a *air, radios *fakeRadios) {
		offline := func(on bool) { w.do(func() { w.m.SetOfflineMode(on) }) }
		offline(true)
		w.wantPower(false, true)
		if !w.store.global.OfflineMode || w.m.State() != "offline" {
			t.Errorf("saved %t, state %s", w.store.global.OfflineMode, w.m.State())
		}
		offline(false)
		w.wantPower(true, true)
		offline(true)
		if err := w.setPowered(true); err != nil {
			t.Error(err)
		}
		w.wantPower(true, true)
		offline(false)
		w.wantPower(true, true)
		offline(true)
		if err := w.setPowered(false); !errors.Is(err, ErrAlreadyDisabled) {
			t.Errorf("switched off while offline: %v", err)
		}
		offline(false)
		w.wantPower(false, false)
		if got := fmt.Sprint(radios.turned); got != "[true false true false true]" {
			t.Errorf("switches were turned to %s", got)
		}
	})
}

// The last word counts, however fast they come.
func TestOfflineModeInHaste(t *testing.T) {
	wireless(t, func(w *world, _ *air, _ *fakeRadios) {
		for _, last := range []bool{false, true} {
			w.do(func() {
				w.m.SetOfflineMode(!last)
				w.m.SetOfflineMode(last)
			})
			w.wantPower(!last, true)
			w.do(func() { w.m.SetOfflineMode(!last) })
			w.do(func() { w.m.SetOfflineMode(last) })
			w.wantPower(!last, true)
		}
	})
}
