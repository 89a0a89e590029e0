// Package dnstls asks name servers over TLS (RFC 7858), by way of a program of
// its own: connman-dns-tls, the relay. So the daemon need not carry the code of
// TLS with it, nor parse certificates of strangers as the one who configures
// the network.
//
// The relay is started when the first stream is to be carried. It inherits one
// end of a socket pair. A message over that holds a [Peer] and, as rights, two
// descriptors: a TCP socket on its way to the server, and one end of a stream
// that has ordinary framed DNS (RFC 7766) on it. The relay speaks TLS on the
// first and passes on what is said, and closes both when either comes to its
// end; why a server could not be reached it says in a message back. When the
// socket pair is closed the relay ends, so that it cannot outlive the daemon.
//
// Methods of [Relay] may be called from any goroutine. None waits: programs are
// started, and listened to, by a goroutine that ends with the program.
package dnstls
