package dnsproxy

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Packets are received and sent in batches (recvmmsg(2), sendmmsg(2)): a
// system call costs more than all else that a cached answer needs.

// sockaddr is an IPv4 or IPv6 socket address as the kernel has it.
type sockaddr [unix.SizeofSockaddrInet6]byte

func (a *sockaddr) family() uint16 { return *(*uint16)(unsafe.Pointer(a)) }

func (a *sockaddr) len() uint32 {
	if a.family() == unix.AF_INET {
		return unix.SizeofSockaddrInet4
	}
	return unix.SizeofSockaddrInet6
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

const (
	batch    = 32
	maxQuery = 4096 // bytes; nobody asks longer questions
)

// inbox receives datagrams.
type inbox struct {
	hdrs  []mmsghdr
	iovs  []unix.Iovec
	addrs []sockaddr
	data  []byte
	size  int // of the longest datagram
}

// init has n datagrams of at most size bytes received into data, of n*size
// bytes.
func (b *inbox) init(n, size int, data []byte) {
	b.hdrs = make([]mmsghdr, n)
	b.iovs = make([]unix.Iovec, n)
	b.addrs = make([]sockaddr, n)
	b.data = data
	b.size = size
	for i := range b.hdrs {
		b.iovs[i].Base = &b.data[i*size]
		b.iovs[i].SetLen(size)
		b.hdrs[i].hdr.Iov = &b.iovs[i]
		b.hdrs[i].hdr.SetIovlen(1)
		b.hdrs[i].hdr.Name = &b.addrs[i][0]
	}
}

// receive returns how many datagrams were waiting on fd.
func (b *inbox) receive(fd int) (int, error) {
	for i := range b.hdrs {
		b.hdrs[i].hdr.Namelen = uint32(len(sockaddr{}))
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs[0])), uintptr(len(b.hdrs)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// message returns a received datagram, nil if it was too long.
func (b *inbox) message(i int) []byte {
	if b.hdrs[i].hdr.Flags&unix.MSG_TRUNC != 0 {
		return nil
	}
	return b.data[i*b.size:][:b.hdrs[i].len]
}

const outboxBytes = 2 * maxMessage

// outbox collects datagrams to send.
type outbox struct {
	hdrs  [batch]mmsghdr
	iovs  [batch]unix.Iovec
	addrs [batch]sockaddr
	fds   [batch]int
	n     int
	data  []byte
	used  int
	// failed is called for a datagram that could not be sent.
	failed func(e *engine, fd int, err error)
}

// init has messages built in data, of outboxBytes.
func (b *outbox) init(data []byte) {
	b.data = data
	for i := range b.hdrs {
		b.hdrs[i].hdr.Iov = &b.iovs[i]
		b.hdrs[i].hdr.SetIovlen(1)
	}
}

// room returns where the next message may be built: empty, with capacity for
// any message.
func (b *outbox) room(e *engine) []byte {
	if b.n == batch || len(b.data)-b.used < maxMessage {
		b.flush(e)
	}
	return b.data[b.used:b.used:len(b.data)]
}

// add queues msg, which was built in room, for the peer at to, or whom fd is
// connected to.
func (b *outbox) add(fd int, to *sockaddr, msg []byte) {
	i := b.n
	b.n++
	b.used += len(msg)
	b.fds[i] = fd
	b.iovs[i].Base = &msg[0]
	b.iovs[i].SetLen(len(msg))
	h := &b.hdrs[i].hdr
	h.Name, h.Namelen = nil, 0
	if to != nil {
		b.addrs[i] = *to
		h.Name, h.Namelen = &b.addrs[i][0], to.len()
	}
}

// flush sends all, by one call for each run of the same socket. What the kernel
// does not take is lost, as datagrams are.
func (b *outbox) flush(e *engine) {
	for i := 0; i < b.n; {
		fd, end := b.fds[i], i+1
		for end < b.n && b.fds[end] == fd {
			end++
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs[i])), uintptr(end-i), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			i += int(n)
			continue
		}
		if b.failed != nil {
			b.failed(e, fd, errno)
		}
		i++
	}
	b.n, b.used = 0, 0
}
