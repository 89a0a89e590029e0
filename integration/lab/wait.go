package lab

import (
	"fmt"
	"time"
)

// Eventually asks check until it has no objection. It is for state that
// sends no events, such as files; it asks often, so that the moment of the
// answer is known to a millisecond.
func Eventually(deadline time.Duration, check func() error) error {
	end := time.Now().Add(deadline)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %w", deadline, err)
		}
		time.Sleep(time.Millisecond)
	}
}
