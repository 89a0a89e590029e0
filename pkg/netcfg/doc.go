// Package netcfg holds network configuration as plain values: addresses,
// routes, what a link should have, name servers and proxies. They are compared
// and merged, never applied, here; nothing in the package talks to the kernel.
package netcfg
