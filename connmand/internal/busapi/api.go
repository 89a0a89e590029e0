package busapi

import (
	"log/slog"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

const (
	managerPath    = bus.ObjectPath("/")
	servicePrefix  = "/net/connman/service/"
	technologyPath = "/net/connman/technology/"
)

// servicesInterval is the least time between two ServicesChanged; as each of them
// lists every service, it is servicesEach for each where that is longer.
const (
	servicesInterval = 100 * time.Millisecond
	servicesEach     = 500 * time.Microsecond
)

// API is the domain as the bus sees it.
type API struct {
	conn *bus.Conn
	loop *loop.Loop
	log  *slog.Logger
	core *core.Manager

	services services
	agents   map[string]func() // ends the watch of an agent's owner
}

// New exports the domain on conn. Callers are served from the next turn on.
func New(conn *bus.Conn, l *loop.Loop, log *slog.Logger, m *core.Manager) (*API, error) {
	a := &API{conn: conn, loop: l, log: log, core: m, agents: map[string]func(){}}
	a.services.init(a)
	if err := conn.ManageObjects(); err != nil {
		return nil, err
	}
	if err := conn.Export(managerPath, connman.ServeManager(manager{a}), connman.ServeDiagnostics(diagnostics{a})); err != nil {
		return nil, err
	}
	conn.BeforeFlush(a.announce)
	return a, nil
}

// announce sends what changed during the turn.
func (a *API) announce() {
	for _, c := range a.core.TakeChanges() {
		switch c.Kind {
		case core.ManagerProperty:
			a.managerChanged(c.Property)
		case core.TechnologyAdded:
			a.technologyAdded(c.Technology)
		case core.TechnologyRemoved:
			a.technologyRemoved(c.Technology)
		case core.TechnologyProperty:
			a.technologyChanged(c.Technology, c.Property)
		case core.ServiceAdded:
			a.services.added(c.Service)
		case core.ServiceRemoved:
			a.services.removed(c.Service)
		case core.ServiceProperty:
			a.services.changed(c)
		case core.ServicesReordered:
			a.services.reordered()
		}
	}
	a.services.send()
}

// answer answers a call that has nothing to return.
func answer(call *bus.Call, err error) {
	if err != nil {
		call.Error(busError(err))
		return
	}
	call.Reply()
}

// confirm answers a call that changed settings: once they would survive a
// crash.
func (a *API) confirm(call *bus.Call, err error) {
	if err != nil {
		answer(call, err)
		return
	}
	a.core.Persist(func() { call.Reply() })
}

// boolean calls set with the value if it is one.
func boolean(value bus.Variant, set func(bool) error) error {
	b, ok := value.Value.(bool)
	if !ok {
		return core.ErrInvalidArguments
	}
	return set(b)
}

// texts calls set with the value if it is a list of strings.
func texts(value bus.Variant, set func([]string) error) error {
	list, ok := value.Value.([]string)
	if !ok {
		return core.ErrInvalidArguments
	}
	return set(list)
}
