// Package wired tests the whole daemon on Ethernet: a machine with a private
// bus behind a router, in network namespaces, seen over D-Bus, in the kernel
// and on the wire. There is nothing in it but tests.
package wired
