// Package connman holds the bindings of net.connman, generated from
// api/net.connman.*.xml: names, keys, the server side and the client side of
// every interface. Servers and emitted signals run on the loop; clients block
// and are for other goroutines.
package connman

//go:generate sh -c "go run ../../cmd/dbusgen -package connman -out connman.go ../../../api/net.connman.[A-Z]*.xml"
