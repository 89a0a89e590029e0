// Package ipv4ll claims IPv4 link-local addresses (RFC 3927).
//
// machine.go chooses addresses and paces the choice, without socket and clock;
// claims.go drives it on the loop. Probing and defending is the conflict
// detector's part.
package ipv4ll
