// Package fake is the kernel in memory, for tests: it passes the same suite as
// the real one. Its methods may be called from any goroutine.
package fake
