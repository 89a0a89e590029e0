// Command dbusgen turns the interface descriptions in api/*.xml into the Go
// bindings in pkg/api.
//
//	dbusgen -package connman -out connman.go net.connman.*.xml
//
// An input file is D-Bus introspection XML. Elements of the namespace
// net.connman declare what introspection has no words for: <dict> and <key>,
// what a dictionary of type a{sv} may hold, with each key's type, access and, if
// it is a dictionary itself, whose keys it has; <error>, the full name of an
// error that the interface's methods give.
//
// For every interface the output has: constants for its name, keys and errors; a
// Go interface for those who implement it, with a function that makes a
// bus.Interface of an implementation; functions that build calls of its methods;
// a client with blocking methods; and functions that emit its signals.
//
// Methods with a file descriptor among their arguments get no client.
package main
