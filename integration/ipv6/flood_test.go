//go:build netns

package ipv6

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// log is what the daemon wrote.
func (w *world) log() string { return w.read(w.daemon.Log) }

func (w *world) read(path string) string {
	w.t.Helper()
	text, err := os.ReadFile(path)
	must(w.t, err)
	return string(text)
}

// burst sends advertisements, each from another router with another prefix,
// from the first router's switch.
func (w *world) burst(from, count int) {
	w.t.Helper()
	must(w.t, w.gateway.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		to := unix.SockaddrLinklayer{
			Protocol: 0xdd86, Ifindex: w.port.Index(), Halen: 6,
			Addr: [8]byte{0x33, 0x33, 0, 0, 0, 1},
		}
		for n := from; n < from+count; n++ {
			if err := unix.Sendto(fd, forgery(uint32(n)), 0, &to); err != nil && err != unix.ENOBUFS {
				return err
			}
		}
		return nil
	}))
}

// forgery is a whole advertisement of router n, an IPv6 packet.
func forgery(n uint32) []byte {
	p := make([]byte, 40+16+32)
	p[0] = 0x60
	binary.BigEndian.PutUint16(p[4:], 48)
	p[6], p[7] = 58, 255
	copy(p[8:], []byte{0xfe, 0x80})
	binary.BigEndian.PutUint32(p[20:], n+1)
	copy(p[24:], []byte{0xff, 0x02, 15: 1})
	body := p[40:]
	body[0] = 134
	binary.BigEndian.PutUint16(body[6:], 1800)
	option := body[16:]
	option[0], option[1], option[2], option[3] = 3, 4, 64, 0xc0
	binary.BigEndian.PutUint32(option[4:], 86400)
	binary.BigEndian.PutUint32(option[8:], 14400)
	copy(option[16:], []byte{0x20, 0x01, 0x0d, 0xb9})
	binary.BigEndian.PutUint32(option[20:], n)
	sum := uint32(len(body)) + 58
	for _, part := range [][]byte{p[8:40], body} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(body[2:], ^uint16(sum))
	return p
}

// cpu is the processor time that the daemon has used.
func (w *world) cpu() time.Duration {
	text := w.read("/proc/" + strconv.Itoa(w.daemon.Pid()) + "/stat")
	fields := strings.Fields(text[strings.LastIndex(text, ")")+1:])
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rss is the daemon's resident memory in KiB.
func (w *world) rss() int {
	for _, line := range strings.Split(w.read("/proc/"+strconv.Itoa(w.daemon.Pid())+"/status"), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kib
		}
	}
	return 0
}
