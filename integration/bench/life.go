package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/home"
	"net.connman/integration/lab"
)

// patience is how long anything may take before it counts as failed.
const patience = 30 * time.Second

// stage is a home with a manager in it, and someone who watches.
type stage struct {
	lab     *lab.Lab
	home    *home.Home
	watch   *observer
	manager lab.Manager
	daemon  *lab.Process
	conn    *dbus.Conn
}

// set builds the stage; prepare, unless nil, may write files of the machine's
// before anything starts.
func set(m lab.Manager, links int, prepare func(*lab.Host) error) (*stage, error) {
	s := &stage{manager: m}
	var err error
	if s.lab, err = lab.New(); err != nil {
		return nil, err
	}
	if s.home, err = home.New(s.lab, links, nil); err != nil {
		return nil, errors.Join(err, s.strike())
	}
	if prepare != nil {
		if err = prepare(s.home.Machine); err != nil {
			return nil, errors.Join(err, s.strike())
		}
	}
	if s.watch, err = observe(s.home); err != nil {
		return nil, errors.Join(err, s.strike())
	}
	if s.conn, err = s.home.Bus.Connect(); err != nil {
		return nil, errors.Join(err, s.strike())
	}
	return s, nil
}

// strike takes the stage down.
func (s *stage) strike() error {
	if s.watch != nil {
		s.watch.close()
	}
	var err error
	if s.home != nil && s.home.Router != nil {
		err = s.home.Close()
	}
	return errors.Join(err, s.lab.Close())
}

// start starts the daemon and waits for its first answer. It returns the
// moments of the bus name and of the answer.
func (s *stage) start(ctx context.Context) (named, answered time.Time, err error) {
	if s.daemon, err = s.manager.Run(s.home.Machine, s.home.Bus); err != nil {
		return
	}
	record, err := s.watch.recorder.Wait(ctx, 0, func(m *dbus.Message) bool {
		return lab.Header(m, dbus.FieldMember) == "NameOwnerChanged" && m.Body[0] == s.manager.BusName && m.Body[2] != ""
	})
	if err != nil {
		return
	}
	// A daemon may own its name before it has anything to ask.
	for err = s.ask(ctx); err != nil && ctx.Err() == nil; err = s.ask(ctx) {
	}
	return record.At, time.Now(), err
}

// ask asks the manager its first question.
func (s *stage) ask(ctx context.Context) error {
	path, method, args := probe(s.manager)
	return s.conn.Object(s.manager.BusName, path).CallWithContext(ctx, method, 0, args...).Err
}

// highest is the level that the manager can tell of.
func (s *stage) highest() level {
	if s.manager.BusName == "org.freedesktop.network1" {
		return ready
	}
	return online
}

// plugAndRest plugs the cables in and waits until the kernel has done with it:
// it spreads the news of links at most once a second, and a switch port that
// isn't told forwards nothing.
func (s *stage) plugAndRest() error {
	err := s.home.Plug()
	time.Sleep(1200 * time.Millisecond)
	return err
}

// startOnline starts the daemon with the cables plugged in and waits until it
// has done all it can.
func (s *stage) startOnline(ctx context.Context) error {
	if err := s.plugAndRest(); err != nil {
		return err
	}
	if _, _, err := s.start(ctx); err != nil {
		return err
	}
	_, err := s.watch.reached(ctx, 0, s.highest())
	return err
}

func milliseconds(from, to time.Time) float64 {
	return float64(to.Sub(from).Microseconds()) / 1000
}

// measureLife follows a daemon through one life: start, a cable pulled and
// plugged in again, questions, end.
func measureLife(t *table, m lab.Manager) error {
	s, err := set(m, 1, nil)
	if err != nil {
		return err
	}
	return errors.Join(s.live(t), s.strike())
}

func (s *stage) live(t *table) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.plugAndRest(); err != nil {
		return err
	}
	if err := s.rise(ctx, t); err != nil {
		return err
	}
	if err := s.replug(ctx, t); err != nil {
		return err
	}
	if err := s.client(t); err != nil {
		return err
	}
	asked := time.Now()
	s.daemon.Signal(syscall.SIGTERM)
	select {
	case <-s.daemon.Done():
		t.less(s.manager, "SIGTERM → exit", "ms", milliseconds(asked, time.Now()))
	case <-ctx.Done():
		return errors.New("did not end on SIGTERM")
	}
	return nil
}

// rise measures from the start to online.
func (s *stage) rise(ctx context.Context, t *table) error {
	named, answered, err := s.start(ctx)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	addressed, err := s.watch.address(ctx, s.daemon.Started, true)
	if err != nil {
		return fmt.Errorf("start → address: %w", err)
	}
	connected, err := s.watch.reached(ctx, 0, ready)
	if err != nil {
		return fmt.Errorf("start → ready: %w", err)
	}
	started := s.daemon.Started
	t.less(s.manager, "start → bus name", "ms", milliseconds(started, named))
	t.less(s.manager, "start → first method answered", "ms", milliseconds(started, answered))
	t.less(s.manager, "start → IPv4 address", "ms", milliseconds(started, addressed))
	t.less(s.manager, "start → ready", "ms", milliseconds(started, connected))
	if s.highest() == online {
		at, err := s.watch.reached(ctx, 0, online)
		if err != nil {
			return fmt.Errorf("start → online: %w", err)
		}
		t.less(s.manager, "start → online", "ms", milliseconds(started, at))
	}
	return nil
}

// replug pulls the cable, waits until the address is gone, and measures from
// plugging it in again.
func (s *stage) replug(ctx context.Context, t *table) error {
	pulled := time.Now()
	if err := s.home.Unplug(); err != nil {
		return err
	}
	gone, err := s.watch.address(ctx, pulled, false)
	if err != nil {
		return fmt.Errorf("cable pulled: %w", err)
	}
	t.less(s.manager, "carrier lost → address gone", "ms", milliseconds(pulled, gone))
	if err := s.settled(ctx); err != nil {
		return err
	}
	from, plugged := s.watch.recorder.Mark(), time.Now()
	if err := s.home.Plug(); err != nil {
		return err
	}
	addressed, err := s.watch.address(ctx, plugged, true)
	if err != nil {
		return fmt.Errorf("carrier up → address: %w", err)
	}
	t.less(s.manager, "carrier up → address", "ms", milliseconds(plugged, addressed))
	if s.highest() == online {
		at, err := s.watch.reached(ctx, from, online)
		if err != nil {
			return fmt.Errorf("carrier up → online: %w", err)
		}
		t.less(s.manager, "carrier up → online", "ms", milliseconds(plugged, at))
	}
	return nil
}

// settled waits until the bus has been quiet for a while: the daemon has done
// everything that the last event gave it to do.
func (s *stage) settled(ctx context.Context) error {
	const quiet = 200 * time.Millisecond
	for {
		from := s.watch.recorder.Mark()
		pause, cancel := context.WithTimeout(ctx, quiet)
		_, err := s.watch.recorder.Wait(pause, from, func(*dbus.Message) bool { return true })
		cancel()
		if ctx.Err() != nil {
			return fmt.Errorf("the bus is never quiet: %w", ctx.Err())
		}
		if err != nil {
			return nil
		}
	}
}

// client measures the manager's own client, asking once and leaving.
func (s *stage) client(t *table) error {
	for range 5 {
		cmd := clientCommand(s.manager)
		cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+s.home.Bus.Address)
		began := time.Now()
		if _, err := s.home.Machine.Output(cmd); err != nil {
			return err
		}
		t.less(s.manager, "one-shot client", "ms", milliseconds(began, time.Now()))
	}
	return nil
}

func clientCommand(m lab.Manager) *exec.Cmd {
	switch m.Name {
	case lab.Ours().Name:
		return exec.Command(filepath.Join(filepath.Dir(m.Path), "connmanctl"), "services")
	case lab.Reference().Name:
		return exec.Command(filepath.Join(filepath.Dir(m.Path), "../bin/connmanctl"), "services")
	case lab.NetworkManager().Name:
		return exec.Command(filepath.Join(filepath.Dir(m.Path), "../bin/nmcli"), "-t", "device")
	}
	return exec.Command("networkctl", "--no-legend", "list")
}
