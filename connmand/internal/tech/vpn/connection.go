package vpn

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// The states of a connection, as the daemon calls them.
const (
	stateIdle       = "idle"
	stateFailure    = "failure"
	stateConnecting = "configuration"
	stateReady      = "ready"
	stateLeaving    = "disconnect"
)

const (
	// leaveTimeout is how long the daemon may take to end a connection.
	leaveTimeout = 10 * time.Second
	// reasonTimeout is how long after a failure the daemon may take to say why.
	reasonTimeout = time.Second
)

// connection is one VPN that the daemon knows.
type connection struct {
	b       *bearer
	owner   string // of the daemon's name
	path    bus.ObjectPath
	ident   string
	network *core.Network
	gone    bool

	info    core.VPNInfo
	name    string
	state   string
	said    tunnel
	open    bool // core knows of the tunnel
	touched bool // it is to be looked at, once for all that changed
	telling int  // calls of ours under way that say how the VPN is split

	attempt *attempt    // of core's to connect
	leaving []func()    // wait until it is left
	timeout *loop.Timer // ends their wait
}

// attempt is an attempt of core's to connect.
type attempt struct {
	caller string
	done   func(error)
	called bool
	cancel func()
	reason *loop.Timer // runs once it failed, until the daemon says why
}

// tunnel is what the daemon says of a connection's tunnel.
type tunnel struct {
	index      int
	mtu        int
	ipv4, ipv6 core.TunnelEnd
	servers    []netip.Addr
	domains    []string
	pac        string
	user, far  []netcfg.Route // routes of the user's and of the server's
}

// title is what users call the connection.
func (c *connection) title() string {
	switch {
	case c.name != "":
		return c.name
	case c.info.Host != "":
		return c.info.Host
	}
	return c.ident
}

// take takes in one property and does what follows.
func (c *connection) take(name string, value any) {
	before := c.state
	info := c.info
	c.note(name, value)
	if c.state == stateConnecting && before != stateConnecting {
		// Another tunnel may lack what the last one had, and nobody says so.
		c.said = tunnel{index: c.said.index, domains: c.said.domains, user: c.said.user}
	}
	if c.info != info {
		c.network.SetVPN(c.info)
	}
	c.follow(before)
}

// note notes one property. What has the wrong type or makes no sense counts as
// not said.
func (c *connection) note(name string, value any) {
	if err := c.read(name, value); err != nil {
		c.b.Log.Warn("the VPN daemon says what cannot be", "vpn", c.ident, "property", name, "err", err)
	}
}

// follow does what the state asks for; before is what it was.
func (c *connection) follow(before string) {
	switch {
	case c.state == before:
		c.touch()
	case c.state == stateReady:
		c.touch()
	case c.state == stateConnecting:
		if c.attempt == nil {
			c.network.TunnelOpening()
		}
	case c.state == stateLeaving:
		c.closed()
	default:
		c.closed()
		c.left()
		c.begin()
	}
}

// touch has the tunnel looked at once all that changed together is known.
func (c *connection) touch() {
	if c.touched || c.state != stateReady {
		return
	}
	c.touched = true
	c.b.Loop.Post("VPN tunnel", func() {
		c.touched = false
		if !c.gone {
			c.look()
		}
	})
}

// look tells core of the tunnel, if it is there by now.
func (c *connection) look() {
	l, known := c.b.links[c.said.index]
	addressed := c.said.ipv4.Addr.Prefix.IsValid() || c.said.ipv6.Addr.Prefix.IsValid()
	if c.state != stateReady || !known || !addressed {
		return
	}
	c.end()
	c.open = true
	s := c.said
	c.network.TunnelOpen(core.Tunnel{
		Link: core.Link{Index: l.Index, Name: l.Name, Addr: core.HardwareAddr(l.HardwareAddr)},
		MTU:  s.mtu, LinkMTU: l.MTU,
		IPv4: s.ipv4, IPv6: s.ipv6,
		DNS:    netcfg.DNSConfig{Servers: s.servers, Domains: s.domains},
		PAC:    s.pac,
		Routes: c.routes(),
	})
}

// routes are the user's and then the server's, as many as the kernel is asked to
// take.
func (c *connection) routes() []netcfg.Route {
	all := slices.Concat(c.said.user, c.said.far)
	if len(all) > maxRoutes {
		c.b.Log.Warn("too many routes for a VPN, the last ones are left out", "vpn", c.ident, "routes", len(all), "limit", maxRoutes)
		all = all[:maxRoutes]
	}
	return all
}

// closed tells core that the tunnel is gone, or that it will not come about.
func (c *connection) closed() {
	a := c.attempt
	switch {
	case a != nil && a.called && !c.open:
		if a.reason == nil {
			a.reason = c.b.Loop.After("VPN failed", reasonTimeout, func() { c.fail(core.ErrFailed) })
		}
		return
	case a != nil:
		return // it has not begun
	}
	c.open = false
	c.network.TunnelClosed()
}

// linkGone follows that a link vanished.
func (c *connection) linkGone(index int) {
	if !c.open || index != c.said.index {
		return
	}
	c.b.Log.Info("the tunnel's interface is gone", "vpn", c.ident)
	c.open = false
	c.network.TunnelClosed() // which has the daemon end it
}

// Connect implements [core.NetworkDriver].
func (c *connection) Connect(cred core.Credentials, done func(error)) {
	c.end()
	c.attempt = &attempt{caller: cred.Caller, done: done}
	switch c.state {
	case stateReady, stateConnecting: // as another program wanted it
		c.attempt.called = true
		c.touch()
	default:
		c.begin()
	}
}

// begin has the daemon connect, once it has ended what was before.
func (c *connection) begin() {
	a := c.attempt
	if a == nil || a.called || c.state == stateLeaving || c.gone {
		return
	}
	a.called = true
	call := vpn.ConnectionConnectCall(c.owner, c.path)
	if a.caller != "" {
		call = vpn.ConnectionConnect2Call(c.owner, c.path, a.caller)
	}
	call.Timeout = -1 // core ends the attempt
	a.cancel = c.b.Bus.Call(call, func(_ []any, err error) {
		a.cancel = nil
		if c.attempt == a && err != nil {
			c.refused(err)
		}
	})
}

// refused follows that the daemon does not connect.
func (c *connection) refused(err error) {
	switch errorKind(err) {
	case "InProgress", "AlreadyConnected":
		c.touch() // its state says how that goes on
	case "OperationCanceled": // by the user; OperationAborted is the daemon's affair
		c.fail(core.ErrAborted)
	default:
		c.fail(err)
	}
}

// errorKind is an error's name without what it belongs to: old daemons and new
// ones put it under different interfaces.
func errorKind(err error) string {
	var e *bus.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Name[strings.LastIndexByte(e.Name, '.')+1:]
}

// fail ends core's attempt.
func (c *connection) fail(err error) {
	a := c.attempt
	if a == nil {
		return
	}
	c.end()
	a.done(err)
}

// end forgets core's attempt.
func (c *connection) end() {
	a := c.attempt
	if a == nil {
		return
	}
	c.attempt = nil
	a.reason.Stop()
	if a.cancel != nil {
		a.cancel()
	}
}

// Disconnect implements [core.NetworkDriver].
func (c *connection) Disconnect() { c.Leave(func() {}) }

// Leave implements [core.SlowDriver].
func (c *connection) Leave(done func()) {
	called := c.attempt != nil && c.attempt.called
	c.end()
	c.open = false
	active := c.state == stateReady || c.state == stateConnecting || called
	if c.gone || !active && c.state != stateLeaving {
		c.b.Loop.Post("VPN left", done)
		return
	}
	c.leaving = append(c.leaving, done)
	if c.state == stateLeaving && !called {
		c.awaitEnd()
		return
	}
	c.state = stateLeaving
	c.awaitEnd()
	c.b.Bus.Call(vpn.ConnectionDisconnectCall(c.owner, c.path), func(_ []any, err error) {
		if err != nil && !c.gone && c.state == stateLeaving {
			c.b.Log.Debug("the VPN daemon does not disconnect", "vpn", c.ident, "err", err)
			c.ended() // there is nothing to end
		}
	})
}

// awaitEnd bounds the wait for the daemon.
func (c *connection) awaitEnd() {
	c.timeout.Stop()
	c.timeout = c.b.Loop.After("VPN disconnect", leaveTimeout, func() {
		c.b.Log.Warn("the VPN daemon does not end a connection", "vpn", c.ident)
		c.ended()
	})
}

// ended follows that the daemon has ended the connection, or will not.
func (c *connection) ended() {
	c.state = stateIdle
	c.left()
	c.begin()
}

// left answers those who wait until the connection is left.
func (c *connection) left() {
	c.timeout.Stop()
	leaving := c.leaving
	c.leaving = nil
	for _, done := range leaving {
		done()
	}
}

// SetSplit implements [core.SplitDriver].
func (c *connection) SetSplit(on bool) {
	if c.gone || c.info.Split == on {
		return
	}
	c.info.Split = on
	c.telling++
	call := vpn.ConnectionSetPropertyCall(c.owner, c.path, vpn.ConnectionSplitRouting, bus.Variant{Value: on})
	c.b.Bus.Call(call, func(_ []any, err error) {
		c.telling--
		if err != nil {
			c.b.Log.Debug("the VPN daemon does not remember split routing", "vpn", c.ident, "err", err)
		}
	})
}
