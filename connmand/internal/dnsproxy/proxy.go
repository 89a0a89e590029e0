package dnsproxy

import (
	"errors"
	"log/slog"
	"net/netip"
)

// Proxy serves DNS to clients. Its methods may be called from any goroutine.
type Proxy struct {
	log *slog.Logger
}

// New returns a proxy that listens nowhere yet and knows no servers.
func New(log *slog.Logger) *Proxy { return &Proxy{log: log} }

// Listen serves clients on addr over UDP and TCP. With a link, only what
// arrives there is seen.
//
// Whoever asks from elsewhere than clients gets no answer, so that the proxy is
// nobody's open resolver; without clients, only loopback addresses and addr
// itself are served. The tethered or shared networks behind a link are named
// by their prefixes.
//
// stop ends it; when it returns, the port is free again. An error names the
// program that holds the port, if that can be found out; for this the error
// path reads many files below /proc, which should not happen on the loop.
func (p *Proxy) Listen(addr netip.AddrPort, link string, clients ...netip.Prefix) (stop func(), err error) {
	return nil, errors.ErrUnsupported
}

// Set replaces the configuration, without waiting. Answers that came by
// another way than the one that now holds for their name (other servers,
// another link) are forgotten; questions in flight are asked anew where their
// way has changed.
func (p *Proxy) Set(c Config) {}

// Stats returns the counts.
func (p *Proxy) Stats() Stats { return Stats{} }

// Close ends all service and all goroutines, and waits for that.
func (p *Proxy) Close() error { return nil }
