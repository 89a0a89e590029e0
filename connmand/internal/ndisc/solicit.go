package ndisc

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"

	"net.connman/connmand/internal/core"
)

// allRouters is the group of all routers on a link and its Ethernet address
// (RFC 2464, 7).
var (
	allRouters         = netip.MustParseAddr("ff02::2")
	allRoutersHardware = core.HardwareAddr("\x33\x33\x00\x00\x00\x02")
)

// solicitation is an IPv6 packet with a router solicitation (RFC 4861, 4.1).
// Without a source, as long as the link's address is not known to be its own,
// it does not say who asks.
func solicitation(source netip.Addr, addr core.HardwareAddr) []byte {
	body := []byte{typeSolicit, 0, 0, 0, 0, 0, 0, 0}
	if !source.IsValid() {
		source = netip.IPv6Unspecified()
	} else if len(addr) == 6 {
		body = append(append(body, optSourceAddr, 1), addr...)
	}
	packet := make([]byte, ip6Header, ip6Header+len(body))
	packet[0] = 6 << 4
	binary.BigEndian.PutUint16(packet[4:], uint16(len(body)))
	packet[6], packet[7] = icmpProto, 255
	copy(packet[8:], source.AsSlice())
	copy(packet[24:], allRouters.AsSlice())
	binary.BigEndian.PutUint16(body[2:], checksum(packet[8:ip6Header], body))
	return append(packet, body...)
}

// advertFilter passes router advertisements and nothing else. Whatever has an
// extension header, as fragments do, is none (RFC 6980, 5).
var advertFilter = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 6, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: icmpProto, SkipTrue: 3},
	bpf.LoadAbsolute{Off: ip6Header, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeAdvert, SkipTrue: 1},
	bpf.RetConstant{Val: 0xffff},
	bpf.RetConstant{Val: 0},
}
