package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"net.connman/integration/lab"
)

// measureProfiles starts a connmand that knows 1,000 wireless networks.
func measureProfiles(t *table, m lab.Manager) error {
	s, err := set(m, 1, saveProfiles)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err = s.startOnline(ctx); err == nil {
		var at time.Time
		at, err = s.watch.reached(ctx, 0, online)
		t.less(m, "1,000 saved services: start → online", "ms", milliseconds(s.daemon.Started, at))
	}
	return errors.Join(err, s.strike())
}

func saveProfiles(h *lab.Host) error {
	for i := range 1000 {
		id := fmt.Sprintf("wifi_027702990001_%08x_managed_psk", i)
		text := fmt.Sprintf("[%s]\nName=net%d\nSSID=%08x\nFrequency=2412\nFavorite=true\nAutoConnect=true\n"+
			"Modified=2026-01-02T03:04:05Z\nPassphrase=secret-%d\nIPv4.method=dhcp\nIPv6.method=auto\nIPv6.privacy=disabled\n", id, i, i, i)
		if err := h.WriteFile("/var/lib/connman/"+id+"/settings", text); err != nil {
			return err
		}
	}
	return nil
}

// measureCalls counts how many GetServices a second are answered.
func measureCalls(t *table, m lab.Manager) error {
	s, err := set(m, 1, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = s.startOnline(ctx)
	for _, connections := range []int{1, 8} {
		if err != nil {
			break
		}
		var rate float64
		rate, err = s.callRate(connections)
		t.more(m, fmt.Sprintf("GetServices, %d connections", connections), "calls/s", rate)
	}
	return errors.Join(err, s.strike())
}

// callRate keeps every connection busy with one call after the other.
func (s *stage) callRate(connections int) (float64, error) {
	const long = time.Second
	var calls atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, connections)
	callers := make([]*caller, connections)
	for i := range callers {
		c, err := newCaller(s.home.Bus.Address, "net.connman", "/", "net.connman.Manager.GetServices")
		if err != nil {
			return 0, err
		}
		defer c.close()
		callers[i] = c
	}
	began := time.Now()
	for i, c := range callers {
		all.Go(func() {
			for time.Since(began) < long && errs[i] == nil {
				errs[i] = c.call()
				calls.Add(1)
			}
		})
	}
	all.Wait()
	return float64(calls.Load()) / time.Since(began).Seconds(), errors.Join(errs...)
}

// measureIdle looks at a daemon that is connected and has nothing to do.
func measureIdle(t *table, m lab.Manager) error {
	s, err := set(m, 1, nil)
	if err != nil {
		return err
	}
	return errors.Join(s.idle(t), s.strike())
}

func (s *stage) idle(t *table) error {
	// Whoever looks for IPv6 routers as RFC 7559 says has done so for the sixth
	// time after about a minute, and does it again after the next.
	const settle, long = 70 * time.Second, 30 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.startOnline(ctx); err != nil {
		return err
	}
	time.Sleep(settle)
	before, err := wakeUps(s.daemon.Pid())
	if err != nil {
		return err
	}
	time.Sleep(long)
	after, err := wakeUps(s.daemon.Pid())
	if err != nil {
		return err
	}
	used, err := memory(s.daemon.Pid())
	if err != nil {
		return err
	}
	t.less(s.manager, "idle: wake-ups", "in 30 s", float64(after-before))
	t.less(s.manager, "idle: Rss", "MB", used.rss)
	t.less(s.manager, "idle: anonymous", "MB", used.anonymous)
	return nil
}

// measureLinks plugs in many cables at once.
func measureLinks(links int) func(*table, lab.Manager) error {
	return func(t *table, m lab.Manager) error {
		s, err := set(m, links, nil)
		if err != nil {
			return err
		}
		return errors.Join(s.crowd(t, links), s.strike())
	}
}

func (s *stage) crowd(t *table, links int) error {
	// Who isn't done after this long never is: the peers' addresses come in
	// bursts and stop.
	const most = 60 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, _, err := s.start(ctx); err != nil {
		return err
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	asked, err := s.inquire()
	if err != nil {
		return err
	}
	plugged := time.Now()
	if err := s.home.Plug(); err != nil {
		return err
	}
	err = lab.Eventually(most, func() error {
		if n := s.watch.linksWithAddress(); n != links {
			return fmt.Errorf("%d of %d links have an address", n, links)
		}
		return nil
	})
	took := time.Since(plugged)
	slowest, errAsking := asked.end()
	if err := errors.Join(err, errAsking); err != nil {
		return err
	}
	row := fmt.Sprintf("%d links: ", links)
	t.less(s.manager, row+"all have an address", "s", took.Seconds())
	t.less(s.manager, row+"slowest answer (goal 50)", "ms", float64(slowest.Microseconds())/1000)
	used, err := memory(s.daemon.Pid())
	if err != nil {
		return err
	}
	cpu, err := cpuTime(s.daemon.Pid())
	if err != nil {
		return err
	}
	t.less(s.manager, row+"CPU", "s", cpu.Seconds())
	t.less(s.manager, row+"Rss", "MB", used.rss)
	return nil
}
