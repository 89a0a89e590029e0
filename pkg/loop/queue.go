package loop

import "context"

// Queue lets work begin in the order in which it was asked for, a few at a
// time. It is for what comes in crowds and is served one by one anyway, by the
// disk or the kernel: hundreds of goroutines would keep the processors from the
// loop and cost their stacks; what waits here does neither. A place is free
// again once the result has reached the loop, so the work never runs ahead of
// it. A Queue is for the loop.
type Queue struct {
	loop    *Loop
	free    int
	waiting []queued
}

type queued struct {
	op    *Op
	begin func()
}

// NewQueue returns a queue whose work is done by at most places goroutines.
func NewQueue(l *Loop, places int) *Queue { return &Queue{loop: l, free: places} }

// GoIn is [Go] for work that waits for its turn in q. Cancelled before that, it
// never begins.
func GoIn[T any](q *Queue, label string, work func(context.Context) (T, error), done func(T, error)) *Op {
	op := &Op{}
	q.waiting = append(q.waiting, queued{op, func() {
		begin(q.loop, op, label, work, done, func() { q.free++; q.next() })
	}})
	q.next()
	return op
}

func (q *Queue) next() {
	for q.free > 0 && len(q.waiting) > 0 {
		first := q.waiting[0]
		q.waiting[0] = queued{}
		q.waiting = q.waiting[1:]
		if !first.op.cancelled {
			q.free--
			first.begin()
		}
	}
}
