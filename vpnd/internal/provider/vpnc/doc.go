// Package vpnc makes tunnels to IPsec servers in Cisco's manner (IKEv1,
// aggressive mode, XAUTH) with the program vpnc. It is given all its settings,
// the secrets among them, by its standard input. Everything runs on the loop.
package vpnc
