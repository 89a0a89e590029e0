package online

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
)

// linkDialer returns a function whose sockets are bound to the request's link
// and, when they are of its family, to its source address.
func linkDialer(req core.ProbeRequest) dialFunc {
	bind := func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, req.Link.Name)
		})
		if err == nil {
			err = failed
		}
		if err != nil {
			return fmt.Errorf("cannot bind to %s: %w", req.Link.Name, err)
		}
		return nil
	}
	return func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		d := net.Dialer{Control: bind, KeepAlive: -1}
		if req.Source.IsValid() && req.Source.Is4() == to.Addr().Is4() {
			d.LocalAddr = localAddr(network, req.Source)
		}
		return d.DialContext(ctx, network, to.String())
	}
}

func localAddr(network string, a netip.Addr) net.Addr {
	if network == "udp" {
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
}
