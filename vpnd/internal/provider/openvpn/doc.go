// Package openvpn makes OpenVPN tunnels with the program openvpn.
//
// The daemon makes the link, and connman-vpn-notify reports as openvpn's up script
// that the server has let us in and how it wants the link configured. The
// management interface, a socket in the task's private directory, says when the
// tunnel is lost and asks for what openvpn needs to know of the user. Credentials go nowhere else: they are in
// no argument, environment or file, unless the user has put them into a file of
// his own and names that.
//
// Openvpn connects to the socket, not we to it, so nobody has to wait for the
// other; and as it ends with that connection, it does not outlive the daemon.
//
// Everything runs on the loop; the management socket has two goroutines of its
// own.
package openvpn
