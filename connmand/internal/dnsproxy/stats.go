package dnsproxy

import "time"

// Stats are counts since the start.
type Stats struct {
	Queries   uint64 // well-formed questions of clients
	Malformed uint64 // messages dropped or answered with FORMERR
	Refused   uint64 // messages of strangers, dropped; connections turned away

	Hits      uint64 // answered from the cache
	Stale     uint64 // … of these, from expired records
	Misses    uint64 // had to be asked
	Coalesced uint64 // … of these, joined a question already in flight
	Local     uint64 // answered by the proxy's own knowledge

	Sent       uint64 // questions sent to servers, retries included
	Answers    uint64 // replies of servers that were accepted
	Unexpected uint64 // replies that no question asked for: late, or forged
	Timeouts   uint64 // questions that a server did not answer in time
	Failures   uint64 // clients told that no server had an answer
	Evicted    uint64 // questions given up in favour of others, under flood

	// Waiting sums up the time between question and answer over Answers.
	Waiting time.Duration

	InFlight    int // questions being asked
	Connections int // open TCP connections of clients
	CacheBytes  int // memory that the cache holds
	CacheNames  int // answers in the cache
}
