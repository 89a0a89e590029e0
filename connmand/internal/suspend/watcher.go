package suspend

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/pkg/loop"
)

// What is shorter comes of reading the clocks one after the other.
const noise = 10 * time.Millisecond

// Handler is told, on the loop, what happened. Both functions may be nil.
type Handler struct {
	// Resumed says that the machine slept for d; the loop's timers know it
	// already.
	Resumed func(d time.Duration)
	// Stepped says that the wall clock was set forward by d, or back when d is
	// negative, time asleep aside.
	Stepped func(d time.Duration)
}

// Watcher waits for jumps of the clock.
type Watcher struct {
	loop    *loop.Loop
	log     *slog.Logger
	handler Handler
	timer   io.ReadCloser
	read    func() (clocks, error)
	ended   chan struct{}
}

// Watch starts a watcher. Close it after the loop has ended.
func Watch(l *loop.Loop, log *slog.Logger, h Handler) (*Watcher, error) {
	timer, err := newTimer()
	if err != nil {
		return nil, fmt.Errorf("cannot watch the clock: %w", err)
	}
	w := &Watcher{loop: l, log: log, handler: h, timer: timer, read: readClocks, ended: make(chan struct{})}
	if err := w.start(); err != nil {
		timer.Close()
		return nil, fmt.Errorf("cannot watch the clock: %w", err)
	}
	return w, nil
}

// newTimer returns a timer as far away as can be; reading it fails with
// ECANCELED when the wall clock jumps.
func newTimer() (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	far := unix.ItimerSpec{Value: unix.NsecToTimespec(math.MaxInt64)}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &far, nil); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "clock"), nil
}

// Close ends the watcher.
func (w *Watcher) Close() {
	w.timer.Close()
	<-w.ended
}

func (w *Watcher) start() error {
	last, err := w.read()
	if err != nil {
		return err
	}
	go w.wait(last)
	return nil
}

func (w *Watcher) wait(last clocks) {
	defer close(w.ended)
	expirations := make([]byte, 8)
	for {
		_, err := w.timer.Read(expirations)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		now, clockErr := w.read()
		if !errors.Is(err, unix.ECANCELED) || clockErr != nil {
			w.log.Warn("suspends go unnoticed from now on", "error", errors.Join(err, clockErr))
			return
		}
		slept, stepped := now.since(last)
		last = now
		w.loop.Post("clock", func() { w.tell(slept, stepped) })
	}
}

func (w *Watcher) tell(slept, stepped time.Duration) {
	if slept > noise {
		w.log.Info("resumed", "after", slept)
		w.loop.Resumed(slept)
		if w.handler.Resumed != nil {
			w.handler.Resumed(slept)
		}
	}
	if stepped.Abs() > noise && w.handler.Stepped != nil {
		w.handler.Stepped(stepped)
	}
}

// clocks are the readings of the three clocks at about the same time.
type clocks struct {
	awake time.Duration // CLOCK_MONOTONIC: stops during sleep
	up    time.Duration // CLOCK_BOOTTIME: goes on
	wall  time.Duration // CLOCK_REALTIME: goes on, and can be set
}

func readClocks() (clocks, error) {
	var c clocks
	for id, to := range map[int32]*time.Duration{
		unix.CLOCK_MONOTONIC: &c.awake,
		unix.CLOCK_BOOTTIME:  &c.up,
		unix.CLOCK_REALTIME:  &c.wall,
	} {
		var now unix.Timespec
		if err := unix.ClockGettime(id, &now); err != nil {
			return clocks{}, err
		}
		*to = time.Duration(now.Nano())
	}
	return c, nil
}

// since returns how long the machine slept between o and c, and how far the
// wall clock was set meanwhile.
func (c clocks) since(o clocks) (slept, stepped time.Duration) {
	up := c.up - o.up
	return up - (c.awake - o.awake), c.wall - o.wall - up
}
