// Package openconnect makes tunnels to servers that are reached by TLS, such as
// AnyConnect's and ocserv, with the program openconnect.
//
// Nothing secret is in the program's arguments: all options are in a file in
// memory that only it can read, passwords and cookies come by its standard input,
// and its questions are answered there. Everything runs on the loop.
package openconnect
