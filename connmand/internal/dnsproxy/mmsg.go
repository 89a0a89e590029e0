package dnsproxy

import (
	"syscall"
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
	alone int // calls in a row that found one datagram
}

// After so many lone datagrams the next ones are received by calls that are
// faster for one, until it is time to look whether there are more at a time.
const (
	lonely   = 8
	soLonely = lonely + 32
)

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
	if b.alone >= lonely {
		if b.alone++; b.alone == soLonely {
			b.alone = lonely - 1
		}
		return b.receiveOne(fd)
	}
	for i := range b.hdrs {
		b.hdrs[i].hdr.Namelen = uint32(len(sockaddr{}))
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs[0])), uintptr(len(b.hdrs)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if n == 1 {
		b.alone++
	} else {
		b.alone = 0
	}
	return int(n), nil
}

// receiveOne takes one datagram and lets others wait.
func (b *inbox) receiveOne(fd int) (int, error) {
	h := &b.hdrs[0]
	h.hdr.Namelen = uint32(len(sockaddr{}))
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b.data[0])), uintptr(b.size),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, uintptr(unsafe.Pointer(&b.addrs[0])), uintptr(unsafe.Pointer(&h.hdr.Namelen)))
	if errno != 0 {
		return 0, errno
	}
	h.len, h.hdr.Flags = uint32(n), 0
	if int(n) > b.size {
		h.hdr.Flags = unix.MSG_TRUNC
	}
	return 1, nil
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
		n, errno := b.send(fd, b.hdrs[i:end])
		if errno == 0 {
			i += n
			continue
		}
		if b.failed != nil {
			b.failed(e, fd, errno)
		}
		i++
	}
	b.n, b.used = 0, 0
}

// send sends some of the messages and returns how many. For one there is a
// faster call.
func (b *outbox) send(fd int, hdrs []mmsghdr) (int, syscall.Errno) {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	if h := &hdrs[0].hdr; len(hdrs) == 1 {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(h.Iov.Base)), uintptr(h.Iov.Len), flags,
			uintptr(unsafe.Pointer(h.Name)), uintptr(h.Namelen))
		return 1, errno
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), flags, 0, 0)
	return int(n), errno
}
