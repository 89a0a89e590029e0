package dhcp6

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

const (
	maxPacket    = 4096        // bytes; longer messages are dropped
	maxBatch     = 8           // messages handed over at a time
	afterFailure = time.Second // a pause, lest a lasting failure spins
)

// servers are all DHCPv6 servers and relay agents on a link.
var servers = netip.MustParseAddr("ff02::1:2")

// inbound is a server's message that arrived on a link.
type inbound struct {
	link  int
	reply reply
}

// wire carries messages. Nothing in it waits.
type wire interface {
	// listen begins to receive on all links; handle is called on the loop.
	listen(handle func([]inbound)) error
	// silence ends it.
	silence()
	// send sends to all servers on the link. It needs listen, until sent is
	// called on the loop.
	send(link core.Link, message []byte, sent func(error))
	// sendNow sends a message that must be out before what follows on the
	// loop, like the end of the link. It needs listen, too.
	sendNow(link core.Link, message []byte) error
}

// udpWire is the real one: one socket for all links. The kernel chooses the
// source, which for a destination on the link is its link-local address.
type udpWire struct {
	loop  *loop.Loop
	log   *slog.Logger
	sends *loop.Queue
	conn  *net.UDPConn
	read  *loop.Op
	pause *loop.Timer // set after a failure
}

func (w *udpWire) listen(handle func([]inbound)) error {
	conn, err := open()
	if err != nil {
		return fmt.Errorf("cannot open the DHCPv6 socket: %w", err)
	}
	w.conn = conn
	room := make([]ipv6.Message, maxBatch)
	for i := range room {
		room[i] = ipv6.Message{Buffers: [][]byte{make([]byte, maxPacket)}, OOB: ipv6.NewControlMessage(ipv6.FlagInterface)}
	}
	w.receiveNext(ipv6.NewPacketConn(conn), room, handle)
	return nil
}

// open binds the client port on all links. Another program may have it on
// some.
func open() (*net.UDPConn, error) {
	listener := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0),
			)
		})
		return errors.Join(err, failed)
	}}
	conn, err := listener.ListenPacket(context.Background(), "udp6", fmt.Sprintf("[::]:%d", clientPort))
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// silence ends the socket. The kernel may take its time over it, so the loop
// does not wait.
func (w *udpWire) silence() {
	conn := w.conn
	w.conn = nil
	w.read.Cancel()
	w.pause.Stop()
	loop.Go(w.loop, "close DHCPv6",
		func(context.Context) (struct{}, error) { return struct{}{}, conn.Close() },
		func(_ struct{}, err error) {
			if err != nil {
				w.log.Warn("cannot close DHCPv6 socket", "error", err)
			}
		})
}

// receiveNext reads one batch off the loop and then, on it, hands the batch
// over and begins the next. room is for what is read.
func (w *udpWire) receiveNext(conn *ipv6.PacketConn, room []ipv6.Message, handle func([]inbound)) {
	w.read = loop.Go(w.loop, "receive DHCPv6",
		func(ctx context.Context) ([]inbound, error) { return w.receiveBatch(ctx, conn, room) },
		func(batch []inbound, err error) {
			if err != nil {
				w.log.Error("cannot receive DHCPv6", "error", err)
				w.pause = w.loop.After("receive DHCPv6", afterFailure, func() { w.receiveNext(conn, room, handle) })
				return
			}
			w.receiveNext(conn, room, handle)
			handle(batch)
		})
}

// receiveBatch waits until there is something that the loop should see.
func (w *udpWire) receiveBatch(ctx context.Context, conn *ipv6.PacketConn, room []ipv6.Message) (batch []inbound, err error) {
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for len(batch) == 0 && ctx.Err() == nil {
		n, err := conn.ReadBatch(room, 0)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		for _, m := range room[:max(n, 0)] {
			in, err := parseInbound(m)
			if err != nil {
				w.log.Debug("message dropped", "protocol", "DHCPv6", "link", in.link, "reason", err)
				continue
			}
			batch = append(batch, in)
		}
	}
	return batch, nil
}

// parseInbound is the door: everything a server says passes here.
func parseInbound(m ipv6.Message) (inbound, error) {
	var control ipv6.ControlMessage
	if err := control.Parse(m.OOB[:m.NN]); err != nil {
		return inbound{}, err
	}
	in := inbound{link: control.IfIndex}
	if m.Flags&unix.MSG_TRUNC != 0 {
		return in, errors.New("message is too long")
	}
	if _, err := parseReply(m.Buffers[0][:m.N]); err != nil {
		return in, err
	}
	var err error // what is kept has memory of its own
	in.reply, err = parseReply(bytes.Clone(m.Buffers[0][:m.N]))
	return in, err
}

// send sends off the loop: where the link leads to other links of this machine
// the kernel carries the packet all the way before it returns.
func (w *udpWire) send(link core.Link, message []byte, sent func(error)) {
	conn := ipv6.NewPacketConn(w.conn)
	loop.GoIn(w.sends, "send DHCPv6", func(context.Context) (struct{}, error) {
		to := &net.UDPAddr{IP: servers.AsSlice(), Port: serverPort}
		_, err := conn.WriteTo(message, &ipv6.ControlMessage{IfIndex: link.Index}, to)
		return struct{}{}, err
	}, func(_ struct{}, err error) { sent(err) })
}

// sendNow drops what would have to wait for room.
func (w *udpWire) sendNow(link core.Link, message []byte) error {
	raw, err := w.conn.SyscallConn()
	if err != nil {
		return err
	}
	to := &unix.SockaddrInet6{Addr: servers.As16(), Port: serverPort, ZoneId: uint32(link.Index)}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		failed = unix.Sendto(int(fd), message, unix.MSG_DONTWAIT, to)
		return true
	})
	return errors.Join(err, failed)
}
