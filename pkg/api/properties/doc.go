// Package properties holds the bindings of org.freedesktop.DBus.Properties,
// generated from api/org.freedesktop.DBus.Properties.xml, for other programs'
// objects. Calls and servers run on the loop; clients block and are for other
// goroutines.
package properties

//go:generate go run ../../cmd/dbusgen -package properties -out properties.go ../../../api/org.freedesktop.DBus.Properties.xml
