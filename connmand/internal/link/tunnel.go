package link

import (
	"context"
	"errors"
	"net/netip"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/pkg/loop"
)

// tunnelName is the link of 6to4 tunnels. Firewalls know it.
const tunnelName = "tun6to4"

// Open6to4 makes a 6to4 tunnel out of an address of the machine in the place of
// the one there was, and brings it up. done hears which link it is, unless close
// comes before, which takes the link away.
func (t *Table) Open6to4(local netip.Addr, done func(core.Link, error)) (close func()) {
	op := loop.GoIn(t.tunnels, "open 6to4 tunnel", func(ctx context.Context) (core.Link, error) {
		if err := t.kernel.DelLink(tunnelName); err != nil && !errors.Is(err, kernel.ErrNoLink) {
			return core.Link{}, err
		}
		index, err := t.kernel.AddTunnel(tunnelName, local)
		if err == nil {
			err = t.kernel.SetUp(index, true)
		}
		if err == nil {
			err = t.kernel.Sync(ctx)
		}
		return core.Link{Index: index, Name: tunnelName}, err
	}, done)
	return func() {
		op.Cancel()
		loop.GoIn(t.tunnels, "close 6to4 tunnel", func(context.Context) (struct{}, error) {
			return struct{}{}, t.kernel.DelLink(tunnelName)
		}, func(_ struct{}, err error) {
			if err != nil && !errors.Is(err, kernel.ErrNoLink) {
				t.log.Warn("cannot close tunnel", "link", tunnelName, "error", err)
			}
		})
	}
}
