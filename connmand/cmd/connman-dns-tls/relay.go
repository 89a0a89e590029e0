package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/dnstls"
)

const (
	// handshakeTime is as long as the daemon waits for a server to say anything.
	handshakeTime = 5 * time.Second
	// writeTime is how long either side may leave lie what it is sent.
	writeTime   = 10 * time.Second
	chunk       = 4096 // bytes passed on at a time
	maxSessions = 64   // that can be resumed
)

// relay takes connections from the daemon.
type relay struct {
	control  int // the daemon's socket
	sessions tls.ClientSessionCache
}

// serve takes connections until the daemon closes its socket.
func (r *relay) serve() error {
	message, rights := make([]byte, 2048), make([]byte, unix.CmsgSpace(8*4))
	for {
		n, oobn, flags, _, err := unix.Recvmsg(r.control, message, rights, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			if err := wait(r.control); err != nil {
				return err
			}
			continue
		case err != nil:
			return errHandOver
		case n == 0:
			return nil
		}
		files := received(rights[:oobn])
		to, err := dnstls.ParseMessage(message[:n])
		if err != nil || len(files) != 2 || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			closeAll(files)
			continue
		}
		go r.carry(files[0], files[1], to)
	}
}

// wait waits until something can be received.
func wait(fd int) error {
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
	if err == unix.EINTR {
		return nil
	}
	return err
}

// received returns the descriptors that came with a message.
func received(rights []byte) (files []*os.File) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i]) // none, if it is about anything else
		for _, fd := range fds {
			if unix.SetNonblock(fd, true) == nil { // else reading would not end when it is closed
				files = append(files, os.NewFile(uintptr(fd), "connection"))
			} else {
				unix.Close(fd)
			}
		}
	}
	return files
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// carry passes on what the daemon and the server say, until either ends.
func (r *relay) carry(server, stream *os.File, to dnstls.Peer) {
	defer stream.Close()
	conn := tls.Client(wire{server, address(to.Addr.String())}, r.config(to))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(handshakeTime))
	err := conn.Handshake()
	r.report(to, err)
	if err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	go func() {
		defer conn.Close() // ends the other direction as well
		pass(conn, stream)
	}()
	pass(stream, conn)
}

// writer is one that can be kept from waiting for ever.
type writer interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}

// pass passes on what from says until it ends, or to does.
func pass(to writer, from io.Reader) {
	b := make([]byte, chunk)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if to.SetWriteDeadline(time.Now().Add(writeTime)) != nil {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// config says what is demanded of a server.
func (r *relay) config(to dnstls.Peer) *tls.Config {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         to.Name,
		InsecureSkipVerify: !to.Strict,
		// What one server knows us by is told no other, and none twice by
		// another link.
		ClientSessionCache: sessions{r.sessions, string(to.Message())},
	}
	if to.Name == "" && to.Strict {
		c.ServerName = to.Addr.WithZone("").String()
	}
	return c
}

// report tells the daemon how it went with a server. It is no loss if that does
// not get through.
func (r *relay) report(to dnstls.Peer, err error) {
	reason := ""
	if err != nil {
		reason = explain(err)
	}
	_ = unix.Send(r.control, to.Report(reason), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// explain says in short what was wrong. Whatever of it a server wrote is made
// harmless for who reads the log.
func explain(err error) string {
	var reading *os.PathError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "it does not answer"
	case errors.Is(err, io.EOF):
		return "it ends the connection"
	case errors.As(err, &reading):
		return reading.Err.Error()
	}
	var authority x509.UnknownAuthorityError
	if errors.As(err, &authority) {
		return "its certificate is of nobody that the system trusts"
	}
	text := fmt.Sprintf("%q", err.Error())
	return text[1 : len(text)-1]
}

// wire is a connection to a server as the package tls wants to have it.
type wire struct {
	*os.File
	server address
}

func (w wire) LocalAddr() net.Addr  { return address("") }
func (w wire) RemoteAddr() net.Addr { return w.server }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// sessions are the part of a cache that is about one server.
type sessions struct {
	all    tls.ClientSessionCache
	server string
}

func (s sessions) Get(string) (*tls.ClientSessionState, bool)    { return s.all.Get(s.server) }
func (s sessions) Put(_ string, session *tls.ClientSessionState) { s.all.Put(s.server, session) }
