// Bench measures network managers next to one another: the daemon of this
// project, the original, NetworkManager and systemd-networkd; and forwarders of
// DNS queries: the first two, dnsmasq and unbound; and VPN daemons: ours and the
// original. Each run of each has a fresh
// home of its own; the runs take turns, so that whatever the machine does
// meanwhile happens to all. It prints the medians, and the ratio to the best of
// the others.
//
//	bench [-runs N] [-only ROW,…] [-managers NAME,…]
package main
