package main

import (
	"context"
	"slices"

	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

const (
	daemon  = "net.connman"
	manager = connman.InterfaceManager
	service = connman.InterfaceService
)

// wait runs l until a service that counts is connected and returns the exit
// status. The daemon may come later, or go and come back.
func wait(l *loop.Loop, conn *bus.Conn, o options) int {
	status := up
	end := func(with int) {
		status = with
		l.Quit()
	}
	check := func() {
		conn.Call(bus.MethodCall{Destination: daemon, Path: "/", Interface: manager, Member: "GetServices", NoAutoStart: true},
			func(reply []any, err error) {
				if err == nil && o.satisfied(reply) {
					end(up)
				}
			})
	}
	stateChanged := func(s bus.ReceivedSignal) {
		if len(s.Args) > 0 && s.Args[0] == "State" {
			check()
		}
	}
	// The daemon's own state does not tell when a second interface comes up.
	for _, iface := range []string{manager, service} {
		conn.Subscribe(bus.Match{Sender: daemon, Interface: iface, Member: "PropertyChanged"}, stateChanged)
	}
	conn.WatchName(daemon, func(owner string) {
		if owner != "" {
			check()
		}
	})
	conn.OnDisconnect(func(error) { end(noBus) })
	if o.timeout > 0 {
		l.After("timeout", o.timeout, func() { end(timedOut) })
	}
	l.Run(context.Background())
	return status
}

// satisfied reports whether one of the services that GetServices returned is
// connected through an interface that counts.
func (o options) satisfied(reply []any) bool {
	if len(reply) == 0 {
		return false
	}
	services, _ := reply[0].([]bus.Object)
	return slices.ContainsFunc(services, func(s bus.Object) bool {
		state, _ := bus.Lookup[string](s.Properties, "State")
		ethernet, _ := bus.Lookup[bus.Dict](s.Properties, "Ethernet")
		name, ok := bus.Lookup[string](ethernet, "Interface")
		return ok && (state == "ready" || state == "online") && o.counts(name)
	})
}

func (o options) counts(name string) bool {
	if slices.Contains(o.ignored, name) {
		return false
	}
	return len(o.interfaces) == 0 || slices.Contains(o.interfaces, name)
}
