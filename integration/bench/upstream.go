package main

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"net.connman/integration/lab"
)

// upstream is a name server that answers every question at once with the same
// address, over UDP.
type upstream struct {
	conns []*net.UDPConn
	done  sync.WaitGroup
}

// startUpstream starts one on a host.
func startUpstream(h *lab.Host, at netip.AddrPort) (*upstream, error) {
	u := &upstream{}
	for range 2 { // as many as there are processors, at least
		var conn *net.UDPConn
		err := h.Do(func() (err error) {
			conn, err = listenShared(at)
			return err
		})
		if err != nil {
			u.close()
			return nil, err
		}
		u.conns = append(u.conns, conn)
		u.done.Go(func() { answerAll(conn) })
	}
	return u, nil
}

// listenShared opens one of several sockets with the same address.
func listenShared(at netip.AddrPort) (*net.UDPConn, error) {
	var failed error
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return errors.Join(raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}), failed)
	}}
	conn, err := config.ListenPacket(context.Background(), "udp4", at.String())
	if err != nil {
		return nil, err
	}
	udp := conn.(*net.UDPConn)
	return udp, udp.SetReadBuffer(4 << 20)
}

func (u *upstream) close() {
	for _, conn := range u.conns {
		conn.Close()
	}
	u.done.Wait()
}

func answerAll(conn *net.UDPConn) {
	in, out := make([]byte, 4096), make([]byte, 0, 4096)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(in)
		if err != nil {
			return
		}
		if reply := appendAnswer(out, in[:n]); reply != nil {
			_, _ = conn.WriteToUDPAddrPort(reply, from)
		}
	}
}

// appendAnswer makes the reply to a question: an address, good for an hour. It
// returns nil for what is no question.
func appendAnswer(out, question []byte) []byte {
	const header = 12
	if len(question) < header || question[2]&0x80 != 0 {
		return nil
	}
	end := header
	for end < len(question) && question[end] != 0 {
		end += 1 + int(question[end])
	}
	if end += 5; end > len(question) { // the root label, type and class
		return nil
	}
	out = append(out, question[:end]...)
	out[2], out[3] = out[2]|0x80, 0x80
	binary.BigEndian.PutUint16(out[6:], 1)
	binary.BigEndian.PutUint32(out[8:], 0)
	out = append(out, 0xc0, header, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 192, 0, 2, 1)
	if binary.BigEndian.Uint16(question[10:]) > 0 { // EDNS wants EDNS
		out[11] = 1
		out = append(out, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0)
	}
	return out
}
