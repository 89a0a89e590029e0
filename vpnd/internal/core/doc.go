// Package core is the domain of connman-vpnd: connections, their settings and
// states, the agents that are asked for credentials. It does no I/O: providers
// make the tunnels, busapi shows the connections on the bus, settings keeps them.
//
// Everything runs on the loop.
package core
