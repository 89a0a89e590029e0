package sdnotify

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// The states a daemon passes through.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Status returns the line that describes the daemon to people; whatever would
// end the line is a space.
func Status(text string) string {
	return "STATUS=" + strings.Map(func(c rune) rune {
		if c < ' ' {
			return ' '
		}
		return c
	}, text)
}

// Send tells the service manager lines, each of them a VARIABLE=value. Without
// a service manager it does nothing.
func Send(lines ...string) error {
	path := os.Getenv("NOTIFY_SOCKET") // a path, or @ and an abstract name
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("cannot reach the service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("cannot tell the service manager: %w", err)
	}
	return nil
}
