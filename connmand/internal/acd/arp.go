package acd

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/rawsock"
)

const (
	arpSize    = 28 // bytes: Ethernet and IPv4
	opRequest  = 1
	opReply    = 2
	ethernetIP = 0x0001_0800 // hardware and protocol type
	sizes      = 0x0604      // of their addresses
)

// filter passes ARP for IPv4 on Ethernet.
var filter = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 0, Size: 4},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: ethernetIP, SkipTrue: 3},
	bpf.LoadAbsolute{Off: 4, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: sizes, SkipTrue: 1},
	bpf.RetConstant{Val: 1 << 16},
	bpf.RetConstant{Val: 0},
}

// arp is an ARP request or reply (RFC 826).
type arp struct {
	sender   core.HardwareAddr
	senderIP netip.Addr // 0.0.0.0 in a probe
	targetIP netip.Addr
}

// parseARP reads a request or reply; what follows it is padding.
func parseARP(b []byte) (arp, error) {
	if len(b) < arpSize {
		return arp{}, fmt.Errorf("ARP packet of %d bytes", len(b))
	}
	if binary.BigEndian.Uint32(b) != ethernetIP || binary.BigEndian.Uint16(b[4:]) != sizes {
		return arp{}, fmt.Errorf("ARP for other addresses: %x", b[:6])
	}
	if op := binary.BigEndian.Uint16(b[6:]); op != opRequest && op != opReply {
		return arp{}, fmt.Errorf("ARP operation %d", op)
	}
	return arp{
		sender:   core.HardwareAddr(b[8:14]),
		senderIP: netip.AddrFrom4([4]byte(b[14:18])),
		targetIP: netip.AddrFrom4([4]byte(b[24:28])),
	}, nil
}

// encode makes the request: a probe or an announcement.
func (a arp) encode() []byte {
	b := make([]byte, 0, arpSize)
	b = binary.BigEndian.AppendUint32(b, ethernetIP)
	b = binary.BigEndian.AppendUint16(b, sizes)
	b = binary.BigEndian.AppendUint16(b, opRequest)
	b = append(b, a.sender...)
	b = append(b, a.senderIP.AsSlice()...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, a.targetIP.AsSlice()...)
}

// inbound is ARP that arrived on a link.
type inbound struct {
	link int
	arp  arp
}

// parseInbound is the door for what others say.
func parseInbound(p rawsock.Packet) (inbound, error) {
	a, err := parseARP(p.Data)
	return inbound{p.Link, a}, err
}
