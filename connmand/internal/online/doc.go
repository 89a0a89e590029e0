// Package online asks whether the Internet can be reached through one link: it
// fetches a small page whose server marks its answers (README, "Online check").
//
// A probe owns its sockets, sends one plain request and follows nothing: no
// redirect, no cookie, no proxy, no body. Whatever stands between the machine
// and the page (a captive portal, a broken proxy, an attacker) is shown in the
// result and otherwise not heeded.
//
// Every socket is bound to the link (SO_BINDTODEVICE) and, where the family
// allows, to the link's own address, so that a probe says something about that
// link although the default route may lead elsewhere. The kernel still looks
// for a route on that link and answers "network is unreachable" without one:
// each connected link needs a default route of its own, however low its
// priority. No host routes are needed.
//
// The page's host is resolved by asking the link's own servers. The system's
// resolver is never used, for it may answer from another link.
//
// A probe runs in goroutines of its own, which end with it, and reports on the
// loop.
package online
