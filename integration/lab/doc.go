// Package lab builds small worlds for daemons: machines with their own
// network, mounts and host name, cables between them, a private D-Bus, and the
// daemons that run in them. The tests, the benchmarks and the demo share it.
//
// A [Host] is an operating system thread that left the namespaces of the
// process; what has to happen inside the host runs on that thread, through
// [Host.Do], and programs started there live there. Nothing leaves a trace in
// the machine's own network or files, and a world that is closed, or whose
// process dies, is gone: the kernel removes the namespaces with their last
// user, and kills the programs with their thread.
//
// It needs root, or a user namespace in which it is root.
package lab
