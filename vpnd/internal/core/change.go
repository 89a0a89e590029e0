package core

import "slices"

// ChangeKind says what a Change is about.
type ChangeKind int

// The kinds of changes.
const (
	ConnectionAdded ChangeKind = iota
	ConnectionRemoved
	PropertyChanged
)

// Change is something that clients should be told.
type Change struct {
	Kind       ChangeKind
	Connection *Connection
	Property   string // of PropertyChanged
	State      State  // of PropertyChanged with PropState: the state at that time
}

// The properties that every connection has, spelt as on the bus. The others are
// the keys of its provider.
const (
	PropState          = "State"
	PropType           = "Type"
	PropName           = "Name"
	PropHost           = "Host"
	PropIndex          = "Index"
	PropDomain         = "Domain"
	PropImmutable      = "Immutable"
	PropSplitRouting   = "SplitRouting"
	PropIPv4           = "IPv4"
	PropIPv6           = "IPv6"
	PropNameservers    = "Nameservers"
	PropUserRoutes     = "UserRoutes"
	PropServerRoutes   = "ServerRoutes"
	PropMTU            = "MTU"
	PropPAC            = "PAC"
	PropAuthErrorLimit = "AuthErrorLimit"
)

// readOnly are the properties that nobody sets.
var readOnly = []string{
	PropState, PropIndex, PropImmutable, PropIPv4, PropIPv6, PropNameservers, PropServerRoutes, PropMTU, PropPAC,
}

// changes collects what clients should be told at the end of the turn.
type changes struct{ list []Change }

// TakeChanges returns what changed since the last time, in order.
func (m *Manager) TakeChanges() []Change {
	list := m.changes.list
	m.changes.list = nil
	return list
}

func (l *changes) added(c *Connection) {
	l.list = append(l.list, Change{Kind: ConnectionAdded, Connection: c})
}

func (l *changes) removed(c *Connection) {
	l.list = append(l.list, Change{Kind: ConnectionRemoved, Connection: c})
}

// state tells every step of a connection's state.
func (l *changes) state(c *Connection) {
	l.list = append(l.list, Change{Kind: PropertyChanged, Connection: c, Property: PropState, State: c.state})
}

// property tells of a property's present value, once however often it changed.
func (l *changes) property(c *Connection, name string) {
	change := Change{Kind: PropertyChanged, Connection: c, Property: name}
	if !slices.Contains(l.list, change) {
		l.list = append(l.list, change)
	}
}
