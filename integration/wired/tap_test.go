//go:build netns

package wired

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

// tap hears all packets that pass an interface.
type tap struct {
	t  *testing.T
	fd int
}

func listen(t *testing.T, on lab.End) *tap {
	t.Helper()
	w := &tap{t: t}
	everything := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	must(t, on.Host.Do(func() (err error) {
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	t.Cleanup(func() { unix.Close(w.fd) })
	must(t, errors.Join(
		unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}),
		unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: on.Index()}),
	))
	return w
}

// wait returns the first IP packet from now on that match accepts, of those
// that the interface sends or of those that it receives.
func (w *tap) wait(within time.Duration, sent bool, match func(packet []byte) bool) []byte {
	w.t.Helper()
	buf := make([]byte, 4096)
	for began := time.Now(); time.Since(began) < within; {
		n, from, err := unix.Recvfrom(w.fd, buf, 0)
		switch {
		case err == unix.EAGAIN, err == unix.EINTR, err == unix.ENETDOWN:
		case err != nil:
			w.t.Fatal(err)
		case sent == (from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING) && match(buf[:n]):
			return buf[:n]
		}
	}
	w.t.Fatalf("nothing of the kind was sent within %v", within)
	return nil
}

// solicitation accepts questions for IPv6 routers (RFC 4861, 4.1).
func solicitation(packet []byte) bool {
	return len(packet) > 40 && packet[0]>>4 == 6 && packet[6] == unix.IPPROTO_ICMPV6 && packet[40] == 133
}

// dhcpAnswer accepts what a DHCP server sends over IPv4 without options.
func dhcpAnswer(packet []byte) bool {
	return len(packet) > 28 && packet[0] == 0x45 && packet[9] == unix.IPPROTO_UDP && binary.BigEndian.Uint16(packet[20:]) == 67
}

// checksumFits says whether the UDP checksum of an IPv4 packet without options
// is the packet's (RFC 768).
func checksumFits(packet []byte) bool {
	udp := packet[20:]
	udp = udp[:binary.BigEndian.Uint16(udp[4:])]
	sum := uint32(unix.IPPROTO_UDP) + uint32(len(udp))
	for _, part := range [][]byte{packet[12:20], udp} {
		for i, b := range part {
			sum += uint32(b) << (8 * (1 - i%2))
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return sum == 0xffff
}
