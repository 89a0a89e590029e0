// Package router is a small home router: a DHCPv4 server, a name server that
// answers with the router's own address, and the web server that the online
// check asks. The demo lives behind one; the tests put words into its mouth.
//
// Each of the three servers has a goroutine of its own. The sockets are opened
// by [Start] on the calling thread and so belong to its network namespace.
package router
