package busapi

import (
	"log/slog"
	"strings"

	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
	"net.connman/vpnd/internal/core"
)

const (
	managerPath      = bus.ObjectPath("/")
	connectionPrefix = "/net/connman/vpn/connection/"
)

// API is the domain as the bus sees it.
type API struct {
	conn *bus.Conn
	log  *slog.Logger
	core *core.Manager

	shown  map[*core.Connection]bool
	agents map[string]func() // ends the watch of an agent's owner
	onCall func()
}

// New exports the domain on conn. Callers are served from the next turn on;
// onCall hears of each call.
func New(conn *bus.Conn, log *slog.Logger, m *core.Manager, importer Importer, onCall func()) (*API, error) {
	a := &API{
		conn: conn, log: log, core: m, onCall: onCall,
		shown: make(map[*core.Connection]bool), agents: make(map[string]func()),
	}
	if err := conn.ManageObjects(); err != nil {
		return nil, err
	}
	err := conn.Export(managerPath, a.heard(vpn.ServeManager(manager{a})), a.heard(vpn.ServeProvisioning(provisioning{a, importer})))
	if err != nil {
		return nil, err
	}
	a.announce() // who calls in the first turn finds what was kept
	conn.BeforeFlush(a.announce)
	a.followSplitRouting()
	return a, nil
}

// followSplitRouting takes over what users tell connmand, whose services have the
// same property.
func (a *API) followSplitRouting() {
	const prefix = "/net/connman/service/vpn_"
	a.conn.Subscribe(bus.Match{
		Sender: "net.connman", Interface: "net.connman.Service", Member: "PropertyChanged", Arg0: vpn.ConnectionSplitRouting,
	}, func(s bus.ReceivedSignal) {
		id, ours := strings.CutPrefix(string(s.Path), prefix)
		if c := a.core.Connection(id); ours && c != nil && len(s.Args) == 2 {
			if v, ok := s.Args[1].(bus.Variant); ok {
				if on, ok := v.Value.(bool); ok {
					c.FollowSplitRouting(on)
				}
			}
		}
	})
}

// heard has every call of an interface noticed.
func (a *API) heard(i bus.Interface) bus.Interface {
	methods := make([]bus.Method, len(i.Methods))
	for n, m := range i.Methods {
		handle := m.Handle
		m.Handle = func(call *bus.Call, args []any) {
			a.onCall()
			handle(call, args)
		}
		methods[n] = m
	}
	i.Methods = methods
	return i
}

// announce sends what changed during the turn.
func (a *API) announce() {
	for _, c := range a.core.TakeChanges() {
		path := pathOf(c.Connection)
		switch {
		case c.Kind == core.ConnectionAdded:
			a.added(c.Connection)
		case !a.shown[c.Connection]:
		case c.Kind == core.ConnectionRemoved:
			delete(a.shown, c.Connection)
			vpn.EmitManagerConnectionRemoved(a.conn, managerPath, path)
			a.conn.Unexport(path)
		case c.Property == core.PropState:
			vpn.EmitConnectionPropertyChanged(a.conn, path, c.Property, bus.Variant{Value: string(c.State)})
		default:
			if value := property(c.Connection, c.Property); value != nil {
				vpn.EmitConnectionPropertyChanged(a.conn, path, c.Property, bus.Variant{Value: value})
			}
		}
	}
}

// added shows a connection; of one that is shown already it is only told.
func (a *API) added(c *core.Connection) {
	path := pathOf(c)
	if !a.shown[c] {
		if err := a.conn.Export(path, a.heard(vpn.ServeConnection(connection{a, c}))); err != nil {
			a.log.Error("cannot show connection", "err", err)
			return
		}
		a.shown[c] = true
	}
	vpn.EmitManagerConnectionAdded(a.conn, managerPath, path, properties(c))
}

func pathOf(c *core.Connection) bus.ObjectPath { return bus.ObjectPath(connectionPrefix + c.ID()) }

// confirm answers a call that changed settings: once they would survive a
// crash.
func (a *API) confirm(call *bus.Call, err error) {
	if err != nil {
		answer(call, err)
		return
	}
	a.core.Persist(func() { call.Reply() })
}
