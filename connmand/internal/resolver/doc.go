// Package resolver has the machine's names resolved. It chooses by whom, and
// writes resolv.conf(5), which tells programs whom to ask.
//
// There are three ways. The daemon's own DNS proxy answers on 127.0.0.1 and ::1
// and the file names these; systemd-resolved is told about the links and the
// file is its business; or the file names the networks' servers, and programs
// ask these themselves. The key DNSBackend of connman.conf(5) chooses. Left to
// itself the daemon uses systemd-resolved while that runs and its proxy
// otherwise, and where another program has the port, the file names the
// networks' servers. When the daemon ends and leaves the network up, they are
// put there as well, since nobody answers until its next run.
//
// The file is the one that the key ResolvConf names. Without the key it is
// /run/connman/resolv.conf, to which /etc/resolv.conf usually leads, or where
// /run/connman is missing /etc/resolv.conf itself. A symbolic link that leads
// elsewhere belongs to whoever made it and is left alone, with one line in the
// log saying so.
//
// What the file held before is kept beside it, under the same name with
// ".before-connman" added, and put back at the end. The copy survives a kill;
// the daemon knows its own files by their first line and never takes one of
// them for the original. Until there is a first server to name, nothing is
// written at all.
//
// A [Resolver] lives on the loop; the file system is touched in a goroutine of
// its own, one write at a time, the latest content winning, and so are the
// proxy's sockets.
package resolver
