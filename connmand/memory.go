package main

import (
	"runtime/debug"
	"time"

	"net.connman/pkg/loop"
)

const (
	// muchWork is how many turns leave something to give back.
	muchWork = 8
	// freeAfter is how long after that it is given back: by then a burst of
	// work is over as a rule, and more of it costs a collection now and then.
	freeAfter = 8 * time.Second
)

// giveBack has the memory that a lot of work took given back to the system. The
// Go runtime by itself takes minutes over it, and keeps a share. Starting counts
// as a lot of work.
func giveBack(l *loop.Loop) {
	turns := muchWork - 1
	l.AtTurnEnd(func() {
		if turns++; turns == muchWork {
			l.After("free memory", freeAfter, func() {
				turns = 0
				go debug.FreeOSMemory()
			})
		}
	})
}
