package view

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// NoBus returns the words for an error in connecting to the bus: libdbus's where
// the socket is to blame.
func NoBus(err error) string {
	var failed *net.OpError
	var errno syscall.Errno
	if errors.As(err, &failed) && failed.Addr != nil && errors.As(err, &errno) {
		reason := errno.Error()
		return fmt.Sprintf("Failed to connect to socket %s: %s", failed.Addr, strings.ToUpper(reason[:1])+reason[1:])
	}
	return err.Error()
}
