package command

import (
	"strings"

	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
)

// monitorable are the interfaces whose signals can be watched, behind the word
// of the option that names one alone.
var monitorable = []monitored{
	{"services", daemon, serviceIface},
	{"tech", daemon, techIface},
	{"manager", daemon, managerIface},
	{"vpnmanager", vpnDaemon, vpnManagerIface},
	{"vpnconnection", vpnDaemon, vpnConnectionIface},
}

type monitored struct{ option, daemon, iface string }

// monitor begins or ends watching signals: of one interface, or of all.
func monitor(s *Session, args []string) error {
	if len(args) > 2 {
		return errTooMany
	}
	on := true
	option := find(monitorOptions, arg(args, 0))
	if option == "" && len(args) > 0 {
		var known bool
		if on, known = onOff(args[0]); !known {
			return errInvalid
		}
	} else if off, known := onOff(arg(args, 1)); known {
		on = off
	}
	for _, m := range monitorable {
		if option == "" || option == m.option {
			s.watch(m, on)
		}
	}
	return nil
}

func (s *Session) watch(m monitored, on bool) {
	stop, watched := s.watched[m.iface]
	show := s.signal
	if s.json {
		show = func(r bus.ReceivedSignal) { view.JSONSignal(s.Out, r) }
	}
	switch {
	case on && !watched:
		s.watched[m.iface] = s.conn.Subscribe(bus.Match{Sender: m.daemon, Interface: m.iface}, show)
	case !on && watched:
		stop()
		delete(s.watched, m.iface)
	}
}

// signal prints a signal of a watched interface.
func (s *Session) signal(r bus.ReceivedSignal) {
	source, what := r.Interface[strings.LastIndexByte(r.Interface, '.')+1:], view.ID(string(r.Path))
	switch r.Interface + "." + r.Member {
	case managerIface + ".ServicesChanged":
		view.ServicesChanged(s.Out, source, r.Member, r.Args)
		return
	case managerIface + ".PeersChanged":
		view.PeersChanged(s.Out, source, r.Member, r.Args)
		return
	case vpnManagerIface + ".ConnectionAdded", vpnManagerIface + ".ConnectionRemoved":
		source, what = "vpn.Manager", r.Member
	case managerIface + ".TechnologyAdded", managerIface + ".TechnologyRemoved":
		what = r.Member
	}
	view.Signal(s.Out, source, what, r.Args)
}
