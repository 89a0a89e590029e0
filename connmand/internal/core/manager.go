package core

import (
	"log/slog"
	"net/netip"
	"slices"

	"net.connman/pkg/loop"
)

// Ports are what the domain needs from outside.
type Ports struct {
	Links           Links
	DHCP4           DHCP4
	DHCP6           DHCP6
	RouterDiscovery RouterDiscovery
	Conflicts       ConflictDetector
	LinkLocal       LinkLocal
	Prober          Prober
	Resolver        Resolver
	Hostnames       Hostnames
	Storage         Storage
	Agents          AgentCaller
	Radios          Radios // where switches are told of with SetRadio
	// OpaqueAddress makes an IPv6 address in a prefix of 64 bits that says
	// nothing of the hardware; nil has addresses made of that. Each attempt
	// gives another one.
	OpaqueAddress func(p netip.Prefix, network string, attempt int) netip.Prefix
}

// Manager is the root of the domain. All its methods, and those of what it
// holds, are for the loop.
type Manager struct {
	loop  *loop.Loop
	log   *slog.Logger
	cfg   Config
	ports Ports

	global      GlobalSettings
	globalDirty bool
	sessionMode bool
	stopping    bool
	// multicastDNS says that the resolver can ask and answer by multicast.
	multicastDNS bool

	technologies []*Technology
	radios       map[Type]Radio
	services     []*Service // in the order shown to users
	specs        []ServiceSpec
	specsKnown   bool // the provisioning files have been read
	agents       agents
	hidden       []string // SSIDs to ask for by name
	frequencies  []int    // of known networks
	knownLoaded  bool
	fallbackDNS  []netip.Addr
	tunnelOf     *ipv6            // who has the 6to4 tunnel
	wishes       map[string]*wish // VPNs to be connected, by service
	earlier      earlier

	changes   []Change
	marks     marks
	reordered bool

	settle settle
}

// New makes a manager with the settings of an earlier run. It adds its own
// end-of-turn work to the loop: add hooks that look at the result later.
func New(l *loop.Loop, log *slog.Logger, cfg Config, ports Ports, global GlobalSettings) *Manager {
	m := &Manager{loop: l, log: log, cfg: cfg, ports: ports, global: global, radios: map[Type]Radio{}, wishes: map[string]*wish{}}
	if m.global.Technologies == nil {
		m.global.Technologies = map[Type]TechnologySettings{}
	}
	m.fallbackDNS = parseAddrs(cfg.FallbackNameservers)
	m.agents.m = m
	m.settle.state = m.State()
	l.AtTurnEnd(m.endTurn)
	return m
}

// Services returns the services that users see, in order.
func (m *Manager) Services() []*Service { return m.services }

// Service returns the service called id, or nil.
func (m *Manager) Service(id string) *Service {
	for _, s := range m.services {
		if s.id == id {
			return s
		}
	}
	return nil
}

// Technologies returns the technologies that users see, in the order in which
// they appeared.
func (m *Manager) Technologies() []*Technology {
	return slices.DeleteFunc(slices.Clone(m.technologies), (*Technology).hidden)
}

// Technology returns the technology of type t, or nil.
func (m *Manager) Technology(t Type) *Technology {
	i := slices.IndexFunc(m.technologies, func(tech *Technology) bool { return tech.kind == t })
	if i < 0 {
		return nil
	}
	return m.technologies[i]
}

// State is the state of the whole machine: "offline", "idle", "ready" or
// "online".
func (m *Manager) State() string {
	best := "idle"
	if m.global.OfflineMode {
		best = "offline"
	}
	for _, s := range m.services {
		switch s.state {
		case Online:
			return string(Online)
		case Ready:
			best = string(Ready)
		}
	}
	return best
}

// OfflineMode reports whether all radios and links are to be off.
func (m *Manager) OfflineMode() bool { return m.global.OfflineMode }

// SetOfflineMode powers all technologies down, or back to what each of them
// was set to.
func (m *Manager) SetOfflineMode(on bool) {
	if m.global.OfflineMode == on {
		return
	}
	m.global.OfflineMode = on
	m.globalDirty = true
	m.mark(PropOfflineMode)
	m.markManagerState()
	for _, t := range m.technologies {
		t.despite = false
		t.applyWish()
	}
}

// SessionMode is kept for old programs and has no effect.
func (m *Manager) SessionMode() bool { return m.sessionMode }

// SetSessionMode stores the value that SessionMode returns.
func (m *Manager) SetSessionMode(on bool) { m.sessionMode = on }

// SetMulticastDNS says whether the machine's resolver can ask and answer by
// multicast, which depends on the program that resolves names.
func (m *Manager) SetMulticastDNS(can bool) {
	if m.multicastDNS == can {
		return
	}
	m.multicastDNS = can
	for _, s := range m.services {
		if s.settings.MDNS && s.state.Connected() {
			s.mark(PropMDNS)
		}
	}
}

func (m *Manager) markManagerState() {
	if state := m.State(); state != m.settle.state {
		m.settle.state = state
		m.mark(PropState)
	}
}

// defaultService is the service that carries the traffic for everything that
// no more specific route takes: the first one, when it is connected.
func (m *Manager) defaultService() *Service {
	if len(m.services) > 0 && m.services[0].state.Connected() {
		return m.services[0]
	}
	return nil
}

// Stop takes back what the daemon configured and switches the devices off;
// done runs when the kernel has been told. After it nothing connects any more.
func (m *Manager) Stop(done func()) {
	m.Detach()
	waiting := 1
	finish := func() {
		if waiting--; waiting > 0 {
			return
		}
		for len(m.technologies) > 0 {
			m.technologies[0].setPowered(false)
			m.removeTechnology(m.technologies[0])
		}
		done()
	}
	for _, t := range m.technologies {
		for _, d := range t.devices {
			waiting++
			d.shutdown(finish)
		}
	}
	clear(m.wishes)
	m.VPNsKnown()
	m.followShield()
	m.ports.Hostnames.SetHostname("")
	m.ports.Hostnames.SetDomainname("")
	finish()
}

// Stopping reports whether Stop or Detach was called.
func (m *Manager) Stopping() bool { return m.stopping }

// Detach ends the domain's work and leaves links, addresses, routes and leases
// as they are, for the next run of the daemon to take over.
func (m *Manager) Detach() {
	m.writeSettings()
	m.agents.releaseAll()
	m.stopping = true
}
