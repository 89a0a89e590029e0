package bus

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// defaultAddress is where the D-Bus specification puts the system bus.
const defaultAddress = "unix:path=/var/run/dbus/system_bus_socket"

// systemAddress returns the address list of the system bus.
func systemAddress() string {
	if address := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"); address != "" {
		return address
	}
	return defaultAddress
}

// connect opens a socket to the first address of the list that answers. Its
// errors carry the texts of libdbus.
func connect(list string) (net.Conn, error) {
	var failed error
	for address := range strings.SplitSeq(list, ";") {
		path, err := socketPath(address)
		if err != nil {
			return nil, err
		}
		sock, err := net.Dial("unix", path)
		if err == nil {
			return sock, nil
		}
		failed = fmt.Errorf("Failed to connect to socket %s: %s", path, reason(err))
	}
	return nil, failed
}

// socketPath returns the path of a unix address; abstract ones begin with @.
func socketPath(address string) (string, error) {
	transport, options, ok := strings.Cut(address, ":")
	if !ok {
		return "", errors.New("Address does not contain a colon")
	}
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		value, err := url.PathUnescape(value)
		if err != nil || transport != "unix" {
			break
		}
		switch key {
		case "path":
			return value, nil
		case "abstract":
			return "@" + value, nil
		}
	}
	return "", fmt.Errorf("Address '%s' is not supported", address)
}

// reason returns the system's words for err the way the C library writes them.
func reason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
