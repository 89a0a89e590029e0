// Connman-vpn-notify is the script of the programs that connman-vpnd starts:
// openvpn, vpnc, openconnect and pppd run it when something has become of the
// tunnel. It reports that to the daemon's net.connman.Task, with the environment
// that it was given, and ends with status 0 if the daemon takes it.
//
// Its own environment says where to report:
//
//	CONNMAN_BUSNAME, CONNMAN_INTERFACE, CONNMAN_PATH    whom to call
//	CONNMAN_SECRET    the file that holds the task's secret
//	CONNMAN_REASON, script_type (openvpn), reason (vpnc, openconnect)
//	                  what has happened: the first of them that is set
//
// It is one goroutine and the bus connection's.
package main
