package dnstls

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Program is the relay's name.
const Program = "connman-dns-tls"

// Control is the relay's end of the socket pair, as it inherits it.
const Control = 3

// pause is the least time between two starts of the program.
const pause = 2 * time.Second

// Relay is the program, which runs when it is needed.
type Relay struct {
	log   *slog.Logger
	paths []string

	mu      sync.Mutex
	control *control  // nil while no program runs
	started time.Time // when it was last tried
	missing bool      // that there is no program was logged
	closed  bool
	ended   sync.WaitGroup // programs that ran
}

// New returns a relay whose program is the first of paths that is there.
func New(log *slog.Logger, paths ...string) *Relay {
	return &Relay{log: log, paths: paths}
}

var (
	errClosed = errors.New("the relay is closed")
	errPause  = errors.New("the relay has just failed")
)

// Carry has what passes over stream carried inside TLS over server, a socket
// that need not be connected yet. Both stay the caller's to close. A server that
// cannot be spoken to, and a program that cannot be started, show in the stream
// coming to its end.
func (r *Relay) Carry(server, stream int, to Peer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	if r.control == nil {
		if err := r.start(); err != nil {
			return err
		}
	}
	err := unix.Sendmsg(r.control.fd, to.Message(), unix.UnixRights(server, stream), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err != nil {
		return fmt.Errorf("cannot hand a connection to %s: %w", Program, err)
	}
	return nil
}

// Rest ends the program until the next Carry.
func (r *Relay) Rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.control != nil {
		r.control.release()
		r.control = nil
		r.started = time.Time{} // it has not failed
	}
}

// Close ends the program for good and waits for that.
func (r *Relay) Close() {
	r.Rest()
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.ended.Wait()
}

// start starts the program. What is sent to it before it runs waits in its
// socket, and comes back should it never run.
func (r *Relay) start() error {
	if !r.started.IsZero() && time.Since(r.started) < pause {
		return errPause
	}
	r.started = time.Now()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot make a socket for %s: %w", Program, err)
	}
	r.control = &control{fd: pair[0], file: os.NewFile(uintptr(pair[0]), Program)}
	theirs := os.NewFile(uintptr(pair[1]), Program)
	r.ended.Add(1)
	go r.run(r.control, theirs)
	return nil
}

// control is our end of the socket pair.
type control struct {
	fd       int
	file     *os.File
	released bool
}

func (c *control) release() {
	c.released = true
	c.file.Close()
}

// run is the goroutine of one program.
func (r *Relay) run(c *control, theirs *os.File) {
	defer r.ended.Done()
	process, err := r.launch(theirs)
	theirs.Close()
	if err != nil {
		r.end(c)
		r.complain(err)
		return
	}
	r.mu.Lock()
	r.missing = false
	r.mu.Unlock()
	r.listen(c)
	released := r.end(c)
	// It ends by itself, but nobody should have to wait for a sick one.
	_ = process.Kill()
	if state, err := process.Wait(); err == nil && !released {
		r.log.Warn("the program for DNS over TLS ended; it is started again when it is needed", "program", Program, "end", state.String())
	}
}

// end forgets c and reports whether that was our wish.
func (r *Relay) end(c *control) (released bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	released = c.released
	if r.control == c {
		r.control = nil
	}
	if !released {
		c.release()
	}
	return released
}

// launch starts the program.
func (r *Relay) launch(theirs *os.File) (*os.Process, error) {
	path := Program
	if i := slices.IndexFunc(r.paths, isThere); i >= 0 {
		path = r.paths[i]
	} else {
		return nil, fmt.Errorf("%w: looked for %v", os.ErrNotExist, r.paths)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return os.StartProcess(path, []string{path}, &os.ProcAttr{Files: []*os.File{null, null, os.Stderr, theirs}})
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// complain says once that the program cannot be started.
func (r *Relay) complain(err error) {
	r.mu.Lock()
	told := r.missing
	r.missing = true
	r.mu.Unlock()
	if !told {
		r.log.Warn("no DNS over TLS: servers that must be asked so are not asked, others in clear text; is "+Program+" installed?", "err", err)
	}
}

// maxTold bounds the servers whose last complaint is remembered.
const maxTold = 64

// listen logs what the program reports, each complaint once, until the program
// or its socket ends.
func (r *Relay) listen(c *control) {
	told := map[Peer]string{}
	buffer := make([]byte, maxMessage)
	for {
		n, err := c.file.Read(buffer)
		if err != nil {
			return
		}
		p, reason, err := parseReport(buffer[:n])
		last, known := told[p]
		if err != nil || known && last == reason {
			continue
		}
		if len(told) >= maxTold {
			clear(told)
		}
		told[p] = reason
		r.tell(p, reason)
	}
}

// tell logs a report. Where clear text will do, only debugging needs it.
func (r *Relay) tell(p Peer, reason string) {
	log := r.log.With("server", p.Addr, "link", p.Link, "name", p.Name)
	switch {
	case reason == "":
		log.Debug("a name server is asked over TLS")
	case p.Strict:
		log.Warn("a name server cannot be asked over TLS", "err", reason)
	default:
		log.Debug("a name server cannot be asked over TLS", "err", reason)
	}
}
