// Package vpn tests connmand's side of VPNs: a real daemon in a small network,
// with a scripted VPN daemon on its bus that makes real tunnel devices.
package vpn
