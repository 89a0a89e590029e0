// Package acd detects IPv4 address conflicts (RFC 5227): it probes an address
// before its use, announces it and defends it. With the same means it finds
// neighbours.
//
// machine.go is the protocol without socket and clock; detector.go drives the
// machines on the loop, with one packet socket for all interfaces that is open
// while any address is watched or looked for.
package acd
