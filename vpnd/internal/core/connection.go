package core

import (
	"maps"
	"slices"
	"strings"
	"time"

	"net.connman/pkg/logx"
)

// Connection is one VPN.
type Connection struct {
	m    *Manager
	id   string
	typ  string
	kind kind
	spec *Spec // what provisioned it, nil if nothing did

	name, host, domain string
	split              bool
	text               map[string]string
	secrets            map[string]logx.Secret
	routes             []Route

	state   State
	index   int     // of the link; 0 before there was one, -1 after
	tunnel  *Tunnel // nil unless it is up
	last    Tunnel  // that clients were told of: that it ends, only the state says
	attempt *attempt

	refused int       // authentications that failed since the last success
	lastUp  time.Time // of the loop; zero if what went wrong since is no matter of credentials
}

func (m *Manager) newConnection(id, typ string) *Connection {
	return &Connection{
		m: m, id: id, typ: typ, kind: m.kinds[typ], state: Idle,
		text: make(map[string]string), secrets: make(map[string]logx.Secret),
	}
}

// ID is the identifier, the last part of the object's path.
func (c *Connection) ID() string { return c.id }

// Type is the provider's.
func (c *Connection) Type() string { return c.typ }

// Name is what people call the connection.
func (c *Connection) Name() string { return c.name }

// Host is the server's name or address.
func (c *Connection) Host() string { return c.host }

// Domain is the one that the server named, or several with blanks between, or else
// the one of the settings; "" if there is none.
func (c *Connection) Domain() string {
	if c.tunnel != nil && len(c.tunnel.DNS.Domains) > 0 {
		return strings.Join(c.tunnel.DNS.Domains, " ")
	}
	return c.domain
}

// State is how far the connection is.
func (c *Connection) State() State { return c.state }

// Index is that of the tunnel's link: 0 if there never was one, -1 if there is
// none any more.
func (c *Connection) Index() int { return c.index }

// Immutable reports whether a provisioning file made the connection.
func (c *Connection) Immutable() bool { return c.spec != nil }

// SplitRouting reports whether only the routes lead into the tunnel: because it
// was set, or because nothing else passes.
func (c *Connection) SplitRouting() bool { return c.split || c.tunnel != nil && c.tunnel.Split }

// setTunnel says what tunnel there is, nil if there is none.
func (c *Connection) setTunnel(t *Tunnel, index int) {
	split := c.SplitRouting()
	c.tunnel, c.index = t, index
	if c.SplitRouting() != split {
		c.m.changes.property(c, PropSplitRouting)
	}
}

// Tunnel is how the link should be configured; all of it is zero while there is
// no tunnel.
func (c *Connection) Tunnel() Tunnel {
	if c.tunnel == nil {
		return Tunnel{}
	}
	return *c.tunnel
}

// UserRoutes are the user's routes.
func (c *Connection) UserRoutes() []Route { return c.routes }

// Shown are the settings that are no secret, in the provider's order.
func (c *Connection) Shown() []Value {
	var list []Value
	for _, k := range c.kind.keys {
		if v := c.text[k.Name]; v != "" {
			list = append(list, Value{k.Name, logx.Secret(v)})
		}
	}
	return list
}

// Setting returns a setting that is no secret, "" if there is none.
func (c *Connection) Setting(key string) string { return c.text[key] }

// settings are what a provider works with: a copy.
func (c *Connection) settings() Settings {
	return withOwn(Settings{c.text, maps.Clone(c.secrets), slices.Clone(c.routes)}, c.name, c.host, c.domain)
}

// save keeps the connection. Whoever changes a setting wants another try: a
// failure is forgotten, and what served before may not any more.
func (c *Connection) save() {
	c.refused, c.lastUp = 0, time.Time{}
	if c.state == Failure {
		c.setState(Idle, "settings changed")
	}
	c.keep()
}

// keep writes the connection, unless a provisioning file has it.
func (c *Connection) keep() {
	if c.spec != nil {
		return
	}
	s := Saved{
		ID: c.id, Type: c.typ, Name: c.name, Host: c.host, Domain: c.domain,
		SplitRouting: c.split, Routes: slices.Clone(c.routes),
	}
	for _, k := range c.kind.keys {
		value := logx.Secret(c.text[k.Name])
		if k.Secret {
			value = c.secrets[k.Name]
		}
		s.Values = append(s.Values, Value{k.Name, value})
	}
	c.m.ports.Storage.Save(s)
}
