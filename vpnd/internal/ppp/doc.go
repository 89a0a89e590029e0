// Package ppp is what L2TP and PPTP share: pppd carries both. It writes pppd's
// options, reads what pppd tells its script (pppd(8), "Scripts") and what it
// writes, and finds the server's address, which the uplink must keep a route to.
//
// The password is in pppd's options, a file of the task's private directory:
// pppd is started by programs that hand nothing else over.
package ppp
