// Package wireguard makes tunnels with the kernel's WireGuard: a link of that
// kind, told its keys and peers over generic netlink.
//
// WireGuard has no connection. The tunnel is there as soon as its link is up,
// whether a peer answers or not, so Up is reported at once, as the original does,
// and Reconnecting never: while a peer is silent the kernel drops what should
// pass the tunnel, and whoever took the tunnel's routes away meanwhile would let
// it out unprotected. What the provider does about silence is to look for another
// address of the peer: names are resolved again while it owes an answer, and when
// the machine's default route changes.
//
// The settings are those of vpn-config-format.txt. Beyond them:
//
//   - WireGuard.Address may have one address of each family, separated by a comma.
//   - WireGuard.DNS may have search domains among the servers.
//   - VPN.MTU is the link's MTU. Without it the link's soon is, and stays, 80 less
//     than that of the way to the peer, which is what WireGuard adds to a packet.
//   - WireGuard.Peer2.… to WireGuard.Peer32.… are more peers, with PublicKey,
//     PresharedKey, AllowedIPs, Endpoint (HOST:PORT, may be missing) and
//     PersistentKeepalive.
//
// Links that this package makes bear a mark, so that a later run finds and removes
// what one that was killed has left.
//
// Everything runs on the loop but the kernel's and the resolver's work, which
// loop.Go does; the kernel is asked one thing at a time, on sockets that stay
// open. Each tunnel has a goroutine that hears of changes to the kernel's
// links and routes.
package wireguard
