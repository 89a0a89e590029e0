package suspend

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jumps is a timer whose reads fail as told.
type jumps chan error

func (j jumps) Read([]byte) (int, error) {
	if err, open := <-j; open {
		return 0, err
	}
	return 0, os.ErrClosed
}

func (j jumps) Close() error { close(j); return nil }

func TestClocks(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name           string
		from, to       clocks
		slept, stepped time.Duration
	}{
		{"nothing", clocks{1 * s, 2 * s, 90 * s}, clocks{3 * s, 4 * s, 92 * s}, 0, 0},
		{"sleep", clocks{1 * s, 1 * s, 90 * s}, clocks{2 * s, 62 * s, 151 * s}, 60 * s, 0},
		{"set back", clocks{1 * s, 1 * s, 90 * s}, clocks{2 * s, 2 * s, 31 * s}, 0, -60 * s},
		{"both", clocks{1 * s, 1 * s, 90 * s}, clocks{2 * s, 62 * s, 161 * s}, 60 * s, 10 * s},
	}
	for _, tt := range tests {
		if slept, stepped := tt.to.since(tt.from); slept != tt.slept || stepped != tt.stepped {
			t.Errorf("%s: slept %v, stepped %v; want %v, %v", tt.name, slept, stepped, tt.slept, tt.stepped)
		}
	}
}

func TestLoopIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := loop.New(slog.New(slog.DiscardHandler))
		var slept, stepped []time.Duration
		timer := make(jumps)
		readings := []clocks{{}, {up: time.Hour, wall: time.Hour}, {up: time.Hour, wall: 2 * time.Hour}, {up: time.Hour, wall: 2 * time.Hour}}
		w := &Watcher{
			loop: l, log: slog.New(slog.DiscardHandler), timer: timer, ended: make(chan struct{}),
			handler: Handler{
				Resumed: func(d time.Duration) { slept = append(slept, d) },
				Stepped: func(d time.Duration) { stepped = append(stepped, d) },
			},
			read: func() (clocks, error) {
				c := readings[0]
				readings = readings[1:]
				return c, nil
			},
		}
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		begin, fired := time.Now(), time.Duration(-1)
		l.After("lease", 50*time.Minute, func() { fired = time.Since(begin) })
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { l.Run(ctx); close(stopped) }()
		for range 3 {
			timer <- unix.ECANCELED
		}
		synctest.Wait()
		if len(slept) != 1 || slept[0] != time.Hour || len(stepped) != 1 || stepped[0] != time.Hour {
			t.Errorf("slept %v, stepped %v; want an hour each, once", slept, stepped)
		}
		if fired != 0 {
			t.Errorf("the timer fired at %v, want at once", fired)
		}
		cancel()
		<-stopped
		w.Close()
	})
}

func TestBrokenTimerEndsTheWatch(t *testing.T) {
	var log strings.Builder
	timer := make(jumps)
	w := &Watcher{
		loop: loop.New(slog.New(slog.DiscardHandler)), log: slog.New(slog.NewTextHandler(&log, nil)),
		timer: timer, ended: make(chan struct{}), read: readClocks,
	}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	timer <- errors.New("broken")
	<-w.ended
	if !strings.Contains(log.String(), "broken") {
		t.Errorf("logged %q", log.String())
	}
}

// The kernel takes the timer, and a watch without jumps is silent and ends.
func TestKernelTimer(t *testing.T) {
	l := loop.New(slog.New(slog.DiscardHandler))
	w, err := Watch(l, slog.New(slog.DiscardHandler), Handler{
		Resumed: func(d time.Duration) { t.Errorf("slept %v", d) },
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.ended:
		t.Error("the watch ended by itself")
	default:
	}
	w.Close()
}

func TestReadClocks(t *testing.T) {
	a, err := readClocks()
	if err != nil {
		t.Fatal(err)
	}
	b, err := readClocks()
	if err != nil {
		t.Fatal(err)
	}
	if b.awake < a.awake || b.up < a.up || b.up < b.awake-noise || b.wall == 0 {
		t.Errorf("read %+v, then %+v", a, b)
	}
}
