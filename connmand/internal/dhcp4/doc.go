// Package dhcp4 gets IPv4 addresses by DHCP (RFC 2131).
//
// It is built in three layers. message.go and lease.go turn what a server sent
// into checked values and make the requests; nothing that a server sent goes
// further than that unchecked, and no option of a server is copied into a
// request but the two that the protocol asks for, its identifier and the
// address. machine.go is the protocol: [machine.Step] takes an event and the
// time and says what to do. It has no socket and no clock. clients.go drives
// the machines: it runs on the loop, with one packet socket for all interfaces
// that is open only while some client waits for an answer.
//
// The lease is also kept in a file, so that a daemon that was restarted goes on
// with the address that is still on its link.
package dhcp4
