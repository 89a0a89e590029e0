// Package ndisc finds the routers of links and keeps what they say: router
// discovery (RFC 4861, 6.3) with preferences and more specific routes (RFC
// 4191), prefixes for address formation (RFC 4862, 5.5.3), name servers and
// search domains (RFC 8106) and captive portals (RFC 8910). Solicitations are
// repeated as RFC 7559 says, for ever but ever more seldom.
//
// The machine of one link is a Step function from time and event to actions; it
// has neither socket nor clock. [Discovery] drives the machines on the loop.
// Advertisements arrive on one packet socket for all links and are checked in
// its goroutine, see parseAdvert: what is not from a neighbour, or bent, is
// dropped whole, and no link takes in more than a few a second, whoever floods
// it. No machine keeps more routers, prefixes, routes, servers or domains than
// the bounds in this package; those heard first stay.
package ndisc
