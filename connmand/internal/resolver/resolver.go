package resolver

import (
	"log/slog"
	"net/netip"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/dnsproxy"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// Backend says who resolves names, spelt as in main.conf.
type Backend string

// The backends.
const (
	// Auto is System while that runs, and Proxy otherwise.
	Auto Backend = "auto"
	// Proxy is the daemon itself.
	Proxy Backend = "proxy"
	// Direct has programs ask the networks' servers.
	Direct Backend = "resolv.conf"
	// System is systemd-resolved.
	System Backend = "systemd-resolved"
)

// Server answers programs' questions: dnsproxy's.
type Server interface {
	Listen(addr netip.AddrPort, link string, clients ...netip.Prefix) (stop func(), err error)
	Set(dnsproxy.Config)
}

// Service is a program beside us that resolves names: systemd-resolved.
type Service interface {
	// Watch calls fn on the loop with whether the program runs, once that is
	// known and whenever it changes.
	Watch(fn func(running bool))
	// Set replaces what the program was told.
	Set(links []core.LinkDNS)
}

// Asking says how servers are asked, as main.conf has it. Of the backends, the
// proxy does all of it and systemd-resolved what has to do with TLS.
type Asking struct {
	// TLS is for links that don't say. "" leaves it to the backend.
	TLS netcfg.DNSOverTLS
	// Names are what the certificates of the fallback servers are for.
	Names map[netip.Addr]string
	// ServeStale and RandomCase are those of dnsproxy.Config.
	ServeStale, RandomCase bool
}

// Config is what a Resolver needs.
type Config struct {
	Loop    *loop.Loop
	Log     *slog.Logger
	Backend Backend
	Asking  Asking
	File    string // the value of ResolvConf, see the package comment
	Server  Server
	Service Service
	// Multicast hears whether names can be resolved by multicast, false until
	// it is called.
	Multicast func(can bool)
}

// Resolver has the machine's names resolved by the backend. It implements
// core.Resolver. Its methods are for the loop, except Close.
type Resolver struct {
	Config
	file  *file
	begun bool
	known bool // whether the service runs
	runs  bool

	local    listeners
	links    []core.LinkDNS
	fallback []netip.Addr
	hostname string
	domain   string
}

// New returns a resolver that knows no servers yet, and changes nothing on the
// machine until Begin.
func New(c Config) *Resolver {
	r := &Resolver{Config: c, file: newFile(c.Loop, c.Log, c.File)}
	r.local.r = r
	if c.Backend == Direct && (c.Asking.TLS == netcfg.Strict || c.Asking.TLS == netcfg.Opportunistic) {
		c.Log.Warn("no DNS over TLS: with resolv.conf as the backend, programs ask the servers themselves, in clear text")
	}
	if c.Backend == Auto || c.Backend == System {
		c.Service.Watch(r.serviceRuns)
	} else {
		r.known = true
	}
	return r
}

// Begin has names resolved from now on.
func (r *Resolver) Begin() {
	r.begun = true
	r.apply()
}

// Set replaces the links, in service order, and the fallback servers for when
// none of them has any.
func (r *Resolver) Set(links []core.LinkDNS, fallback []netip.Addr) {
	r.links, r.fallback = r.Asking.complete(tidy(links)), usableFallback(fallback)
	r.local.retry()
	r.apply()
}

// SetNames makes the machine's own names known, "" for none.
func (r *Resolver) SetNames(hostname, domain string) {
	r.hostname, r.domain = hostname, domain
	r.apply()
}

// serviceRuns follows the service.
func (r *Resolver) serviceRuns(runs bool) {
	if r.Backend == System && !runs {
		r.Log.Warn("systemd-resolved does not run: programs cannot resolve names until it does")
	} else if r.known || runs {
		r.Log.Info("systemd-resolved", "runs", runs)
	}
	r.known, r.runs = true, runs
	r.Multicast(runs)
	r.apply()
}

// apply brings what is known to who resolves names.
func (r *Resolver) apply() {
	if !r.begun || !r.known {
		return
	}
	// The proxy may have other clients than this machine's programs.
	r.Server.Set(r.proxyConfig())
	switch {
	case r.Backend == System || r.Backend == Auto && r.runs:
		r.local.close()
		r.file.set("")
		r.Service.Set(r.links)
	case r.Backend == Direct || r.local.failed():
		r.write(direct(r.links, r.fallback))
	case r.local.open():
		_, named := direct(r.links, r.fallback)
		r.write(format(domains(r.links), r.local.addresses), named)
	}
}

// write writes the file once there is a server that it helps to reach.
func (r *Resolver) write(text string, named bool) {
	if named || r.file.want != "" {
		r.file.set(text)
	}
}

// Stop takes back what was told to the service, as the daemon ends and its
// network with it.
func (r *Resolver) Stop() {
	r.begun = false
	if r.runs {
		r.Service.Set(nil)
	}
}

// Close puts back what resolv.conf held before or, when the network stays for
// the next run, names its servers there: until then nobody else answers. It
// blocks; call it after the loop's Wait.
func (r *Resolver) Close(stays bool) error {
	text := ""
	if stays && r.file.want != "" {
		text, _ = direct(r.links, r.fallback)
	}
	if stays && text == "" {
		return nil
	}
	return r.file.close(text)
}
