package core

import (
	"testing"
	"time"
)

func TestDUID(t *testing.T) {
	d := NewDUID("\x02\x00\x00\x00\x00\x01", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	const want = "0001" + "0001" + "30e87580" + "020000000001"
	if d.String() != want {
		t.Errorf("made %s, want %s", d, want)
	}
	if again, err := ParseDUID(want); err != nil || again != d {
		t.Errorf("read as %s, %v", again, err)
	}
}
