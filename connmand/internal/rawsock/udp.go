package rawsock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"
)

const (
	ipHeader  = 20 // without options
	udpHeader = 8
	protoUDP  = 17
	ttl       = 64
)

// UDPFilter passes IPv4 packets with a whole UDP datagram to port.
func UDPFilter(port uint16) []bpf.Instruction {
	const moreFragmentsOrOffset = 0x3fff
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protoUDP, SkipTrue: 6},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: moreFragmentsOrOffset, SkipTrue: 4},
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(port), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

// UDP is a datagram whose headers were found right.
type UDP struct {
	Source, Destination netip.AddrPort
	Payload             []byte // part of the packet that was parsed
}

// ParseUDP checks the IPv4 and UDP headers of a packet against each other, the
// packet's length and their checksums. A UDP checksum of zero means that the
// sender made none (RFC 768); a partial one is not checked.
func ParseUDP(p Packet) (UDP, error) {
	ip := p.Data
	if len(ip) < ipHeader {
		return UDP{}, fmt.Errorf("IPv4 packet of %d bytes", len(ip))
	}
	header := int(ip[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(ip[2:]))
	switch {
	case ip[0]>>4 != 4:
		return UDP{}, fmt.Errorf("IP version %d", ip[0]>>4)
	case header < ipHeader:
		return UDP{}, fmt.Errorf("IPv4 header of %d bytes", header)
	case total < header+udpHeader || total > len(ip):
		return UDP{}, fmt.Errorf("IPv4 total length %d in a packet of %d bytes", total, len(ip))
	case ip[9] != protoUDP:
		return UDP{}, fmt.Errorf("IP protocol %d", ip[9])
	case binary.BigEndian.Uint16(ip[6:])&0x3fff != 0:
		return UDP{}, errors.New("fragment")
	case checksum(0, ip[:header]) != 0:
		return UDP{}, errors.New("wrong IPv4 header checksum")
	}
	udp := ip[header:total]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < udpHeader || length > len(udp) {
		return UDP{}, fmt.Errorf("UDP length %d in %d bytes", length, len(udp))
	}
	udp = udp[:length]
	if sum := binary.BigEndian.Uint16(udp[6:]); sum != 0 && !p.PartialChecksum {
		if checksum(pseudoHeader(ip[12:20], length), udp) != 0 {
			return UDP{}, errors.New("wrong UDP checksum")
		}
	}
	return UDP{
		Source:      netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:16])), binary.BigEndian.Uint16(udp)),
		Destination: netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:20])), binary.BigEndian.Uint16(udp[2:])),
		Payload:     udp[udpHeader:],
	}, nil
}

// AppendUDP appends the datagram with its headers to b. Both addresses are
// IPv4 and the payload fits a packet.
func AppendUDP(b []byte, u UDP) []byte {
	start, length := len(b), udpHeader+len(u.Payload)
	src, dst := u.Source.Addr().As4(), u.Destination.Addr().As4()
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(ipHeader+length))
	b = append(b, 0, 0, 0, 0, ttl, protoUDP, 0, 0)
	b = append(append(b, src[:]...), dst[:]...)
	ip := b[start:]
	binary.BigEndian.PutUint16(ip[10:], checksum(0, ip[:ipHeader]))

	b = binary.BigEndian.AppendUint16(b, u.Source.Port())
	b = binary.BigEndian.AppendUint16(b, u.Destination.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(append(b, 0, 0), u.Payload...)
	ip = b[start:]
	udp := ip[ipHeader:]
	sum := checksum(pseudoHeader(ip[12:20], length), udp)
	if sum == 0 {
		sum = 0xffff // zero would say that there is none
	}
	binary.BigEndian.PutUint16(udp[6:], sum)
	return b
}

// pseudoHeader sums what the UDP checksum covers besides the datagram.
func pseudoHeader(addresses []byte, length int) uint32 {
	sum := uint32(protoUDP) + uint32(length)
	for i := 0; i < len(addresses); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(addresses[i:]))
	}
	return sum
}

// checksum is the Internet checksum of b (RFC 1071), begun with sum. It is
// zero for data that holds its own checksum.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
