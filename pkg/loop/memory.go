package loop

import (
	"runtime/debug"
	"time"
)

const (
	// muchWork is how many turns leave something to give back.
	muchWork = 8
	// freeAfter is how long after that it is given back: by then a burst of
	// work is over as a rule, and more of it costs a collection now and then.
	freeAfter = 8 * time.Second
)

// GiveBackMemory has the memory that a lot of work took given back to the system
// from now on. The Go runtime by itself takes minutes over it, and keeps a share.
// Starting counts as a lot of work. Call it once, before Run or from the loop.
func (l *Loop) GiveBackMemory() {
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
