package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// inquiryPace is how often an inquiry asks, when the answers come in time.
const inquiryPace = 10 * time.Millisecond

// inquiry asks a manager its first question again and again. It is a process of
// its own: the one that plays the home has enough to do, and what it does must
// not count as the manager's delay.
type inquiry struct {
	in  io.Closer
	out *bufio.Reader
}

// inquire begins, and returns once the first answer has come.
func (s *stage) inquire() (*inquiry, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-inquire", s.home.Bus.Address, "-managers", s.manager.Name)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = theirs
	_, err = s.home.Machine.Start(cmd)
	theirs.Close()
	if err != nil {
		return nil, err
	}
	q := &inquiry{in: in, out: bufio.NewReader(out)}
	_, err = q.read()
	return q, err
}

// end ends the inquiry and tells how long the slowest answer took.
func (q *inquiry) end() (time.Duration, error) {
	q.in.Close()
	return q.read()
}

func (q *inquiry) read() (time.Duration, error) {
	line, err := q.out.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("the inquiry broke off: %w", err)
	}
	return time.ParseDuration(strings.TrimSpace(line))
}

// runInquiry is the process: it prints how long the first answer of the manager
// on the bus took and, when its input ends, how long the slowest did.
func runInquiry(address string, names []string) error {
	managers, err := choose(groups[0].managers, names)
	if err != nil {
		return err
	}
	path, method, args := probe(managers[0])
	c, err := newCaller(address, managers[0].BusName, path, method, args...)
	if err != nil {
		return err
	}
	defer c.close()
	worst, err := c.time()
	if err != nil {
		return err
	}
	fmt.Println(worst)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = c.conn.SetDeadline(time.Now().Add(patience))
	}()
	pace := time.NewTicker(inquiryPace)
	defer pace.Stop()
	for {
		select {
		case <-ended:
			fmt.Println(worst)
			return nil
		case <-pace.C:
			took, _ := c.time() // no answer is a slow one
			worst = max(worst, took)
		}
	}
}
