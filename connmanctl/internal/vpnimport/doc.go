// Package vpnimport turns the configuration of other VPN programs into
// provisioning files of connman-vpnd: profiles of OpenVPN, and files of wg-quick.
//
// What such a file says is anybody's word. Directives are taken over by name: those
// that a provisioning file has a key for, and for OpenVPN those that are known to
// be harmless. All others are left out with a warning, above all those that run
// programs.
//
// The package has no state and no goroutine.
package vpnimport
