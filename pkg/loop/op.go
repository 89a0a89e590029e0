package loop

import "context"

// Op is work under way outside the loop. Its methods are for the loop.
type Op struct {
	cancelled bool
	cancel    context.CancelFunc // nil until the work begins
}

// Go runs work in a goroutine of its own and then done on the loop with what it
// returned. The work's context ends when the Op is cancelled or the loop's Run
// returns.
func Go[T any](l *Loop, label string, work func(context.Context) (T, error), done func(T, error)) *Op {
	op := &Op{}
	begin(l, op, label, work, done, func() {})
	return op
}

// begin also runs ended on the loop, whatever became of op.
func begin[T any](l *Loop, op *Op, label string, work func(context.Context) (T, error), done func(T, error), ended func()) {
	ctx, cancel := context.WithCancel(l.context)
	op.cancel = cancel
	l.work.Go(func() {
		result, err := work(ctx)
		l.Post(label, func() {
			cancel()
			ended()
			if !op.cancelled {
				done(result, err)
			}
		})
	})
}

// Cancel ends the work's context and guarantees that done never runs.
// Cancelling a nil or finished Op does nothing.
func (op *Op) Cancel() {
	if op == nil {
		return
	}
	op.cancelled = true
	if op.cancel != nil {
		op.cancel()
	}
}
