package proc

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("a line\nanother\r\n\npart"), 3)
	f.Add([]byte("\xff\xfe\n"), 1)
	f.Add([]byte(strings.Repeat("x", 2*MaxLine)+"\ntail"), 1000)
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		if at < 0 || at > len(data) {
			at = len(data)
		}
		var s splitter
		lines := append(s.split(data[:at]), s.split(data[at:])...)
		lines = append(lines, s.flush()...)
		for _, line := range lines {
			if line == "" || !utf8.ValidString(line) || strings.Contains(line, "\n") || len(line) > 3*MaxLine {
				t.Errorf("line %.100q", line)
			}
		}
		var whole splitter
		if want := strings.Join(append(whole.split(data), whole.flush()...), "\n"); strings.Join(lines, "\n") != want {
			t.Errorf("cut at %d: %.200q, whole: %.200q", at, lines, want)
		}
	})
}

func TestQuota(t *testing.T) {
	var q quota
	now := time.Now()
	if allowed, missed := q.admit(secondsLines+7, now); allowed != secondsLines || missed != 0 {
		t.Errorf("%d allowed, %d missed", allowed, missed)
	}
	if allowed, _ := q.admit(1, now.Add(time.Second/2)); allowed != 0 {
		t.Error("one more within the second")
	}
	if allowed, missed := q.admit(1, now.Add(time.Second)); allowed != 1 || missed != 8 {
		t.Errorf("a second later %d allowed, %d missed", allowed, missed)
	}
	if pause := q.spend(secondsBytes-1, now.Add(time.Second)); pause != 0 {
		t.Errorf("has to wait %v", pause)
	}
	if pause := q.spend(1, now.Add(time.Second+time.Second/4)); pause != 3*time.Second/4 {
		t.Errorf("has to wait %v", pause)
	}
}
