package core

import (
	"io"
	"log/slog"
	"testing"
)

func quietLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// A service is as far as the better of its families.
func TestCombine(t *testing.T) {
	better := map[State]int{
		Online: 7, Ready: 6, Configuration: 5, Association: 4, Disconnect: 3, Failed: 2, Idle: 1,
	}
	for a := range better {
		for b := range better {
			want := a
			if better[b] > better[a] {
				want = b
			}
			if got := combine(a, b); got != want || combine(b, a) != got {
				t.Errorf("%s and %s make %s, want %s", a, b, got, want)
			}
		}
	}
}

func TestEveryStateHasAWayOut(t *testing.T) {
	for s := range next {
		for _, to := range next[s] {
			if to == s || next[to] == nil {
				t.Errorf("%s leads to %s", s, to)
			}
		}
	}
	if len(next) != 7 {
		t.Errorf("%d states have successors, want all 7", len(next))
	}
}
