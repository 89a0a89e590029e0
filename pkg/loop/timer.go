package loop

import (
	"container/heap"
	"time"
)

// idleWait is how long the loop sleeps when no timer is set: any value serves,
// since Post wakes it.
const idleWait = 24 * time.Hour

// Timer is a function due at a later time. Its methods are for the loop.
type Timer struct {
	loop  *Loop
	label string
	at    time.Time
	seq   uint64 // keeps timers of the same time in the order they were set
	index int    // place in the heap, -1 when not in it
	fn    func()
}

// After runs fn on the loop once d has passed, time asleep included. Call it
// from the loop or before Run.
func (l *Loop) After(label string, d time.Duration, fn func()) *Timer {
	l.seq++
	t := &Timer{loop: l, label: label, at: l.Now().Add(d), seq: l.seq, fn: fn}
	heap.Push(&l.timers, t)
	return t
}

// Stop makes sure that the function does not run. Stopping a nil, fired or
// stopped timer does nothing.
func (t *Timer) Stop() {
	if t == nil || t.index < 0 {
		return
	}
	heap.Remove(&t.loop.timers, t.index)
}

func (l *Loop) untilNext() time.Duration {
	if len(l.timers) == 0 {
		return idleWait
	}
	return max(0, l.timers[0].at.Sub(l.Now()))
}

func (l *Loop) runTimers() {
	now := l.Now()
	for len(l.timers) > 0 && !l.timers[0].at.After(now) {
		t := heap.Pop(&l.timers).(*Timer)
		l.run(t.label, t.fn)
	}
}

type timerHeap []*Timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	last := len(old) - 1
	t := old[last]
	old[last] = nil
	*h = old[:last]
	t.index = -1
	return t
}
