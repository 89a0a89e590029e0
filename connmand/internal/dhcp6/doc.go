// Package dhcp6 gets IPv6 addresses, prefixes and the names of servers by
// DHCPv6 (RFC 8415).
//
// It is built in three layers. options.go, message.go and lease.go turn what a
// server sent into checked values and make the requests; nothing that a server
// sent goes further than that unchecked, and all that is copied into a request
// is the server's identifier, and the addresses and prefixes that it gave.
// machine.go, answers.go and pace.go are the protocol: [machine.Step] takes an
// event and the time and says what to do. It has no socket and no clock.
// clients.go drives the machines: it runs on the loop, with one UDP socket for
// all interfaces that is open only while some client waits for an answer.
package dhcp6
