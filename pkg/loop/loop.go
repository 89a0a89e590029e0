package loop

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// SlowTurn is how long one function may hold the loop before it is logged.
const SlowTurn = 50 * time.Millisecond

type task struct {
	label string
	fn    func()
}

// Loop runs functions one at a time. Create it with [New]; only Post and the
// start of work by [Go] may be used from other goroutines.
type Loop struct {
	log  *slog.Logger
	wake chan struct{}

	mu    sync.Mutex // guards inbox, nothing else
	inbox []task

	// Owned by the goroutine in Run.
	spare   []task
	timers  timerHeap
	seq     uint64
	hooks   []func()
	slept   time.Duration
	start   time.Time
	atEnd   []func()
	quit    bool
	context context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup
}

// New returns a loop that logs slow functions to log.
func New(log *slog.Logger) *Loop {
	ctx, cancel := context.WithCancel(context.Background())
	return &Loop{
		log:     log,
		wake:    make(chan struct{}, 1),
		start:   time.Now(),
		context: ctx,
		cancel:  cancel,
	}
}

// Post hands fn to the loop and returns at once. Functions run in the order in
// which they were posted. It may be called from any goroutine, the loop's own
// included; a function posted during a turn runs in the next one.
func (l *Loop) Post(label string, fn func()) {
	l.mu.Lock()
	l.inbox = append(l.inbox, task{label, fn})
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// AtTurnEnd adds a hook that runs at the end of every turn, after the hooks
// added before it. Add hooks before Run or from the loop.
func (l *Loop) AtTurnEnd(fn func()) { l.hooks = append(l.hooks, fn) }

// Now returns the loop's time: a clock for intervals that never steps and that
// counts the time the machine was suspended (see [Loop.Resumed]). Its wall
// reading is not the date.
func (l *Loop) Now() time.Time { return l.start.Add(time.Since(l.start) + l.slept) }

// Resumed tells the loop that the machine slept for d: every timer is due d
// earlier, as if the clock had gone on.
func (l *Loop) Resumed(d time.Duration) { l.slept += d }

// AtEnd has fn run by End.
func (l *Loop) AtEnd(fn func()) { l.atEnd = append(l.atEnd, fn) }

// End announces that Quit comes soon: what is kept only in case it is needed
// again can go. Call it from the loop.
func (l *Loop) End() {
	for _, fn := range l.atEnd {
		fn()
	}
}

// Quit ends Run after the current turn. Call it from the loop.
func (l *Loop) Quit() { l.quit = true }

// Run runs the loop until ctx ends or Quit is called, then cancels all work
// still under way.
func (l *Loop) Run(ctx context.Context) {
	defer l.cancel()
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for !l.quit {
		alarm.Reset(l.untilNext())
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-alarm.C:
		}
		l.turn()
	}
}

// Wait blocks until all work started with [Go] has returned. Call it after Run.
func (l *Loop) Wait() { l.work.Wait() }

func (l *Loop) turn() {
	l.mu.Lock()
	batch := l.inbox
	l.inbox = l.spare[:0]
	l.mu.Unlock()

	l.runTimers()
	for i, t := range batch {
		l.run(t.label, t.fn)
		batch[i] = task{}
	}
	l.spare = batch
	for _, hook := range l.hooks {
		l.run("turn end", hook)
	}
}

func (l *Loop) run(label string, fn func()) {
	begin := time.Now()
	fn()
	if took := time.Since(begin); took > SlowTurn {
		l.log.Warn("loop held too long", "by", label, "for", took)
	}
}
