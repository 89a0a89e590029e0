//go:build netns

package ipv6

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// alive is the lifetime of routers that tests make up.
const alive = 30 * time.Minute

// Offsets into an IPv6 packet.
const (
	hopLimitAt = 7
	sourceAt   = 8
	bodyAt     = 40
	optionsAt  = bodyAt + 16
)

// advertisement is a whole advertisement of a router (RFC 4861, 4.2) with
// prefixes of which machines make addresses, an IPv6 packet.
func advertisement(router netip.Addr, lifetime time.Duration, prefixes ...netip.Prefix) []byte {
	p := make([]byte, optionsAt, optionsAt+32*len(prefixes))
	p[0], p[6], p[hopLimitAt] = 6<<4, unix.IPPROTO_ICMPV6, 255
	copy(p[sourceAt:], router.AsSlice())
	copy(p[24:], []byte{0xff, 0x02, 15: 1})
	p[bodyAt] = 134
	binary.BigEndian.PutUint16(p[bodyAt+6:], uint16(lifetime/time.Second))
	for _, prefix := range prefixes {
		option := [32]byte{3, 4, byte(prefix.Bits()), 0xc0}
		binary.BigEndian.PutUint32(option[4:], 86400)
		binary.BigEndian.PutUint32(option[8:], 14400)
		copy(option[16:], prefix.Addr().AsSlice())
		p = append(p, option[:]...)
	}
	return seal(p)
}

// seal puts the right length and checksum into an ICMPv6 packet.
func seal(p []byte) []byte {
	body := p[bodyAt:]
	binary.BigEndian.PutUint16(p[4:], uint16(len(body)))
	binary.BigEndian.PutUint16(body[2:], 0)
	sum := uint32(len(body)) + unix.IPPROTO_ICMPV6
	for _, part := range [][]byte{p[sourceAt:bodyAt], body} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(body[2:], ^uint16(sum))
	return p
}

// sender sends packets from the first router's switch to the machine. Close it
// seldom: the kernel takes its time.
type sender struct {
	t  *testing.T
	fd int
	to unix.SockaddrLinklayer
}

func (w *world) sender() *sender {
	w.t.Helper()
	s := &sender{t: w.t, to: unix.SockaddrLinklayer{
		Protocol: 0xdd86, Ifindex: w.port.Index(), Halen: 6, // ETH_P_IPV6, all nodes
		Addr: [8]byte{0x33, 0x33, 0, 0, 0, 1},
	}}
	must(w.t, w.gateway.Do(func() (err error) {
		s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	return s
}

// send sends a packet. One for which there is no room is lost, as on a wire.
func (s *sender) send(packet []byte) {
	if err := unix.Sendto(s.fd, packet, 0, &s.to); err != nil && err != unix.ENOBUFS {
		s.t.Error(err)
	}
}

func (s *sender) close() { unix.Close(s.fd) }

// send sends one packet.
func (w *world) send(packet []byte) {
	w.t.Helper()
	s := w.sender()
	defer s.close()
	s.send(packet)
}
