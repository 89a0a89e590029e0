// Package suspend notices that the machine slept, or that someone set its
// clock.
//
// It waits on a timer of the wall clock that never comes due but is cancelled
// whenever that clock jumps, which a resume makes it do (timerfd_create(2),
// TFD_TIMER_CANCEL_ON_SET). Between two jumps nothing wakes the process. How
// long the machine slept is how far the clock that counts sleep ran ahead of
// the one that does not.
//
// One goroutine waits; the loop is told.
package suspend
