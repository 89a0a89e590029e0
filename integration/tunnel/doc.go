// Package tunnel tests connman-vpnd with the real programs and real servers: a
// machine with the daemon, and across a cable the server's host. What a VPN is to
// connmand is tested elsewhere, in package vpn.
package tunnel
