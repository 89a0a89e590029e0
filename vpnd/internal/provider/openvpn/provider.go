package openvpn

import (
	"context"
	"log/slog"

	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/task"
	"net.connman/vpnd/internal/tun"
)

const program = "openvpn"

// Provider makes OpenVPN tunnels.
type Provider struct {
	loop     *loop.Loop
	log      *slog.Logger
	tasks    *task.Runner
	identity proc.Identity
	// passphrases are those of keys that were right, by connection, until the
	// daemon ends.
	passphrases map[string]logx.Secret
}

var _ core.Provider = (*Provider)(nil)

// New returns the provider. Openvpn runs as identity says.
func New(l *loop.Loop, log *slog.Logger, tasks *task.Runner, identity proc.Identity) *Provider {
	return &Provider{loop: l, log: log, tasks: tasks, identity: identity, passphrases: map[string]logx.Secret{}}
}

// Type implements [core.Provider].
func (p *Provider) Type() string { return "openvpn" }

// Keys implements [core.Provider].
func (p *Provider) Keys() []core.Key { return keys() }

// Check implements [core.Provider].
func (p *Provider) Check(s core.Settings) error { return check(s) }

// Missing implements [core.Provider].
func (p *Provider) Missing() error {
	_, err := proc.Find(program)
	return err
}

// Connect implements [core.Provider].
func (p *Provider) Connect(req core.Request, report func(core.Event)) core.Attempt {
	a := &attempt{Provider: p, req: req, report: report, given: map[string]credentials{}}
	kind := tun.Tun
	if deviceType(req.Settings) == "tap" {
		kind = tun.Tap
	}
	loop.Go(p.loop, "tunnel link", func(context.Context) (tun.Link, error) {
		uid, err := p.identity.UID()
		if err != nil {
			return tun.Link{}, err
		}
		link, err := tun.Create(kind, uid, req.ID)
		if err == nil {
			err = link.Up() // there is time for it now
		}
		return link, err
	}, a.linked)
	return a
}
