package wireguard

import (
	"context"
	"errors"
	"net/netip"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// kernel is what the provider wants of the kernel. All of it waits.
type kernel interface {
	// missing says why there can be no tunnel on this machine, nil if there can.
	missing() error
	// create makes a link, up, for the peers at their endpoints; a peer whose
	// endpoint is not known has an invalid one.
	create(id string, c config, endpoints []netip.AddrPort) (index int, err error)
	// remove removes a link; one that is gone is no error.
	remove(index int) error
	// removeStale removes all links that an earlier run has made.
	removeStale() error
	// peers says how the peers are, by public key. The error is errGone if the
	// link is not there.
	peers(index int) (map[wgtypes.Key]state, error)
	// move tells where a peer is now.
	move(index int, peer wgtypes.Key, to netip.AddrPort) error
	// setMTU sets a link's MTU.
	setMTU(index, mtu int) error
	// way says how packets get to an address, the zero way if they don't.
	way(to netip.Addr) way
	// watch calls changed after changes to links and routes, at most once a
	// second, until the context ends.
	watch(ctx context.Context, changed func()) error
}

var (
	errGone    = errors.New("the link is gone")
	errMissing = errors.New("the kernel has no WireGuard")
)

// state is what the kernel knows of a peer.
type state struct {
	endpoint       netip.AddrPort // where it was heard last
	sent, received int64          // bytes, those of handshakes included
}

// way is how packets get to an endpoint.
type way struct {
	link            int // 0: not at all
	gateway, source netip.Addr
	mtu             int
}
