// Command connman-dns-tls speaks TLS to name servers for connmand, which starts
// it and hands it connections. It has no use on its own. What passes between the
// two is in the package dnstls.
package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"net.connman/connmand/internal/dnstls"
)

func main() {
	// It mostly waits, and should stay small.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(8 << 20)
	// Meant for the daemon, whose end is ours.
	signal.Ignore(syscall.SIGINT, syscall.SIGUSR1)
	if err := dropRights(); err != nil {
		fail(err)
	}
	r := &relay{control: dnstls.Control, sessions: tls.NewLRUClientSessionCache(maxSessions)}
	if err := r.serve(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, dnstls.Program+":", err)
	os.Exit(1)
}

var errHandOver = errors.New("started without connmand: it has no use on its own")
