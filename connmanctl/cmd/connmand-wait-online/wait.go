package main

import (
	"cmp"
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
	changed := func(s bus.ReceivedSignal) {
		if len(s.Args) == 0 {
			return
		}
		switch s.Args[0] {
		case connman.ServiceState, connman.ServiceIPv4, connman.ServiceIPv6:
			check()
		}
	}
	// The daemon's own state does not tell when a second interface comes up.
	for _, iface := range []string{manager, service} {
		conn.Subscribe(bus.Match{Sender: daemon, Interface: iface, Member: "PropertyChanged"}, changed)
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

// satisfied reports whether the services that GetServices returned are connected
// as wanted.
func (o options) satisfied(reply []any) bool {
	if len(reply) == 0 {
		return false
	}
	services, _ := reply[0].([]bus.Object)
	up := func(name, state string) bool {
		return slices.ContainsFunc(services, func(s bus.Object) bool { return o.connected(s.Properties, name, state) })
	}
	if len(o.wanted) == 0 {
		return up("", o.state)
	}
	alternatives, met := false, false // of those of which one is enough
	for _, w := range o.wanted {
		reached := up(w.name, cmp.Or(w.state, o.state))
		if w.state == "" || o.any {
			alternatives, met = true, met || reached
		} else if !reached {
			return false
		}
	}
	return met || !alternatives
}

// connected reports whether a service has reached a state on an interface, ""
// for any that is not ignored, and has an address of the family wanted.
func (o options) connected(properties bus.Dict, iface, state string) bool {
	ethernet, _ := bus.Lookup[bus.Dict](properties, connman.ServiceEthernet)
	name, ok := bus.Lookup[string](ethernet, connman.EthernetInterface)
	if !ok || slices.Contains(o.ignored, name) || iface != "" && name != iface {
		return false
	}
	reached, _ := bus.Lookup[string](properties, connman.ServiceState)
	return (reached == online || reached == state) && o.addressed(properties)
}

func (o options) addressed(properties bus.Dict) bool {
	if o.family == "any" {
		return true
	}
	config, _ := bus.Lookup[bus.Dict](properties, "IPv"+o.family)
	address, _ := bus.Lookup[string](config, connman.IPv4Address)
	return address != ""
}
