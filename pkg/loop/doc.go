// Package loop is the single goroutine that owns a daemon's state.
//
// Everything that reads or changes domain state runs on the loop, one function
// after the other, so the domain needs no locks. Work that waits (sockets,
// files, other daemons) runs in goroutines of its own and hands its result
// back with [Go]; what comes in crowds takes turns in a [Queue]. Timers come
// from [Loop.After].
//
// The loop works in turns: a turn runs the timers that are due and every
// function posted before it began, then the turn-end hooks. What a turn
// changed is therefore announced once, however many functions changed it.
package loop
