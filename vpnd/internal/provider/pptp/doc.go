// Package pptp makes PPTP tunnels (RFC 2637) with pppd, which talks to the server
// through the program pptp. Everything runs on the loop.
package pptp
