package core

import (
	"testing"
	"time"
)

func TestIntervals(t *testing.T) {
	tests := []struct {
		style   IntervalStyle
		step    int
		seconds int
	}{
		{Geometric, 1, 1}, {Geometric, 6, 36}, {Geometric, 12, 144},
		{Fibonacci, 1, 1}, {Fibonacci, 2, 1}, {Fibonacci, 6, 8}, {Fibonacci, 12, 144},
	}
	for _, test := range tests {
		if got := interval(test.style, test.step); got != time.Duration(test.seconds)*time.Second {
			t.Errorf("%s step %d waits %v, want %ds", test.style, test.step, got, test.seconds)
		}
	}
}

func TestOneShotRepeatsUntilItSucceeds(t *testing.T) {
	inWorld(t, defaults(), func(w *world) {
		w.plug("eth0")
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		for step := 1; step <= 4; step++ {
			w.probed("eth0", ProbeResult{Err: errBroken})
			w.sleep(time.Duration(step*step)*time.Second - time.Millisecond)
			if w.probing("eth0") {
				t.Fatalf("step %d: probed too early", step)
			}
			w.sleep(time.Millisecond)
		}
		w.probed("eth0", ProbeResult{Online: true})
		w.wantState("eth0", Online)
		w.sleep(time.Hour)
		if w.probing("eth0") {
			t.Fatal("probed again after success")
		}
	})
}

func TestNoneStaysReady(t *testing.T) {
	cfg := defaults()
	cfg.OnlineCheck.Mode = OnlineCheckNone
	inWorld(t, cfg, func(w *world) {
		w.plug("eth0")
		w.bind("eth0", lease("10.0.0.7/24", "10.0.0.1"))
		w.wantState("eth0", Ready)
		if w.probing("eth0") {
			t.Fatal("probed although that is switched off")
		}
	})
}

// In continuous mode a dead uplink behind a live link loses the default route
// to another service, and wins it back.
func TestContinuousDemotesAndPromotes(t *testing.T) {
	cfg := defaults()
	cfg.OnlineCheck.Mode = OnlineCheckContinuous
	cfg.OnlineCheck.Failures, cfg.OnlineCheck.Successes = 3, 2
	cfg.OnlineCheck.IntervalStyle = Fibonacci
	inWorld(t, cfg, func(w *world) {
		w.online("eth0", "10.0.0.7/24", "10.0.0.1")
		w.online("eth1", "10.1.0.7/24", "10.1.0.1")
		round := func(name string, r ProbeResult) {
			t.Helper()
			for range 145 {
				if w.probing(name) {
					w.probed(name, r)
					return
				}
				w.sleep(time.Second)
			}
			t.Fatalf("%s is not probed any more", name)
		}
		for range 3 {
			w.wantState("eth0", Online)
			round("eth0", ProbeResult{Err: errBroken})
		}
		w.wantState("eth0", Ready)
		if got := w.service("eth0").Failure(); got != OnlineCheckFailed {
			t.Fatalf("failure %q", got)
		}
		if w.defaultMetric("eth1") != 0 || w.defaultMetric("eth0") == 0 {
			t.Fatal("the dead uplink kept the default route")
		}
		round("eth1", ProbeResult{Online: true})
		w.wantState("eth1", Online)
		round("eth0", ProbeResult{Online: true})
		round("eth0", ProbeResult{Online: true})
		if got := w.service("eth0").Failure(); got != NoFailure {
			t.Fatalf("failure %q after it was made good", got)
		}
		w.unplug("eth1")
		round("eth0", ProbeResult{Online: true})
		w.wantState("eth0", Online)
	})
}
