package core

// Property names one property of a service, a technology or the manager, as
// far as it can change.
type Property uint8

// The properties, in the order of the API's documents.
const (
	PropState Property = iota
	PropSecurity
	PropError
	PropStrength
	PropFavorite
	PropImmutable
	PropAutoConnect
	PropName
	PropEthernet
	PropIPv4
	PropIPv4Configuration
	PropIPv6
	PropIPv6Configuration
	PropNameservers
	PropNameserversConfiguration
	PropTimeservers
	PropTimeserversConfiguration
	PropDomains
	PropDomainsConfiguration
	PropProxy
	PropProxyConfiguration
	PropMDNS
	PropMDNSConfiguration
	PropLastAddressConflict
	PropSplitRouting

	PropPowered
	PropConnected

	PropOfflineMode
)

// Change is one thing that became different during a turn. Exactly one of the
// embedded cases applies; they arrive in the order in which they happened.
type Change struct {
	Kind       ChangeKind
	Service    *Service    // for the service kinds
	Technology *Technology // for the technology kinds
	Property   Property    // for the property kinds
	State      State       // for PropState of a service: each step is reported
}

// ChangeKind says what changed.
type ChangeKind uint8

// The kinds of change.
const (
	ManagerProperty ChangeKind = iota
	TechnologyAdded
	TechnologyRemoved
	TechnologyProperty
	ServiceAdded
	ServiceRemoved
	ServiceProperty
	ServicesReordered
)

// marks remembers which properties of an object were already marked in this
// turn, so that each is reported once.
type marks uint32

func (m *marks) set(p Property) (fresh bool) {
	fresh = *m&(1<<p) == 0
	*m |= 1 << p
	return fresh
}

// TakeChanges returns what changed since the last call and forgets it.
func (m *Manager) TakeChanges() []Change {
	taken := m.changes
	m.changes = nil
	m.marks = 0
	m.reordered = false
	for _, c := range taken {
		if c.Service != nil {
			c.Service.marks = 0
		}
		if c.Technology != nil {
			c.Technology.marks = 0
		}
	}
	return taken
}

func (m *Manager) mark(p Property) {
	if m.marks.set(p) {
		m.changes = append(m.changes, Change{Kind: ManagerProperty, Property: p})
	}
}

func (m *Manager) markOrder() {
	if !m.reordered {
		m.reordered = true
		m.changes = append(m.changes, Change{Kind: ServicesReordered})
	}
}

func (t *Technology) mark(p Property) {
	if !t.hidden() && t.marks.set(p) {
		t.m.changes = append(t.m.changes, Change{Kind: TechnologyProperty, Technology: t, Property: p})
	}
}

func (s *Service) mark(p Property) {
	if s.marks.set(p) {
		s.m.changes = append(s.m.changes, Change{Kind: ServiceProperty, Service: s, Property: p})
	}
}

// markState reports every step: who watches a service wants to see that it
// went through disconnect, not only that it is idle.
func (s *Service) markState() {
	s.m.changes = append(s.m.changes,
		Change{Kind: ServiceProperty, Service: s, Property: PropState, State: s.state})
}
