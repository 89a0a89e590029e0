package core

import (
	"net/netip"

	"net.connman/pkg/logx"
	"net.connman/pkg/netcfg"
)

// Provider makes tunnels of one type. There is one for each type that the
// daemon knows, whether its program is installed or not. All of it is called on
// the loop and returns at once.
type Provider interface {
	// Type is the connections' Type, for example "openvpn".
	Type() string
	// Keys declares the settings that connections of this type have beyond
	// those that all have, in the order in which they are shown and saved.
	Keys() []Key
	// Check says what is wrong with the settings as a whole, for example that
	// a key is missing without which no tunnel can be made.
	Check(Settings) error
	// Missing says what the machine lacks for tunnels of this type: a program,
	// a kernel module. It is nil when there is nothing in the way.
	Missing() error
	// Connect begins to make a tunnel and reports on the loop what becomes of
	// it: any number of Up and Reconnecting and, at the very end, one Ended.
	Connect(req Request, report func(Event)) Attempt
}

// Attempt is a tunnel that is being made, or is there.
type Attempt interface {
	// Stop has the tunnel taken down. Ended follows when nothing of it is left:
	// no process, no link, no file; that takes as long as the program needs to
	// say goodbye, but never longer than some seconds.
	Stop()
}

// Request says what tunnel a provider should make.
type Request struct {
	ID       string // the connection's identifier, unique and fit for a file name
	Settings Settings
	// Refused counts the authentications that failed since the last success:
	// what is saved may be wrong when it is not 0.
	Refused int
	// Forgives says that one more refusal would not mean so, as they served not
	// long ago: it ends the attempt, and the user is not asked.
	Forgives bool
	Ask      Asker
}

// Settings are the settings of a connection by key, as clients and files write
// them: "Host", "OpenVPN.CACert". They have been checked one by one (Key.Check)
// and are not changed any more.
type Settings struct {
	Text    map[string]string      // keys that are not secret
	Secrets map[string]logx.Secret // keys that are
	Routes  []Route                // UserRoutes, and Networks of a provisioning file
}

// Key is a setting that the connections of a type have.
type Key struct {
	Name string // "OpenVPN.CACert"
	// Secret values are never shown, neither on the bus nor in the log. They are
	// saved when they were given by Create, SetProperty or a provisioning file, or
	// by an agent that wants it.
	Secret bool
	// Check says what is wrong with a value; nil takes any text of a line.
	Check func(value string) error
}

// Route is a route into the tunnel, from the user or from the VPN's server.
type Route struct {
	Dst     netip.Prefix // masked
	Gateway netip.Addr   // invalid: the tunnel itself
}

// Event is one of the events below.
type Event interface{ event() }

type (
	// Up says that the tunnel is there and how it wants to be configured. A
	// later one replaces what the former said.
	Up struct{ Tunnel Tunnel }
	// Reconnecting says that nothing passes the tunnel until the next Up. The
	// link stays if its program keeps it.
	Reconnecting struct{}
	// Ended says that the tunnel is gone and nothing of it is left.
	Ended struct {
		Cause Cause
		Err   error // what happened, for the log; nil when it was told to end
	}
)

func (Up) event()           {}
func (Reconnecting) event() {}
func (Ended) event()        {}

// Cause says why a tunnel ended.
type Cause int

const (
	// Stopped: it was told to, or its far end closed it in good order.
	Stopped Cause = iota
	// ConnectFailed: the server cannot be reached or talks nonsense, the program
	// died, the settings don't fit. The reference calls it "connect-failed".
	ConnectFailed
	// LoginFailed: the server does not let the user in ("login-failed").
	LoginFailed
	// AuthFailed: the credentials are wrong ("auth-failed"): others are asked for
	// next time.
	AuthFailed
)

// Tunnel is what a tunnel is and how its link should be configured, which is
// connmand's to do. The link is up.
type Tunnel struct {
	Index int // of the link
	// IPv4 and IPv6 are the tunnel's own addresses; either may be missing.
	// Gateway is the server's address outside the tunnel, the one that the uplink
	// must keep a route to.
	IPv4, IPv6 Address
	DNS        netcfg.DNSConfig // servers and domains
	PAC        string           // URL of a proxy configuration, "" if none
	Routes     []Route          // ServerRoutes
	// Split says that nothing but the Routes passes the tunnel: the connection has
	// SplitRouting, whether that was set or not.
	Split bool
	MTU   int // 0: the link's own
}

// has reports whether the tunnel has a property. Without it the connection has
// the one of its settings, or none.
func (t Tunnel) has(property string) bool {
	switch property {
	case PropIPv4:
		return t.IPv4.Prefix.IsValid()
	case PropIPv6:
		return t.IPv6.Prefix.IsValid()
	case PropNameservers:
		return len(t.DNS.Servers) > 0
	case PropDomain:
		return len(t.DNS.Domains) > 0
	case PropServerRoutes:
		return len(t.Routes) > 0
	case PropMTU:
		return t.MTU > 0
	case PropPAC:
		return t.PAC != ""
	}
	return false
}

// Address is one family's configuration of a tunnel.
type Address struct {
	Prefix  netip.Prefix // not masked; invalid: the family is not there
	Peer    netip.Addr   // the far end inside the tunnel, if it is known
	Gateway netip.Addr   // the server outside the tunnel, if it is of this family
}

// Asker asks the user for what a connection lacks.
type Asker interface {
	// Ask has an agent ask the user. The error is ErrNoAgent, ErrCanceled or
	// ErrTimeout. After cancel, done is not called.
	Ask(q Question, done func(Answer, error)) (cancel func())
}

// Question is what a provider needs to know of the user. The connection's name
// and host, and the control fields, are added to it.
type Question struct {
	Fields []Field
	// Failure says why the user is asked again (VpnAgent.AuthFailure), "" if it
	// is the first time.
	Failure string
	// Save offers the user to have the answers saved.
	Save bool
	// Keep has the agent keep what it knows although neither storing nor
	// retrieving is allowed (KeepCredentials), as for a key's passphrase.
	Keep bool
}

// Field is one thing to be asked for, see vpn-agent-api.txt.
type Field struct {
	Name        string   // "Username", "OpenConnect.Cookie"
	Type        string   // "string", "password", "boolean"
	Requirement string   // "mandatory", "optional", "alternate", "informational"
	Alternates  []string // of an alternate field
	Value       string   // of an informational one
	// Key is the setting in which the answer is saved, "" if it never is.
	Key string
}

// Answer is what the user said, by field.
type Answer map[string]logx.Secret
