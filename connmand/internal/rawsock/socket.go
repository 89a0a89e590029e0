package rawsock

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

const (
	maxPacket = 4096      // bytes; longer packets are dropped
	maxBatch  = 32        // packets handed over at a time
	receive   = 256 << 10 // bytes that wait in the kernel

	afterFailure = time.Second // a pause, lest a lasting failure spins
)

// Broadcast is the address of all stations on an Ethernet.
const Broadcast core.HardwareAddr = "\xff\xff\xff\xff\xff\xff"

// Packet is what arrived on an interface, without its link-layer header.
type Packet struct {
	Link int               // interface index
	From core.HardwareAddr // link-layer sender
	// PartialChecksum says that the sender left the transport checksum to
	// hardware that the packet never passed, as between two network
	// namespaces: the field holds nothing to check.
	PartialChecksum bool
	Data            []byte // valid until the parse function returns
}

// Protocol says what a socket receives.
type Protocol struct {
	Name      string // for the log
	EtherType uint16
	Filter    []bpf.Instruction // sees the packet without link-layer header
}

// Socket is an open packet socket.
type Socket struct {
	loop  *loop.Loop
	log   *slog.Logger
	proto Protocol
	file  *os.File
	conn  syscall.RawConn
	read  *loop.Op
	pause *loop.Timer // set after a failure

	// Where a packet and what comes with it are read to, by one batch after the
	// other.
	buf [maxPacket]byte
	oob [128]byte
}

// ErrNotOurs is what a parse function says of packets that are right and for
// others. They come in floods, as a switch sends a broadcast out of every port.
var ErrNotOurs = errors.New("not for us")

// Listen opens a socket for proto on all interfaces. parse runs in the
// socket's goroutine and turns a packet into a value, or into an error that is
// logged at debug level unless it is [ErrNotOurs]; handle gets the values on the
// loop.
func Listen[T any](l *loop.Loop, log *slog.Logger, proto Protocol, parse func(Packet) (T, error), handle func([]T)) (*Socket, error) {
	file, err := open(proto)
	if err != nil {
		return nil, fmt.Errorf("cannot open the %s socket: %w", proto.Name, err)
	}
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot open the %s socket: %w", proto.Name, err)
	}
	s := &Socket{loop: l, log: log, proto: proto, file: file, conn: conn}
	receiveNext(s, parse, handle)
	return s, nil
}

// Send sends data to a station on the link. It does not wait: when the
// device's queue is full the packet is lost with an error.
func (s *Socket) Send(link int, to core.HardwareAddr, data []byte) error {
	dst := unix.SockaddrLinklayer{
		Protocol: bigEndian(s.proto.EtherType),
		Ifindex:  link,
		Halen:    uint8(len(to)),
	}
	if copy(dst.Addr[:], to) < len(to) {
		return fmt.Errorf("cannot send %s: address of %d bytes", s.proto.Name, len(to))
	}
	var sent error
	err := s.conn.Control(func(fd uintptr) { sent = unix.Sendto(int(fd), data, 0, &dst) })
	if err := errors.Join(err, sent); err != nil {
		return fmt.Errorf("cannot send %s: %w", s.proto.Name, err)
	}
	return nil
}

// Close ends the socket: handle is not called any more. The kernel may take
// its time over it, so the loop does not wait.
func (s *Socket) Close() {
	s.read.Cancel()
	s.pause.Stop()
	loop.Go(s.loop, "close "+s.proto.Name,
		func(context.Context) (struct{}, error) { return struct{}{}, s.file.Close() },
		func(_ struct{}, err error) {
			if err != nil {
				s.log.Warn("cannot close packet socket", "protocol", s.proto.Name, "error", err)
			}
		})
}

// receiveNext reads one batch off the loop and then, on it, hands the batch
// over and begins the next.
func receiveNext[T any](s *Socket, parse func(Packet) (T, error), handle func([]T)) {
	s.read = loop.Go(s.loop, "receive "+s.proto.Name,
		func(ctx context.Context) ([]T, error) { return receiveBatch(ctx, s, parse) },
		func(batch []T, err error) {
			if err != nil {
				s.log.Error("cannot receive", "protocol", s.proto.Name, "error", err)
				s.pause = s.loop.After("receive "+s.proto.Name, afterFailure, func() { receiveNext(s, parse, handle) })
				return
			}
			receiveNext(s, parse, handle)
			if len(batch) > 0 {
				handle(batch)
			}
		})
}

// receiveBatch waits for packets that are ours and reads what there is, up to
// maxBatch.
func receiveBatch[T any](ctx context.Context, s *Socket, parse func(Packet) (T, error)) ([]T, error) {
	stop := context.AfterFunc(ctx, func() { s.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var (
		batch  []T
		failed error
	)
	read := func(fd uintptr) (done bool) {
		for range maxBatch {
			p, err := receiveOne(int(fd), s.buf[:], s.oob[:])
			switch {
			case errors.Is(err, unix.EAGAIN):
				return len(batch) > 0
			case errors.Is(err, unix.EINTR), errors.Is(err, errTruncated):
				continue
			case errors.Is(err, unix.ENETDOWN):
				continue // one of the interfaces went down: said once, the rest work
			case err != nil:
				failed = err
				return true
			}
			switch v, err := parse(p); {
			case err == nil:
				batch = append(batch, v)
			case !errors.Is(err, ErrNotOurs):
				s.log.Debug("packet dropped", "protocol", s.proto.Name, "link", p.Link, "reason", err)
			}
		}
		return true
	}
	for len(batch) == 0 && failed == nil && ctx.Err() == nil {
		if err := s.conn.Read(read); err != nil {
			return nil, err
		}
	}
	return batch, failed
}

var errTruncated = errors.New("packet is too long")

func receiveOne(fd int, buf, oob []byte) (Packet, error) {
	n, oobn, flags, from, err := unix.Recvmsg(fd, buf, oob, unix.MSG_DONTWAIT)
	if err != nil {
		return Packet{}, err
	}
	ll, ok := from.(*unix.SockaddrLinklayer)
	if !ok || flags&unix.MSG_TRUNC != 0 {
		return Packet{}, errTruncated
	}
	return Packet{
		Link:            ll.Ifindex,
		From:            core.HardwareAddr(ll.Addr[:min(int(ll.Halen), len(ll.Addr))]),
		PartialChecksum: checksumNotReady(oob[:oobn]),
		Data:            buf[:n],
	}, nil
}

// checksumNotReady looks for the packet's status (struct tpacket_auxdata) in
// what came with it.
func checksumNotReady(oob []byte) bool {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 4 {
			return binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_CSUMNOTREADY != 0
		}
	}
	return false
}

// open makes a socket that hears nothing until it is bound, by when its filter
// is in place.
func open(proto Protocol) (*os.File, error) {
	filter, err := bpf.Assemble(proto.Filter)
	if err != nil {
		return nil, err
	}
	program := make([]unix.SockFilter, len(filter))
	for i, in := range filter {
		program[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receive),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(proto.EtherType)}),
	)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), proto.Name), nil
}

func bigEndian(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
