// Package opaque makes IPv6 addresses that say nothing of the hardware and are
// the same whenever the machine comes back to a network (RFC 7217). They come of
// a secret that is kept in the state directory.
//
// A [Key] is a value; it may be used on any goroutine.
package opaque
