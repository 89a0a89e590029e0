package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"net.connman/integration/home"
	"net.connman/integration/lab"
)

// level is how far a machine is, as its manager tells.
type level int

const (
	down level = iota
	ready
	online
)

// levelOf reads a manager's own words off a signal; known is false for any
// other message.
func levelOf(m *dbus.Message) (l level, known bool) {
	if m.Type != dbus.TypeSignal {
		return 0, false
	}
	switch lab.Header(m, dbus.FieldInterface) + "." + lab.Header(m, dbus.FieldMember) {
	case "net.connman.Manager.PropertyChanged":
		if m.Body[0] != "State" {
			return 0, false
		}
		return connmanLevel(m.Body[1].(dbus.Variant).Value().(string)), true
	case "org.freedesktop.NetworkManager.StateChanged":
		return nmLevel(m.Body[0].(uint32)), true
	case "org.freedesktop.DBus.Properties.PropertiesChanged":
		if m.Body[0] != "org.freedesktop.network1.Manager" {
			return 0, false
		}
		state, ok := m.Body[1].(map[string]dbus.Variant)["OperationalState"]
		if !ok {
			return 0, false
		}
		return networkdLevel(state.Value().(string)), true
	}
	return 0, false
}

func connmanLevel(state string) level {
	switch state {
	case "ready":
		return ready
	case "online":
		return online
	}
	return down
}

// nmLevel reads NMState: 60 is a connection without the Internet, 70 with it.
func nmLevel(state uint32) level {
	switch {
	case state >= 70:
		return online
	case state >= 50:
		return ready
	}
	return down
}

// networkdLevel knows no online: networkd doesn't check.
func networkdLevel(state string) level {
	if state == "routable" {
		return ready
	}
	return down
}

// probe is the first question asked of a manager: its state.
func probe(m lab.Manager) (path dbus.ObjectPath, method string, args []any) {
	const get = "org.freedesktop.DBus.Properties.Get"
	switch m.BusName {
	case "org.freedesktop.NetworkManager":
		return "/org/freedesktop/NetworkManager", get, []any{m.BusName, "State"}
	case "org.freedesktop.network1":
		return "/org/freedesktop/network1", get, []any{m.BusName + ".Manager", "OperationalState"}
	}
	return "/", "net.connman.Manager.GetProperties", nil
}

// observer watches a home from outside: the bus and the machine's kernel.
type observer struct {
	home     *home.Home
	recorder *lab.Recorder
	end      chan struct{}

	mu        sync.Mutex // guards what follows
	addresses []addressChange
	addressed map[int]bool // links that have an address, by index
	changed   chan struct{}
}

// addressChange is an IPv4 address that came or went.
type addressChange struct {
	at    time.Time
	index int
	added bool
}

func observe(h *home.Home) (*observer, error) {
	o := &observer{home: h, end: make(chan struct{}), addressed: map[int]bool{}, changed: make(chan struct{})}
	var err error
	if o.recorder, err = h.Bus.Record(); err != nil {
		return nil, err
	}
	updates := make(chan netlink.AddrUpdate, 1<<12)
	err = h.Machine.Do(func() error {
		return netlink.AddrSubscribeWithOptions(updates, o.end, netlink.AddrSubscribeOptions{ReceiveBufferSize: 8 << 20, ReceiveBufferForceSize: true})
	})
	if err != nil {
		o.recorder.Close()
		return nil, fmt.Errorf("cannot watch addresses: %w", err)
	}
	go func() {
		for update := range updates {
			if len(update.LinkAddress.IP) == 4 && update.Scope == unix.RT_SCOPE_UNIVERSE {
				o.note(addressChange{at: time.Now(), index: update.LinkIndex, added: update.NewAddr})
			}
		}
	}()
	return o, nil
}

func (o *observer) note(change addressChange) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addresses = append(o.addresses, change)
	if change.added {
		o.addressed[change.index] = true
	} else {
		delete(o.addressed, change.index)
	}
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *observer) close() {
	close(o.end)
	o.recorder.Close()
}

// address waits until an address came or went after a moment, and says when.
func (o *observer) address(ctx context.Context, after time.Time, added bool) (time.Time, error) {
	for {
		o.mu.Lock()
		changes, changed := o.addresses, o.changed
		o.mu.Unlock()
		for _, change := range changes {
			if change.added == added && change.at.After(after) {
				return change.at, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("no address change: %w", ctx.Err())
		}
	}
}

// linksWithAddress is how many interfaces have been given an address.
func (o *observer) linksWithAddress() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.addressed)
}

// reached waits until the manager says, in a record from position from on,
// that it is at least at a level.
func (o *observer) reached(ctx context.Context, from int, want level) (time.Time, error) {
	record, err := o.recorder.Wait(ctx, from, func(m *dbus.Message) bool {
		l, known := levelOf(m)
		return known && l >= want
	})
	return record.At, err
}
