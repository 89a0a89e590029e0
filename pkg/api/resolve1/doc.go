// Package resolve1 holds the bindings of systemd-resolved's bus interface,
// generated from api/org.freedesktop.resolve1.*.xml: of what we call, no more.
package resolve1

//go:generate sh -c "go run ../../cmd/dbusgen -package resolve1 -out resolve1.go ../../../api/org.freedesktop.resolve1.*.xml"
