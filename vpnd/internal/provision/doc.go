// Package provision reads connman-vpn-provider.config(5): the *.config files in
// /var/lib/connman-vpn, or the same in TOML, into specifications of connections,
// at the start and whenever they change; and it adds files for clients.
//
// Every key is checked here, by the provider whose it is. What is wrong is
// reported with file, line and key, never with the value, which may be secret; an
// entry with a wrong value is left out.
//
// A [Directory] is followed by package configdir, in whose goroutine the files are
// read and written; its methods are for the loop, where it reports.
package provision
