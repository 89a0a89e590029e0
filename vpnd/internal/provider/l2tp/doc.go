// Package l2tp makes L2TP tunnels (RFC 2661) with xl2tpd, which speaks to the
// server, and pppd, which xl2tpd starts. Everything runs on the loop.
package l2tp
