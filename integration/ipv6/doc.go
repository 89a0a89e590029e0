// Package ipv6 tests the whole daemon on networks that speak IPv6: a machine
// in a namespace of its own, routers in others (dnsmasq, radvd, ISC dhcpd and
// bare packets), all as seen on the bus, in the kernel and on the wire.
//
// The tests need root and carry the build tag netns.
package ipv6
