package openvpn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"net.connman/pkg/loop"
)

const (
	maxLine    = 64 << 10 // of openvpn's, in bytes
	maxWaiting = 64       // commands that openvpn has not taken
)

// socket is our end of the management interface.
type socket struct {
	loop     *loop.Loop
	path     string
	line     func(string) // called on the loop
	commands chan string
	ctx      context.Context
	cancel   context.CancelFunc
}

func newSocket(l *loop.Loop, path string, line func(string)) *socket {
	s := &socket{loop: l, path: path, line: line, commands: make(chan string, maxWaiting)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// listen makes the socket and waits for openvpn in a goroutine. It runs outside
// the loop.
func (s *socket) listen() error {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("cannot make the management socket: %w", err)
	}
	// The directory keeps others away, and openvpn need not be root.
	if err := os.Chmod(s.path, 0o666); err != nil {
		listener.Close()
		return fmt.Errorf("cannot open the management socket: %w", err)
	}
	go s.serve(listener)
	return nil
}

func (s *socket) serve(listener *net.UnixListener) {
	stop := context.AfterFunc(s.ctx, func() { listener.Close() })
	conn, err := listener.Accept()
	stop()
	listener.Close()
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(s.ctx, func() { conn.Close() })()
	go s.write(conn)
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		text, taken := lines.Text(), make(chan struct{})
		s.loop.Post("openvpn", func() {
			if s.ctx.Err() == nil {
				s.line(text)
			}
			close(taken)
		})
		select {
		case <-taken:
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *socket) write(conn net.Conn) {
	for {
		select {
		case command := <-s.commands:
			if _, err := conn.Write([]byte(command)); err != nil {
				return
			}
		case <-s.ctx.Done():
			return
		}
	}
}

var errDeaf = errors.New("openvpn does not listen")

// send gives openvpn a command. What it gets before it has connected waits.
func (s *socket) send(command string) error {
	select {
	case s.commands <- command + "\n":
		return nil
	default:
		return errDeaf
	}
}

// close ends the connection, and with it openvpn.
func (s *socket) close() { s.cancel() }
