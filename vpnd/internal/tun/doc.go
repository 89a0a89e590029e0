// Package tun makes the links vpn0 to vpn255 that programs such as openvpn
// attach to: persistent ones, so that they are there before the program and can
// be attached to without privileges, and still are while it restarts.
//
// A link of ours carries an alias by which the daemon's next run finds it.
//
// Its functions talk to the kernel and wait for it: call them outside the loop.
package tun
