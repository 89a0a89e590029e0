// Package rfkill follows and turns the switches that silence radios: keys on
// laptops, a desktop's airplane mode, rfkill(8). Linux has them in /dev/rfkill
// (Documentation/driver-api/rfkill.rst).
//
// A goroutine reads what the kernel reports, checks it and posts it to the loop,
// where the switches of a technology are seen as one. Turning them takes the
// kernel's time, so it is done off the loop, one request after the other.
package rfkill
