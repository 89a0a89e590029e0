package core

import (
	"log/slog"
	"slices"

	"net.connman/pkg/loop"
)

// Manager is the domain.
type Manager struct {
	loop  *loop.Loop
	log   *slog.Logger
	cfg   Config
	ports Ports

	kinds       map[string]kind
	connections []*Connection // in the order in which they came
	agents      agents
	changes     changes
	// ending are the attempts of connections that were removed, by identifier: a
	// new connection of that name waits until they have ended.
	ending  map[string]*attempt
	begun   bool     // connections may connect
	early   []func() // who wanted one to before that
	stopped func()   // called when the last attempt has ended, nil until Stop
}

// kind is a type of connections.
type kind struct {
	provider Provider
	keys     []Key // AuthErrorLimit first
}

func (k kind) key(name string) (Key, bool) {
	i := slices.IndexFunc(k.keys, func(key Key) bool { return key.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return k.keys[i], true
}

// New returns the domain with the connections that were kept. Those of a type
// that no provider makes are left out, and stay where they are kept.
func New(l *loop.Loop, log *slog.Logger, cfg Config, ports Ports, providers []Provider, kept []Saved) *Manager {
	m := &Manager{
		loop: l, log: log, cfg: cfg, ports: ports,
		kinds:  make(map[string]kind),
		ending: make(map[string]*attempt),
	}
	m.agents.m = m
	for _, p := range providers {
		m.kinds[p.Type()] = kind{p, KeysOf(p)}
	}
	for _, s := range kept {
		m.restore(s)
	}
	return m
}

// Begin lets connections connect: before it nothing on the machine is changed.
// Who wants to sooner waits.
func (m *Manager) Begin() {
	m.begun = true
	m.runEarly()
}

func (m *Manager) runEarly() {
	early := m.early
	m.early = nil
	for _, fn := range early {
		fn()
	}
}

// Connections lists the connections in the order in which they came.
func (m *Manager) Connections() []*Connection { return m.connections }

// Connection returns the connection called id, or nil.
func (m *Manager) Connection(id string) *Connection {
	for _, c := range m.connections {
		if c.id == id {
			return c
		}
	}
	return nil
}

// Busy reports whether the daemon is of use to anybody: there are connections,
// which connmand shows as services as long as we are there, or tunnels that end, or
// an agent waits to be asked.
func (m *Manager) Busy() bool {
	return len(m.agents.list) > 0 || len(m.ending) > 0 || len(m.connections) > 0
}

// Persist calls done when what was changed so far would survive a crash.
func (m *Manager) Persist(done func()) { m.ports.Storage.Sync(done) }

// Stop takes everything down and then calls done.
func (m *Manager) Stop(done func()) {
	m.stopped = done
	m.runEarly()
	for _, c := range m.connections {
		c.end("the daemon ends")
	}
	m.agents.releaseAll()
	m.checkStopped()
}

func (m *Manager) checkStopped() {
	active := slices.ContainsFunc(m.connections, func(c *Connection) bool { return c.attempt != nil })
	if m.stopped != nil && !active && len(m.ending) == 0 {
		m.stopped()
	}
}

func (m *Manager) add(c *Connection) {
	m.connections = append(m.connections, c)
	m.changes.added(c)
	m.log.Info("connection added", "id", c.id, "type", c.typ, "name", c.name)
}

// remove takes a connection away. Its tunnel ends by and by.
func (m *Manager) remove(c *Connection) {
	m.connections = slices.DeleteFunc(m.connections, func(o *Connection) bool { return o == c })
	m.changes.removed(c)
	m.log.Info("connection removed", "id", c.id)
	if a := c.attempt; a != nil {
		m.ending[c.id] = a
		c.end("the connection is removed")
	}
}
