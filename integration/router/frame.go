package router

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	ipHeader  = 20
	udpHeader = 8
)

// datagram wraps payload in the headers of UDP and IPv4 (RFC 768, RFC 791),
// with checksums.
func datagram(from, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, ipHeader+udpHeader, ipHeader+udpHeader+len(payload))
	b = append(b, payload...)
	source, target := from.Addr().As4(), to.Addr().As4()
	length := udpHeader + len(payload)

	udp := b[ipHeader:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(length))
	sum := add(add(uint32(unix.IPPROTO_UDP)+uint32(length), source[:]), target[:])
	binary.BigEndian.PutUint16(udp[6:], fold(add(sum, udp)))

	b[0] = 0x45 // version 4, five words of header
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[8] = 64 // time to live
	b[9] = unix.IPPROTO_UDP
	copy(b[12:], source[:])
	copy(b[16:], target[:])
	binary.BigEndian.PutUint16(b[10:], fold(add(0, b[:ipHeader])))
	return b
}

// add adds the 16-bit words of data to a checksum under way (RFC 1071).
func add(sum uint32, data []byte) uint32 {
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	if len(data)%2 == 1 {
		sum += uint32(data[len(data)-1]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// wire sends IPv4 packets to hardware addresses, whether or not their IP
// addresses can be resolved yet.
type wire struct {
	fd    int
	index int
}

func openWire(index int) (wire, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	return wire{fd: fd, index: index}, err
}

func (w wire) send(to net.HardwareAddr, packet []byte) error {
	address := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: w.index, Halen: uint8(len(to))}
	copy(address.Addr[:], to)
	return unix.Sendto(w.fd, packet, 0, address)
}

func (w wire) close() error { return unix.Close(w.fd) }

func htons(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
