package netroot

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// nfsPort only makes the address complete: nothing is sent to it.
const nfsPort = 2049

// Interface returns the name of the interface that leads to the server of an
// NFS root file system, "" when the root is local.
func Interface() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("cannot see where the root file system comes from: %w", err)
	}
	defer f.Close()
	server, ok := rootServer(f)
	if !ok {
		return "", nil
	}
	name, err := leadingTo(server)
	if err != nil {
		return "", fmt.Errorf("cannot find the link to the root file system's server %s: %w", server, err)
	}
	return name, nil
}

// rootServer reads the server of an NFS mount on "/" from a mountinfo file
// (proc_pid_mountinfo(5)). The last one counts: it lies on top.
func rootServer(mountinfo io.Reader) (server netip.Addr, ok bool) {
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		mount, fs, _ := strings.Cut(lines.Text(), " - ")
		fields, source := strings.Fields(mount), strings.Fields(fs)
		if len(fields) < 5 || len(source) < 3 || fields[4] != "/" {
			continue
		}
		server, ok = netip.Addr{}, false
		if source[0] != "nfs" && source[0] != "nfs4" {
			continue
		}
		for _, option := range strings.Split(source[2], ",") {
			if text, found := strings.CutPrefix(option, "addr="); found {
				addr, err := netip.ParseAddr(text)
				server, ok = addr, err == nil
			}
		}
	}
	return server, ok
}

// leadingTo returns the interface that the kernel would send through. A
// connected UDP socket tells without sending.
func leadingTo(server netip.Addr) (string, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, nfsPort)))
	if err != nil {
		return "", err
	}
	defer c.Close()
	local := c.LocalAddr().(*net.UDPAddr).IP
	links, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(addrs, func(a net.Addr) bool {
			prefix, isNet := a.(*net.IPNet)
			return isNet && prefix.IP.Equal(local)
		}) {
			return l.Name, nil
		}
	}
	return "", fmt.Errorf("no interface has the address %s", local)
}
