// Package proc runs other programs as children of a daemon.
//
// A child gets its arguments as they are, with no shell between, and just the
// environment that its [Spec] names. Secrets reach it through file descriptors
// ([SecretPath]) or its standard input: arguments and environment can be read by
// others. What it writes goes to the log, line by line, and to who started it;
// a child that floods is held back by its pipe, not heeded and not let near the
// daemon's memory.
//
// A child leads a process group. When it has ended, so has everything that it
// started and left behind in its group, and its private directory is gone. When the
// daemon itself is killed, the kernel kills its children: they belong to a
// thread that lives as long as the [Starter].
//
// Methods are for the loop, handlers are called on it. What waits runs in
// goroutines of the package's own: two for each child, one thread for the
// Starter.
package proc
