// Package rawsock receives and sends packets below IP: one packet socket
// serves a protocol on all interfaces.
//
// A socket has a filter in the kernel, so that the traffic of others costs
// nothing here. Packets are read and parsed in a goroutine of their own and
// handed to the loop in batches, one batch at a time: when the loop is busy the
// kernel's buffer fills and drops, and the daemon does not grow. Listen, Send
// and Close belong to the loop.
//
// The package also checks IPv4 and UDP headers ([ParseUDP]) and makes them
// ([AppendUDP]), for a machine that has no address yet.
package rawsock
