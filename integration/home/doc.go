// Package home puts a machine behind a home router: one host with any number of
// Ethernet links and a bus, another with the router, and cables between them.
package home
