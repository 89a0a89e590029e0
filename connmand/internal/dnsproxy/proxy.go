package dnsproxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
)

// Proxy serves DNS to clients. Its methods may be called from any goroutine;
// none waits for the network.
type Proxy struct {
	log   *slog.Logger
	relay Relay

	mu     sync.Mutex // orders the methods
	engine *engine    // nil before the first Listen
	plan   *plan
	epochs uint32 // given out so far
	closed bool
}

// New returns a proxy that listens nowhere yet and knows no servers. By way of
// relay it asks those that it is to ask over TLS.
func New(log *slog.Logger, relay Relay) *Proxy {
	p := &Proxy{log: log, relay: relay}
	p.plan = newPlan(Config{}, nil, &p.epochs)
	return p
}

var errClosed = errors.New("the DNS proxy is closed")

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
	l, err := openListener(addr, link, clients)
	if err != nil {
		return nil, fmt.Errorf("cannot serve DNS on %s: %w", addr, err)
	}
	if err := p.start(l); err != nil {
		l.close()
		return nil, fmt.Errorf("cannot serve DNS on %s: %w", addr, err)
	}
	var once sync.Once
	return func() {
		once.Do(func() { p.do(func(e *engine) { e.removeListener(l) }) })
	}, nil
}

// start adds a listener, and makes the engine for the first one.
func (p *Proxy) start(l *listener) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	if p.engine == nil {
		e, err := newEngine(p.log, p.relay, p.plan)
		if err != nil {
			return err
		}
		p.engine = e
		go e.run()
	}
	var err error
	p.engine.do(func(e *engine) { err = e.addListener(l) })
	return err
}

// do runs f in the engine, if there is one, and waits for it.
func (p *Proxy) do(f func(*engine)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.engine != nil && !p.closed {
		p.engine.do(f)
	}
}

// Set replaces the configuration, without waiting. Answers that came by
// another way than the one that now holds for their name (other servers,
// another link) are forgotten; questions in flight are asked anew where their
// way has changed.
func (p *Proxy) Set(c Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.plan = newPlan(c, p.plan, &p.epochs)
	if p.engine != nil {
		p.engine.set(p.plan)
	}
}

// Stats returns the counts. It waits until the proxy is done with the packets
// at hand.
func (p *Proxy) Stats() (s Stats) {
	p.do(func(e *engine) { s = e.report() })
	return s
}

// Close ends all service and all goroutines, and waits for that.
func (p *Proxy) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.engine != nil && !p.closed {
		p.engine.close()
	}
	p.closed = true
	return nil
}
