// Package vpn is the bearer of VPNs, by way of the daemon that looks after them
// (net.connman.vpn on the bus, connman-vpnd). It reports that daemon as one
// device and each connection that the daemon knows as a network. What the daemon
// says of a tunnel becomes a value once it was checked; the link gets its
// addresses and routes by way of core.
//
// The daemon comes and goes: the bus starts it when it is asked, it may leave
// when nobody needs it, and one that had connections and vanishes is started
// again. The bearer runs on the loop.
package vpn
