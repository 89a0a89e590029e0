// Package agent answers the daemons' questions: net.connman.Agent and
// net.connman.vpn.Agent, put to whoever sits at the client.
//
// Requests of both daemons wait at one [Desk], which shows them one after the
// other. The texts that introduce them are the reference client's. Everything
// runs on the loop.
package agent
