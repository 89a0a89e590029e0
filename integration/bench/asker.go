package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/integration/lab"
)

// asker asks a name server one question after the other, each when the last is
// answered. It blocks in the kernel: nothing of Go's runtime is in the way.
type asker struct {
	fd     int
	stream bool
	id     uint16
	buf    [4096]byte
}

// newAsker opens a socket to the machine's name server on the calling thread.
func newAsker(stream bool) (*asker, error) {
	kind := unix.SOCK_DGRAM
	if stream {
		kind = unix.SOCK_STREAM
	}
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	a := &asker{fd: fd, stream: stream}
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}),
		unix.Connect(fd, &unix.SockaddrInet4{Port: 53, Addr: [4]byte{127, 0, 0, 1}}))
	if err != nil {
		a.close()
		return nil, fmt.Errorf("cannot reach the name server: %w", err)
	}
	return a, nil
}

func (a *asker) close() { unix.Close(a.fd) }

// ask asks for the address of name and waits for it.
func (a *asker) ask(name string) error {
	a.id++
	query := question(a.id, name)
	if a.stream {
		query = slices.Concat([]byte{0, byte(len(query))}, query)
	}
	if _, err := unix.Write(a.fd, query); err != nil {
		return err
	}
	for {
		reply, err := a.reply()
		if err != nil {
			return fmt.Errorf("%s is not answered: %w", name, err)
		}
		if len(reply) < 12 || binary.BigEndian.Uint16(reply) != a.id {
			continue // a late one
		}
		if reply[3]&0x0f != 0 || binary.BigEndian.Uint16(reply[6:]) == 0 {
			return fmt.Errorf("%s has no address: % x", name, reply[:12])
		}
		return nil
	}
}

func (a *asker) reply() ([]byte, error) {
	if !a.stream {
		n, err := a.read(a.buf[:])
		return a.buf[:max(n, 0)], err
	}
	if err := a.fill(a.buf[:2]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(a.buf[:]))
	if n > len(a.buf) {
		return nil, errors.New("a reply too long")
	}
	return a.buf[:n], a.fill(a.buf[:n])
}

func (a *asker) fill(b []byte) error {
	for len(b) > 0 {
		n, err := a.read(b)
		if err == nil && n == 0 {
			err = io.EOF
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// read reads on when the runtime's signals interrupt it.
func (a *asker) read(b []byte) (n int, err error) {
	for n, err = unix.Read(a.fd, b); err == unix.EINTR; {
		n, err = unix.Read(a.fd, b)
	}
	return n, err
}

// question is a query for the address of a name.
func question(id uint16, name string) []byte {
	q := make([]byte, 12, 64)
	binary.BigEndian.PutUint16(q, id)
	q[2], q[5] = 1, 1 // recursion desired, one question
	for label := range strings.SplitSeq(name, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	return append(q, 0, 0, 1, 0, 1)
}

// latencies asks for the names in turn, over one socket or over a connection
// each, and returns how long each took in µs, in order of size.
func latencies(h *lab.Host, names []string, connections bool) ([]float64, error) {
	var took []float64
	err := h.Do(func() error {
		var a *asker
		var err error
		if !connections {
			if a, err = newAsker(false); err != nil {
				return err
			}
			defer a.close()
		}
		for _, name := range names {
			asked := time.Now()
			if connections {
				if a, err = newAsker(true); err != nil {
					return err
				}
			}
			err := a.ask(name)
			took = append(took, float64(time.Since(asked).Nanoseconds())/1000)
			if connections {
				a.close()
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	slices.Sort(took)
	return took, err
}

// closedLoop keeps several askers busy with the names for a while and returns
// the answers per second.
func closedLoop(h *lab.Host, names []string, long time.Duration) (float64, error) {
	const askers = 16
	// An asker that has its answer does not wait for Go's leave to run: what the
	// askers take of the machine is not left for whom they measure.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(askers + 1))
	var all sync.WaitGroup
	var answered atomic.Int64
	errs := make([]error, askers)
	began := time.Now()
	for i := range askers {
		var a *asker
		err := h.Do(func() (err error) {
			a, err = newAsker(false)
			return err
		})
		if err != nil {
			return 0, err
		}
		all.Go(func() {
			defer a.close()
			for n := i; time.Since(began) < long && errs[i] == nil; n++ {
				errs[i] = a.ask(names[n%len(names)])
				answered.Add(1)
			}
		})
	}
	all.Wait()
	return float64(answered.Load()) / time.Since(began).Seconds(), errors.Join(errs...)
}
