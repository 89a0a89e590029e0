package kernel

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// receiveBuffer is how much the kernel may keep for us, in bytes. It takes
	// no memory until events come faster than they are read.
	receiveBuffer = 8 << 20
	// readBuffer takes any one message, in bytes.
	readBuffer = 64 << 10
	// batch is how many messages are read before they are delivered.
	batch = 512
)

// errTruncated is a message longer than readBuffer.
var errTruncated = errors.New("netlink message too long")

// groups are the multicast groups that the one socket joins.
const groups = 1<<(unix.RTNLGRP_LINK-1) |
	1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1) |
	1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)

// socket is a netlink socket that receives events. It is read by hand because
// nl.NetlinkSocket takes 64 KiB of fresh memory for each message.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	buf  []byte
}

func subscribe(receiveBuffer int, buf []byte) (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	// Without the capability to go beyond the system's limit, up to it will do.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot subscribe to network events: %w", err)
	}
	file := os.NewFile(uintptr(fd), "rtnetlink")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot use a netlink socket: %w", err)
	}
	return &socket{file: file, raw: raw, buf: buf}, nil
}

// receive waits for messages and calls each for those that are queued, up to
// batch. Datagrams that did not come from the kernel count as forged and are
// dropped.
func (s *socket) receive(each func(datagram []byte)) (forged int, err error) {
	var failed error
	err = s.raw.Read(func(fd uintptr) bool {
		for n := range batch {
			size, from, err := unix.Recvfrom(int(fd), s.buf, unix.MSG_TRUNC)
			switch {
			case err == unix.EAGAIN:
				return n > 0
			case err == unix.EINTR:
			case err != nil:
				failed = err
				return true
			case !fromKernel(from):
				forged++
			case size > len(s.buf):
				failed = errTruncated
				return true
			default:
				each(s.buf[:size])
			}
		}
		return true
	})
	return forged, errors.Join(failed, err)
}

func fromKernel(from unix.Sockaddr) bool {
	netlink, ok := from.(*unix.SockaddrNetlink)
	return ok && netlink.Pid == 0
}

// echo asks the kernel for an acknowledgement numbered seq. It comes on the
// socket after all events that were sent before.
func (s *socket) echo(seq uint32) error {
	request := make([]byte, unix.SizeofNlMsghdr)
	putHeader(request, header{kind: unix.NLMSG_NOOP, flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK, seq: seq})
	var failed error
	err := s.raw.Write(func(fd uintptr) bool {
		failed = unix.Sendto(int(fd), request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		return failed != unix.EAGAIN
	})
	return errors.Join(failed, err)
}

// interruptAt makes receive fail with os.ErrDeadlineExceeded at t.
func (s *socket) interruptAt(t time.Time) { _ = s.file.SetReadDeadline(t) }

func (s *socket) close() { s.file.Close() }
