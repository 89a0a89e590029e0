package wireguard

import (
	"context"
	"log/slog"
	"net"
	"net/netip"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/core"
)

// Provider makes WireGuard tunnels.
type Provider struct {
	loop    *loop.Loop
	log     *slog.Logger
	kernel  kernel
	resolve resolve
	missing error
	public  map[wgtypes.Key]wgtypes.Key // public keys by private ones, as far as they were needed
	// cleaned is closed when what an earlier run has left is gone: until then
	// it could not be told from what this run makes.
	cleaned chan struct{}
}

// resolve finds a name's addresses, best first.
type resolve func(ctx context.Context, name string) ([]netip.Addr, error)

var _ core.Provider = (*Provider)(nil)

// New returns the provider. Tunnels wait for Start.
func New(l *loop.Loop, log *slog.Logger) *Provider {
	return &Provider{
		loop: l, log: log, kernel: &linux{}, resolve: lookUp,
		public: map[wgtypes.Key]wgtypes.Key{}, cleaned: make(chan struct{}),
	}
}

func lookUp(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// Start removes the links that an earlier run of the daemon has left, and looks
// whether the kernel knows WireGuard. Call it once no other daemon can be
// running: its links would go too.
func (p *Provider) Start() {
	work := func(context.Context) (error, error) {
		defer close(p.cleaned)
		return p.kernel.missing(), p.kernel.removeStale()
	}
	loop.Go(p.loop, "clean up WireGuard", work, func(missing, err error) {
		p.missing = missing
		if err != nil {
			p.log.Warn("links of an earlier run may be left", "error", err)
		}
	})
}

// Type implements [core.Provider].
func (p *Provider) Type() string { return "wireguard" }

// Keys implements [core.Provider].
func (p *Provider) Keys() []core.Key { return keys() }

// Check implements [core.Provider].
func (p *Provider) Check(settings core.Settings) error {
	_, err := parse(settings)
	return err
}

// Missing implements [core.Provider].
func (p *Provider) Missing() error { return p.missing }

// Connect implements [core.Provider].
func (p *Provider) Connect(req core.Request, report func(core.Event)) core.Attempt {
	a := &attempt{Provider: p, id: req.ID, report: report}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	config, err := parse(req.Settings)
	if err != nil {
		p.loop.Post("WireGuard settings", func() { a.end(core.ConnectFailed, err) })
		return a
	}
	a.config = config
	a.begin()
	return a
}
