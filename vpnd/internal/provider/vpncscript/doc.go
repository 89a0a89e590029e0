// Package vpncscript makes tunnels with programs that speak to a script in the
// manner of vpnc: vpnc itself and openconnect. The script's environment is
// described in their own vpnc-script. It holds what the VPN's server said, so it
// is hostile.
//
// An [Attempt] is the part of a tunnel's life that the programs share: the
// questions to the user, the link, the child, its script's reports, and the end,
// when all of it is taken away again. Everything runs on the loop.
package vpncscript
