// Package vpn holds the bindings of net.connman.vpn, generated from
// api/net.connman.vpn.*.xml: names, keys, the server side and the client side of
// every interface. Servers and emitted signals run on the loop; clients block
// and are for other goroutines.
package vpn

//go:generate sh -c "go run ../../cmd/dbusgen -package vpn -out vpn.go ../../../api/net.connman.vpn.*.xml"
