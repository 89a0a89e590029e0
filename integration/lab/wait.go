package lab

import (
	"fmt"
	"time"
)

// Eventually asks check until it has no objection. It is for state that sends no
// events, such as files. It asks often at first and then less, lest asking takes
// the processors from what is asked about: the moment of the answer is known to
// one part in a hundred of the wait, between 1 and 50 ms.
func Eventually(deadline time.Duration, check func() error) error {
	began := time.Now()
	for {
		err := check()
		if err == nil {
			return nil
		}
		waited := time.Since(began)
		if waited > deadline {
			return fmt.Errorf("not within %v: %w", deadline, err)
		}
		time.Sleep(min(max(waited/100, time.Millisecond), 50*time.Millisecond))
	}
}
