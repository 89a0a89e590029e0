// Package background lets a daemon start in the background, as those always did
// that no service manager looks after.
//
// It has no state. [Start] waits, in the process that was started by hand; the
// rest belongs to the daemon and is for its main goroutine or its loop.
package background
