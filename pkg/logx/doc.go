// Package logx sets up a daemon's log.
//
// Under systemd and without a terminal, records go to the journal in its native
// protocol, attributes as fields of their own; else they are short lines on
// standard error. Which parts log at debug level is chosen by source file, see
// [Filter]. [Secret] is a string that no log, format or encoding gives away.
//
// Handlers may be used from any goroutine; they wait for nothing but the
// kernel's buffer.
package logx
