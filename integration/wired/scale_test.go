//go:build netns

package wired

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"net.connman/integration/lab"
)

// crowd plugs in every cable at once and returns how long it took until every
// service was connected.
func (w *world) crowd() (time.Duration, error) {
	from, plugged := w.recorder.Mark(), time.Now()
	if err := w.Plug(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	connected := map[dbus.ObjectPath]bool{}
	last, err := w.recorder.Wait(ctx, from, func(m *dbus.Message) bool {
		noteStates(connected, m)
		return len(connected) == len(w.Links)
	})
	if err != nil {
		return 0, fmt.Errorf("%w; signals told of %d services; %v; %d links have a carrier", err, len(connected), w.allConnected(), w.carriers())
	}
	return last.At.Sub(plugged), nil
}

// carriers is how many of the machine's links the kernel says are running.
func (w *world) carriers() (n int) {
	w.t.Helper()
	links, err := w.Machine.Netlink.LinkList()
	must(w.t, err)
	for _, link := range links {
		if link.Type() == "veth" && link.Attrs().OperState == netlink.OperUp {
			n++
		}
	}
	return n
}

// noteStates keeps the set of connected services as a signal changes it.
func noteStates(connected map[dbus.ObjectPath]bool, m *dbus.Message) {
	note := func(service dbus.ObjectPath, state dbus.Variant) {
		switch state.Value() {
		case "ready", "online":
			connected[service] = true
		default:
			delete(connected, service)
		}
	}
	switch lab.Header(m, dbus.FieldInterface) + "." + lab.Header(m, dbus.FieldMember) {
	case "net.connman.Service.PropertyChanged":
		if m.Body[0] == "State" {
			note(dbus.ObjectPath(lab.Header(m, dbus.FieldPath)), m.Body[1].(dbus.Variant))
		}
	case "net.connman.Manager.ServicesChanged":
		for _, service := range m.Body[0].([][]any) {
			if state, ok := service[1].(map[string]dbus.Variant)["State"]; ok {
				note(service[0].(dbus.ObjectPath), state)
			}
		}
		for _, gone := range m.Body[1].([]dbus.ObjectPath) {
			delete(connected, gone)
		}
	}
}

// allConnected objects unless every link's service is listed and connected, and
// the kernel has its address.
func (w *world) allConnected() error {
	services := w.services()
	connected := 0
	for _, s := range services {
		if state := text(s.Props["State"]); state == "ready" || state == "online" {
			connected++
		}
	}
	if len(services) != len(w.Links) || connected != len(services) {
		return fmt.Errorf("%d services listed, %d connected, want %d", len(services), connected, len(w.Links))
	}
	for _, link := range w.Links {
		if err := withAddress(link); err != nil {
			return err
		}
	}
	return nil
}

// answerTimes asks the daemon every 10 ms until ctx ends and returns how long
// each answer took, the quickest first.
func (w *world) answerTimes(ctx context.Context) []time.Duration {
	var took []time.Duration
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			slices.Sort(took)
			return took
		case <-pace.C:
			asked := time.Now()
			if w.call("/", "net.connman.Manager.GetProperties").Err != nil {
				took = append(took, patience)
				continue
			}
			took = append(took, time.Since(asked))
		}
	}
}

// TestManyLinksAtOnce plugs in 50, 200 and 500 cables: every link is connected
// and listed, the bus is answered all the while, and memory stays small.
func TestManyLinksAtOnce(t *testing.T) {
	const (
		within = 10 * time.Second // the best peer needs 16 s for 500 on the same machine
		answer = 50 * time.Millisecond
		rss    = 20 // MB
	)
	for _, links := range []int{50, 200, 500} {
		t.Run(fmt.Sprint(links), func(t *testing.T) {
			w := newWorld(t, links, nil)
			must(t, w.Unplug())
			w.start()
			ctx, cancel := context.WithCancel(context.Background())
			times := make(chan []time.Duration)
			go func() { times <- w.answerTimes(ctx) }()
			took, err := w.crowd()
			cancel()
			answers := <-times
			must(t, err)
			must(t, w.allConnected())
			// The machine's two processors are busy with everybody's work: a
			// few answers may wait for them, not for us.
			usual := answers[len(answers)*9/10]
			if took > within || usual > answer {
				t.Errorf("took %v, 9 of 10 answers came within %v", took, usual)
			}
			w.until("little memory", func() error {
				if u := usage(t, w.daemon.Pid()); u.rss > rss {
					return fmt.Errorf("Rss is %.1f MB", u.rss)
				}
				return nil
			})
			u := usage(t, w.daemon.Pid())
			t.Logf("all connected after %.2f s, answers within %d ms (9 of 10) and %d ms, CPU %.1f s, Rss %.1f MB",
				took.Seconds(), usual.Milliseconds(), answers[len(answers)-1].Milliseconds(), u.cpu.Seconds(), u.rss)
		})
	}
}

// TestLostEventsAreRecovered has the kernel drop events while the daemon does
// not look: a second later it knows what happened meanwhile.
func TestLostEventsAreRecovered(t *testing.T) {
	w := newWorld(t, 2, nil)
	w.startOnline()
	w.until("both connected", w.allConnected)
	noise, err := w.Machine.Bridge("noise0", "192.0.2.1/24")
	must(t, err)

	w.daemon.Signal(syscall.SIGSTOP)
	must(t, w.Ports[0].Down())
	overflowed := lab.Eventually(patience, func() error {
		for i := range 1000 {
			must(t, w.Machine.Netlink.LinkSetMTU(noise.Link, 1400+i%2))
		}
		return w.netlinkDrops()
	})
	w.daemon.Signal(syscall.SIGCONT)
	must(t, overflowed)
	w.within(2*time.Second, "the lost carrier is noticed", func() error {
		if w.service(0) != nil {
			return errors.New("the service of the pulled cable is still listed")
		}
		return w.gone(w.Links[0])
	})
	w.untilState(1, "online")
	must(t, w.Ports[0].Up())
	w.until("both connected", w.allConnected)
}

// netlinkDrops objects as long as no route socket of the machine has lost a
// message.
func (w *world) netlinkDrops() error {
	for _, columns := range w.netlinkTable() {
		if columns[1] == "0" && columns[8] != "0" {
			return nil
		}
	}
	return errors.New("no socket has lost a message")
}

// netlinkTable is the machine's /proc/net/netlink: the columns hold, among
// others, protocol, port and drops.
func (w *world) netlinkTable() (rows [][]string) {
	w.t.Helper()
	table, err := w.Machine.Output(exec.Command("cat", "/proc/net/netlink"))
	must(w.t, err)
	for line := range strings.Lines(string(table)) {
		if columns := strings.Fields(line); len(columns) > 8 {
			rows = append(rows, columns)
		}
	}
	return rows
}

// TestCarrierFlaps pulls and plugs a cable 2,000 times: nothing grows, and the
// machine is online at the end.
func TestCarrierFlaps(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.startOnline()
	flap := func(times int) {
		for range times {
			must(t, w.Unplug())
			must(t, w.Plug())
		}
		w.untilState(0, "online")
	}
	flap(200) // whatever is made once is made now
	before := usage(t, w.daemon.Pid())
	flap(2000)
	w.until("nothing grew", func() error {
		const megabytes = 2
		after := usage(t, w.daemon.Pid())
		if after.fds > before.fds || after.threads > 24 || after.anonymous > before.anonymous+megabytes {
			return fmt.Errorf("descriptors, threads, MB: %d, %d, %.1f before and %d, %d, %.1f after",
				before.fds, before.threads, before.anonymous, after.fds, after.threads, after.anonymous)
		}
		return nil
	})
}
