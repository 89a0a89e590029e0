// Package bus is the client's end of the message bus: one connection, the
// calls under way on it and the messages that arrive.
//
// It encodes with godbus but connects and decodes itself, for two reasons. The
// client prints dictionaries in the order in which the daemon sent them, and
// godbus decodes them into maps. And a single command should cost one round
// trip: the handshake, Hello and the first call leave in one write, where
// waiting for each answer in turn makes the whole process a third slower.
//
// A [Conn] belongs to the loop it was made with. One goroutine reads the socket
// and posts each message there; everything else runs on the loop. What is
// written is a few hundred bytes a call, so writing does not wait.
package bus
