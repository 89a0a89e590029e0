// Package dnsproxy answers the machine's DNS questions: from its cache, or by
// asking the name servers of the services.
//
// Messages are forwarded as they are. Only the id changes on the way, so record
// types and EDNS options that nobody has thought of yet get through. What came
// once is kept in wire format and told others with their own id, their own
// letter case and times to live that count down; an OPT record is not told on,
// as it is between two programs. The cache knows whole answers under the
// question that was asked, and an answer must be about that question alone
// (RFC 5452): its records follow from the name asked for over its aliases.
//
// # One goroutine
//
// All of this is done by one goroutine, the [engine]: it waits for all sockets
// with one epoll instance, takes datagrams in batches, and owns everything it
// works with. So there are no locks, a question is never asked twice at the
// same time, and a round that finds many packets costs few system calls. It is
// bound by the kernel: of the time that a cached answer takes, the proxy's own
// share is a tenth, and a second thread would be needed only by who asks more
// than some hundred thousand questions a second. A [Proxy] hands it a new plan
// through an atomic pointer and an eventfd. With nothing to do, nothing wakes
// it.
//
// The engine sits beside Go's network poller because that costs a parked
// goroutine, two more system calls and a memory for each socket.
//
// # Bounds
//
// Clients are strangers. Questions in flight, who waits for one, connections,
// what they have not read, and the cache have fixed bounds. A question over the
// bound takes the place of the oldest one from the source that has most, so a
// flood only hurts itself; on loopback, sources are told apart by their port.
// Answers from the cache never wait for anything. Only sources that a listener
// is for are served.
//
// Servers are strangers, too. See [upstream] for what somebody who is not the
// server would have to guess. Those that are to be asked over TLS are reached by
// way of a [Relay], which does the encrypting elsewhere.
package dnsproxy
