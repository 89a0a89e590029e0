package command

import (
	"fmt"

	"net.connman/connmanctl/internal/agent"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
)

// Indexes into agentKinds.
const (
	forNetworks = iota
	forVPN
)

// agentKinds are the daemons that have agents, and what their agents are called.
var agentKinds = [2]struct {
	manager target
	name    string
}{
	forNetworks: {manager, "Agent"},
	forVPN:      {vpnManager, "VPN Agent"},
}

// registration is an agent of the client's at a daemon.
type registration struct {
	agent   *agent.Agent // nil before the first time
	on      bool
	unwatch func() // stops following the daemon; nil when it does not
}

func networkAgent(s *Session, args []string) error { return s.switchAgent(forNetworks, args) }
func vpnAgent(s *Session, args []string) error     { return s.switchAgent(forVPN, args) }

func (s *Session) switchAgent(kind int, args []string) error {
	if !s.Interactive {
		s.note(Misused)
		fmt.Fprintln(s.Err, "Error: Not supported in non-interactive mode")
		return nil
	}
	if len(args) > 1 {
		return errTooMany
	}
	on, ok := onOff(arg(args, 0))
	if !ok {
		return errInvalid
	}
	name := agentKinds[kind].name
	switch r := &s.agents[kind]; {
	case on && r.on:
		s.note(Misused)
		fmt.Fprintf(s.Err, "%s already registered\n", name)
	case !on && !r.on:
		s.note(Misused)
		fmt.Fprintf(s.Err, "%s not registered\n", name)
	case on:
		return s.registerAgent(kind)
	default:
		s.unregisterAgent(kind)
	}
	return nil
}

func (s *Session) registerAgent(kind int) error {
	if err := s.serveAgent(kind); err != nil {
		return err
	}
	name := agentKinds[kind].name
	s.call(agentKinds[kind].manager, "RegisterAgent", "registering "+name, func([]any) {
		fmt.Fprintf(s.Out, "%s registered\n", name)
		s.agents[kind].on = true
		s.followDaemon(kind)
	}, ownPath())
	return nil
}

func (s *Session) unregisterAgent(kind int) {
	name := agentKinds[kind].name
	s.call(agentKinds[kind].manager, "UnregisterAgent", "unregistering "+name, func([]any) {
		s.agents[kind].end()
		fmt.Fprintf(s.Out, "%s unregistered\n", name)
	}, ownPath())
}

func (r *registration) end() {
	r.on = false
	if r.unwatch != nil {
		r.unwatch()
		r.unwatch = nil
	}
}

// serveAgent makes the agent's object available, once for all.
func (s *Session) serveAgent(kind int) error {
	r := &s.agents[kind]
	if r.agent != nil {
		return nil
	}
	if s.desk == nil {
		s.desk = agent.NewDesk(s.Out, s.Person)
	}
	var iface bus.Interface
	if kind == forVPN {
		r.agent = agent.NewVPN(s.desk, r.end)
		iface = vpn.ServeAgent(r.agent)
	} else {
		r.agent = agent.NewNetwork(s.desk, r.end)
		iface = connman.ServeAgent(r.agent)
	}
	return s.conn.Export(ownPath(), iface)
}

// followDaemon drops what a daemon asked when it leaves the bus, and makes the
// agent known again when it comes back.
func (s *Session) followDaemon(kind int) {
	r, daemon := &s.agents[kind], agentKinds[kind].manager
	lost := false
	r.unwatch = s.conn.WatchName(daemon.daemon, func(owner string) {
		switch {
		case owner == "":
			lost = true
			r.agent.Gone()
		case lost:
			s.call(daemon, "RegisterAgent", "registering "+agentKinds[kind].name, nothing, ownPath())
		}
	})
}
