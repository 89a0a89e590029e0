package online

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

const (
	probeTimeout  = 15 * time.Second // of a whole probe
	lookupTimeout = 8 * time.Second  // of the name's resolution within it
)

// dialFunc connects to an address through a probe's link.
type dialFunc func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)

// Prober checks for the Internet. It implements core.Prober.
type Prober struct {
	loop      *loop.Loop
	userAgent string
	dialer    func(core.ProbeRequest) dialFunc
}

// New returns a prober that calls itself ConnMan of the given version.
func New(l *loop.Loop, version string) *Prober {
	return &Prober{
		loop:      l,
		userAgent: fmt.Sprintf("ConnMan/%s wispr", version),
		dialer:    linkDialer,
	}
}

// Probe asks for req.URL through req.Link and reports within 15 seconds.
func (p *Prober) Probe(req core.ProbeRequest, done func(core.ProbeResult)) (cancel func()) {
	work := func(ctx context.Context) (core.ProbeResult, error) {
		ctx, stop := context.WithTimeout(ctx, probeTimeout)
		defer stop()
		f := fetch{req: req, userAgent: p.userAgent, dial: p.dialer(req)}
		return f.run(ctx), nil
	}
	op := loop.Go(p.loop, "online check", work, func(r core.ProbeResult, _ error) { done(r) })
	return op.Cancel
}
