package command

import (
	"io"
	"strings"

	"net.connman/connmanctl/internal/bus"
	"net.connman/connmanctl/internal/view"
)

// monitorable are the interfaces whose signals can be watched, behind the word
// of the option that names one alone.
var monitorable = []struct{ option, iface string }{
	{"services", serviceIface},
	{"tech", techIface},
	{"manager", managerIface},
	{"vpnmanager", vpnManagerIface},
	{"vpnconnection", vpnConnectionIface},
}

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
			s.watch(m.iface, on)
		}
	}
	return nil
}

func (s *Session) watch(iface string, on bool) {
	if s.monitored[iface] == on {
		return
	}
	rule := "type='signal',interface='" + iface + "'"
	if !on {
		delete(s.monitored, iface)
		s.Conn.RemoveMatch(rule)
		return
	}
	s.monitored[iface] = true
	s.Conn.AddMatch(rule, func(_ *bus.Message, err *bus.Error) {
		if err != nil {
			s.refused("", err)
		}
	})
}

// signal prints a signal of a watched interface.
func (s *Session) signal(m *bus.Message) {
	if !s.monitored[m.Interface] {
		return
	}
	source, what := m.Interface[strings.LastIndexByte(m.Interface, '.')+1:], view.ID(m.Path)
	switch m.Interface + "." + m.Member {
	case managerIface + ".ServicesChanged":
		view.Changed(s.Out, source, m.Member, func(w io.Writer) { view.Services(w, m.Arg(0), m.Arg(1)) })
		return
	case managerIface + ".PeersChanged":
		view.Changed(s.Out, source, m.Member, func(w io.Writer) { view.Peers(w, m.Arg(0), m.Arg(1)) })
		return
	case vpnManagerIface + ".ConnectionAdded", vpnManagerIface + ".ConnectionRemoved":
		source, what = "vpn.Manager", m.Member
	case managerIface + ".TechnologyAdded", managerIface + ".TechnologyRemoved":
		what = m.Member
	}
	view.Signal(s.Out, source, what, m.Values())
}
