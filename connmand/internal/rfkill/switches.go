package rfkill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

// Device is where Linux has the switches.
const Device = "/dev/rfkill"

// Switches are all switches of the machine. It implements core.Radios.
type Switches struct {
	loop    *loop.Loop
	log     *slog.Logger
	device  io.ReadWriteCloser
	present map[uint32]record
	writes  *loop.Queue
	report  func(kind core.Type, all core.Radio)
	ended   chan struct{}
}

// Open opens the switches at path; the error is fs.ErrNotExist on a machine
// without any. Follow them with Run; end them with Close, after the loop.
func Open(l *loop.Loop, log *slog.Logger, path string) (*Switches, error) {
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot follow the radios' switches: %w", err)
	}
	return newSwitches(l, log, device), nil
}

func newSwitches(l *loop.Loop, log *slog.Logger, device io.ReadWriteCloser) *Switches {
	return &Switches{
		loop: l, log: log, device: device, present: map[uint32]record{},
		writes: loop.NewQueue(l, 1), ended: make(chan struct{}),
	}
}

// Run has report told, on the loop, how the switches of a technology stand, for
// each that is there and then for each that changes.
func (s *Switches) Run(report func(kind core.Type, all core.Radio)) {
	s.report = report
	go func() {
		defer close(s.ended)
		s.read()
	}()
}

// read reads until the device is closed.
func (s *Switches) read() {
	buffer := make([]byte, recordSize)
	for {
		n, err := s.device.Read(buffer)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
				s.log.Warn("the radios' switches are not followed any more", "err", err)
			}
			return
		}
		r, err := parse(buffer[:n])
		if err != nil {
			s.log.Warn("the kernel's report of a switch is not understood", "err", err)
			continue
		}
		s.loop.Post("switch", func() { s.take(r) })
	}
}

// take takes in a report.
func (s *Switches) take(r record) {
	switch _, known := s.present[r.index]; {
	case r.op == opAdd, r.op == opChange && known:
		s.present[r.index] = r
	case r.op == opDelete && known:
		r.kind = s.present[r.index].kind
		delete(s.present, r.index)
	default:
		return
	}
	if kind, ours := technologies[r.kind]; ours {
		s.report(kind, s.all(r.kind))
	}
}

// all sees the switches of one kind as one: that one blocks when there is no
// radio left that is free.
func (s *Switches) all(kind uint8) core.Radio {
	all := core.Radio{Soft: true, Hard: true}
	for _, r := range s.present {
		if r.kind == kind {
			all.Switches++
			all.Soft = all.Soft && (r.soft || r.hard)
			all.Hard = all.Hard && r.hard
		}
	}
	if all.Switches == 0 {
		return core.Radio{}
	}
	return all
}

// Block implements [core.Radios].
func (s *Switches) Block(kind core.Type, block bool, done func(error)) {
	request := record{op: opChangeAll, soft: block}
	for number, technology := range technologies {
		if technology == kind {
			request.kind = number
		}
	}
	loop.GoIn(s.writes, "turn switches", func(context.Context) (struct{}, error) {
		_, err := s.device.Write(request.bytes())
		return struct{}{}, err
	}, func(_ struct{}, err error) {
		if err != nil {
			err = fmt.Errorf("cannot turn the switches of %s: %w", kind, err)
		}
		done(err)
	})
}

// Close ends following the switches, which stay as they are.
func (s *Switches) Close() {
	s.device.Close()
	if s.report != nil {
		<-s.ended
	}
}
