// Package core is the domain of connmand: technologies, devices, networks and
// services, their states and their order.
//
// All of it belongs to the loop's goroutine. core does no I/O: what it needs
// from outside are the small interfaces in ports.go, implemented by the
// packages around it and wired in main. It marks what changed, and at the end
// of a turn its observer hears of it once.
package core
