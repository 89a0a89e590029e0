package proc

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"time"
)

// MaxLine is the length in bytes at which a line of output is cut.
const MaxLine = 4096

const (
	promptTime = 200 * time.Millisecond // how long a line may be without an end

	// What a child may say in a second. It has to wait when it writes more bytes;
	// lines beyond their number are counted, not told.
	secondsBytes = 256 << 10
	secondsLines = 100
)

// readOutput hands on what the child writes, in a goroutine of its own, until
// nobody can write any more or the pipe is closed.
func (p *Process) readOutput(pipe *os.File) {
	var (
		lines splitter
		quota quota
		buf   = make([]byte, 16<<10)
	)
	for {
		if lines.partial() {
			_ = pipe.SetReadDeadline(time.Now().Add(promptTime))
		}
		n, err := pipe.Read(buf)
		p.tell(&quota, lines.split(buf[:n]))
		if err != nil {
			p.tell(&quota, lines.flush())
			_ = pipe.SetReadDeadline(time.Time{})
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			p.confess(quota.left)
			return
		}
		if pause := quota.spend(n, time.Now()); pause > 0 {
			select {
			case <-time.After(pause):
			case <-p.starter.closed:
				return
			}
		}
	}
}

// tell logs lines and waits until the loop has seen them, as far as the child
// may speak.
func (p *Process) tell(q *quota, lines []string) {
	allowed, missed := q.admit(len(lines), time.Now())
	p.confess(missed)
	lines = lines[:allowed]
	if len(lines) == 0 {
		return
	}
	scrub := p.scrub.Load()
	for _, line := range lines {
		p.log.Info(scrub.Replace(line))
	}
	if p.handler.Output == nil {
		return
	}
	taken := make(chan struct{})
	p.starter.loop.Post("output", func() {
		for _, line := range lines {
			p.handler.Output(line)
		}
		close(taken)
	})
	select {
	case <-taken:
	case <-p.starter.closed:
	}
}

// confess logs that lines were left out.
func (p *Process) confess(missed int) {
	if missed > 0 {
		p.log.Warn("the program writes more than anybody could read", "lines_left_out", missed)
	}
}

// splitter makes lines of what is read. Lines that are too long are cut, empty
// ones left out.
type splitter struct {
	rest []byte // of a line without an end
	skip bool   // to the end of a line that was cut
}

func (s *splitter) partial() bool { return len(s.rest) > 0 }

// split returns the lines that end in data.
func (s *splitter) split(data []byte) []string {
	var lines []string
	for len(data) > 0 {
		line, after, whole := bytes.Cut(data, []byte("\n"))
		if room := MaxLine - len(s.rest); !s.skip {
			s.rest = append(s.rest, line[:min(len(line), room)]...)
			if whole || len(line) >= room {
				lines = append(lines, s.flush()...)
				s.skip = !whole
			}
		} else if whole {
			s.skip = false
		}
		data = after
	}
	return lines
}

// flush returns the line that has no end yet, if there is one.
func (s *splitter) flush() []string {
	line := strings.ToValidUTF8(string(bytes.TrimRight(s.rest, "\r")), "\uFFFD")
	s.rest = s.rest[:0]
	if line == "" {
		return nil
	}
	return []string{line}
}

// quota is what the child may say in the current second.
type quota struct {
	began       time.Time
	bytes, told int
	left        int // lines left out and not confessed yet
}

// admit says how many of n lines may be told, and how many of earlier seconds
// were not.
func (q *quota) admit(n int, now time.Time) (allowed, missed int) {
	q.renew(now)
	if q.told == 0 && n > 0 {
		missed, q.left = q.left, 0
	}
	allowed = min(n, secondsLines-q.told)
	q.told += allowed
	q.left += n - allowed
	return allowed, missed
}

// spend counts n bytes and says how long the child has to wait.
func (q *quota) spend(n int, now time.Time) time.Duration {
	q.renew(now)
	q.bytes += n
	if q.bytes < secondsBytes {
		return 0
	}
	return q.began.Add(time.Second).Sub(now)
}

func (q *quota) renew(now time.Time) {
	if now.Sub(q.began) >= time.Second {
		*q = quota{began: now, left: q.left}
	}
}
