// Package vpncscript reads what vpnc and openconnect tell their script: how the
// tunnel that they have made wants to be configured. The script's environment is
// described in their own vpnc-script. It holds what the VPN's server said, so it
// is hostile.
//
// There is no state here and no goroutine.
package vpncscript
