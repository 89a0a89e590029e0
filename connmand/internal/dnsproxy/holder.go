package dnsproxy

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portHolder names the program whose socket keeps us from binding to addr, ""
// if it cannot be found out.
func portHolder(protocol string, addr netip.AddrPort) string {
	inodes := map[string]bool{}
	for _, file := range []string{protocol, protocol + "6"} {
		addInodes(inodes, filepath.Join("/proc/net", file), addr, protocol == "tcp")
	}
	if len(inodes) == 0 {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, l := range links {
		to, err := os.Readlink(l)
		if err != nil || !inodes[to] {
			continue
		}
		process := filepath.Dir(filepath.Dir(l))
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil {
			continue
		}
		return strings.TrimSpace(string(name)) + " (process " + filepath.Base(process) + ")"
	}
	return ""
}

// addInodes adds the sockets in a table of proc_net(5) that are bound to addr
// or to all addresses.
func addInodes(inodes map[string]bool, table string, addr netip.AddrPort, listening bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	const local, state, inode, listen = 1, 3, 9, "0A"
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || listening && fields[state] != listen {
			continue
		}
		if a, ok := procAddr(fields[local]); ok && a.Port() == addr.Port() && (a.Addr() == addr.Addr().WithZone("") || a.Addr().IsUnspecified()) {
			inodes["socket:["+fields[inode]+"]"] = true
		}
	}
}

// procAddr parses an address of proc_net(5): words in the machine's byte order,
// in hexadecimal, and the port.
func procAddr(s string) (a netip.AddrPort, ok bool) {
	ip, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(ip)
	if err != nil || len(raw)%4 != 0 {
		return a, false
	}
	for w := raw; len(w) > 0; w = w[4:] {
		binary.NativeEndian.PutUint32(w, binary.BigEndian.Uint32(w))
	}
	addr, ok := netip.AddrFromSlice(raw)
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok && err == nil
}
