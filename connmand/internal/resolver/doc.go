// Package resolver tells the machine's programs which name servers to ask, by
// writing resolv.conf(5).
//
// The file is the one that the key ResolvConf of connman.conf(5) names. Without
// the key it is /run/connman/resolv.conf, to which /etc/resolv.conf usually
// leads, or where /run/connman is missing /etc/resolv.conf itself. A symbolic
// link that leads elsewhere belongs to whoever made it and is left alone, with
// one line in the log saying so.
//
// What the file held before is kept beside it, under the same name with
// ".before-connman" added, and put back at the end. The copy survives a kill;
// the daemon knows its own files by their first line and never takes one of
// them for the original. Until there is a first server to name, nothing is
// written at all.
//
// A [File] lives on the loop; the file system is touched in a goroutine of its
// own, one write at a time, the latest content winning.
package resolver
