package dnsproxy

import (
	"net/netip"
	"time"

	"net.connman/connmand/internal/dnstls"
	"net.connman/pkg/netcfg"
)

// Config says whom to ask and how. The zero value asks nobody: only names that
// are answered locally resolve, everything else fails at once.
//
// A Config that was given to [Proxy.Set] must not be changed any more.
type Config struct {
	// Scopes in service order, the default service first.
	Scopes []Scope
	// Fallback has the servers to ask when no scope without Split has any.
	Fallback Scope

	// Hostname and Domain are the machine's own names, without a final dot.
	// Hostname, and Hostname.Domain, are answered with loopback addresses.
	Hostname, Domain string

	// CacheBytes bounds the memory of the cache; 0 is DefaultCacheBytes,
	// a negative value means no cache.
	CacheBytes int
	// MinTTL and MaxTTL clamp how long an answer is kept; answers are handed
	// on with their clamped TTL. A MaxTTL of 0 is DefaultMaxTTL.
	MinTTL, MaxTTL time.Duration
	// ServeStale answers from expired records when no server answers in time
	// (RFC 8767).
	ServeStale bool
	// Randomize0x20 asks in random letter case and wants it back: more bits
	// for an attacker to guess, which a few broken servers don't return.
	Randomize0x20 bool
}

// Scope is what one service contributes.
type Scope struct {
	Link    string           // sockets to its servers are bound to this link; "" for none
	Servers []netip.AddrPort // in the order in which they are asked
	// TLS says whether they are asked over TLS; "" is ClearText. Names are what
	// their certificates have to be for, where that is not their address.
	TLS   netcfg.DNSOverTLS
	Names map[netip.Addr]string

	// Search lists domains to try behind single-label names.
	Search []string
	// Domains are asked here, with all names below them, and nowhere else.
	// The most specific domain of all scopes wins; for one that several scopes
	// name, the first scope's servers are asked first. A domain of the private
	// address space (168.192.in-addr.arpa) or of special use also lifts the
	// local answers for it.
	Domains []string
	// Split keeps all other names away from this scope's servers, as of a VPN
	// beside the default route.
	Split bool
}

// Relay encrypts what passes over a stream; see [dnstls.Relay].
type Relay interface {
	// Carry has what passes over stream carried inside TLS over server, a TCP
	// socket that need not be connected yet. Both stay the caller's to close.
	// It does not wait.
	Carry(server, stream int, to dnstls.Peer) error
	// Rest says that nothing is to be carried for now.
	Rest()
}

// Defaults of Config.
const (
	DefaultCacheBytes = 4 << 20
	DefaultMaxTTL     = 24 * time.Hour
)
