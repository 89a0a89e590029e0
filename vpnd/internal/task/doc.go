// Package task runs the programs that make tunnels and lets them report back
// over the bus, as net.connman.Task: openvpn's up script, vpnc's and
// openconnect's script and pppd's ip-up script are connman-vpn-notify, which
// calls notify with the environment that it was given.
//
// # Who may report
//
// What a task is told configures the machine's routes and name servers, so it is
// believed only if it comes from the program that was started. It has to pass
// three checks:
//
//   - The object's path holds 128 random bits, which only the task's own scripts
//     are told, and no introspection shows it.
//   - The message holds the task's secret. It is in a file of the task's private
//     directory (0700, of the child's user, below /run); the child's environment
//     names the file. A file descriptor would not do: openvpn gives its scripts an
//     environment of its own and pppd closes every descriptor before it starts
//     them. In the environment or the arguments themselves anybody could read it.
//   - The bus says that the caller runs as the child's user, or as root, and its
//     process is of the child's family. As a check of its own that would be worth
//     little, since process numbers are used again; but it keeps a stolen secret
//     from being used by a stranger.
//
// getsec is answered to a connection that has passed them with a notify before.
//
// Everything runs on the loop.
package task
