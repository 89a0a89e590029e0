// Package resolved gives systemd-resolved the name servers of the machine's
// links, over the bus (org.freedesktop.resolve1(5)): per link its servers, its
// domains, whether names that no link claims are asked there, and multicast
// DNS.
//
// It follows systemd-resolved going and coming: a new instance, which may have
// kept what an older one knew, is told everything again. Everything runs on the
// loop.
package resolved
