package bus

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	systemBus   = "unix:path=/var/run/dbus/system_bus_socket"
	readSize    = 16 << 10
	maxBacklog  = 16 << 20 // bytes the bus may leave unread before we give it up
	closingTime = time.Second
)

// dialSocket connects to the first address of a D-Bus address list that
// answers. "" is the system bus.
func dialSocket(ctx context.Context, addresses string) (*net.UnixConn, error) {
	if addresses == "" {
		addresses = cmp.Or(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), systemBus)
	}
	var err error
	for address := range strings.SplitSeq(addresses, ";") {
		var path string
		if path, err = socketPath(address); err != nil {
			continue
		}
		var d net.Dialer
		var conn net.Conn
		if conn, err = d.DialContext(ctx, "unix", path); err == nil {
			return conn.(*net.UnixConn), nil
		}
	}
	return nil, err
}

func socketPath(address string) (string, error) {
	keys, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return "", fmt.Errorf("unsupported bus address %q", address)
	}
	for pair := range strings.SplitSeq(keys, ",") {
		key, value, _ := strings.Cut(pair, "=")
		value, err := dbus.UnescapeBusAddressValue(value)
		if err != nil {
			return "", fmt.Errorf("bus address %q: %w", address, err)
		}
		switch key {
		case "path":
			return value, nil
		case "abstract":
			return "@" + value, nil
		}
	}
	return "", fmt.Errorf("bus address %q has neither path nor abstract", address)
}

// reader cuts the socket's bytes into messages.
type reader struct {
	sock  *net.UnixConn
	large atomic.Bool // messages may have any size that D-Bus allows
	buf   []byte      // buf[pos:] is not consumed yet
	pos   int
	need  int // size of the message that buf[pos:] begins; 0 when that is not known
	skip  int // bytes of an oversized message still to be thrown away
}

// fill reads more bytes behind those not consumed yet.
func (r *reader) fill() error {
	rest := copy(r.buf, r.buf[r.pos:])
	r.buf, r.pos = r.buf[:rest], 0
	switch {
	case r.need > cap(r.buf):
		r.buf = append(make([]byte, 0, max(r.need, readSize)), r.buf...)
	case r.need == 0 && cap(r.buf)-rest < readSize:
		r.buf = append(make([]byte, 0, 2*rest+readSize), r.buf...)
	}
	n, err := r.sock.Read(r.buf[rest:cap(r.buf)])
	r.buf = r.buf[:rest+n]
	return err
}

// line reads up to "\r\n", as the authentication protocol has it.
func (r *reader) line() (string, error) {
	for {
		line, _, ok := strings.Cut(string(r.buf[r.pos:]), "\r\n")
		if ok {
			r.pos += len(line) + 2
			return line, nil
		}
		if len(line) > readSize {
			return "", errors.New("authentication reply is too long")
		}
		if err := r.fill(); err != nil {
			return "", err
		}
	}
}

// buffered returns the next message if it is wholly in the buffer, else nil. Of
// one that is too large it returns the header, so that whoever waits for it
// learns of it, and throws the body away as it comes.
func (r *reader) buffered() (*message, error) {
	for {
		dropped := min(r.skip, len(r.buf)-r.pos)
		r.pos, r.skip, r.need = r.pos+dropped, r.skip-dropped, 0
		if len(r.buf)-r.pos < fixedHeader {
			return nil, nil
		}
		header, body, err := frameSize(r.buf[r.pos:])
		if err != nil {
			return nil, err
		}
		size, tooLarge := header+body, 0
		if size > maxMessage && !r.large.Load() {
			size, tooLarge = header, body
		}
		if size > maxLarge || size == header && header > maxHeader {
			r.skip = header + body // nobody sends such headers in earnest
			continue
		}
		if len(r.buf)-r.pos < size {
			r.need = size
			return nil, nil
		}
		r.skip = tooLarge
		return parseMessage(r.frame(size))
	}
}

// frame takes a message out of the buffer: a copy, or when it is large and
// alone, the buffer itself.
func (r *reader) frame(size int) []byte {
	if size > readSize && r.pos == 0 && len(r.buf) == size {
		frame := r.buf
		r.buf = nil
		return frame
	}
	frame := append([]byte(nil), r.buf[r.pos:r.pos+size]...)
	r.pos += size
	return frame
}

// next waits for a message.
func (r *reader) next() (*message, error) {
	for {
		if m, err := r.buffered(); m != nil || err != nil {
			return m, err
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// batch waits for messages and returns all that have come.
func (r *reader) batch() ([]*message, error) {
	first, err := r.next()
	if err != nil {
		return nil, err
	}
	batch := []*message{first}
	for {
		m, err := r.buffered()
		if m == nil {
			return batch, err
		}
		batch = append(batch, m)
	}
}

// handshake authenticates and says Hello, and returns our unique name.
func (r *reader) handshake() (string, error) {
	if _, err := r.sock.Write(greeting()); err != nil {
		return "", err
	}
	return r.welcome()
}

// helloSerial is the serial number of the first message.
const helloSerial = 1

// greeting authenticates and says Hello, all in one: a bus that accepts us
// answers everything, any other answer ends the connection.
func greeting() []byte {
	uid := hex.EncodeToString([]byte(strconv.Itoa(os.Getuid())))
	return appendMessage([]byte("\x00AUTH EXTERNAL "+uid+"\r\nBEGIN\r\n"), busCall(helloSerial, "Hello"))
}

// welcome reads the answers to the greeting and to Hello, and returns our unique
// name.
func (r *reader) welcome() (string, error) {
	line, err := r.line()
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(line, "OK ") {
		return "", fmt.Errorf("the bus refuses to authenticate us: %q", line)
	}
	for {
		m, err := r.next()
		if err != nil {
			return "", err
		}
		if m.replySerial != 0 {
			return Result[string](m.result(nil))
		}
	}
}

// writer sends without ever blocking the loop: what the socket does not take at
// once is left to a goroutine that lives until it is taken.
type writer struct {
	sock *net.UnixConn
	raw  syscall.RawConn

	mu      sync.Mutex // guards what follows
	backlog []byte
	busy    bool // the goroutine is running
	err     error
	idle    sync.WaitGroup
}

// send takes over b's contents, and b itself if it is larger than maxReuse: then
// the caller must not touch it again.
func (w *writer) send(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || len(b) == 0 {
		return w.err
	}
	if !w.busy {
		n, err := w.try(b)
		if err != nil {
			w.err = err
			return err
		}
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
	if len(w.backlog)+len(b) > maxBacklog {
		w.err = errors.New("the bus does not read what we send")
		return w.err
	}
	if len(w.backlog) == 0 && cap(b) > maxReuse {
		w.backlog = b
	} else {
		w.backlog = append(w.backlog, b...)
	}
	if !w.busy {
		w.busy = true
		w.idle.Go(w.drain)
	}
	return nil
}

// try writes what the socket takes at once.
func (w *writer) try(b []byte) (n int, err error) {
	controlErr := w.raw.Write(func(fd uintptr) bool {
		n, err = syscall.SendmsgN(int(fd), b, nil, nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
		return true
	})
	if controlErr != nil {
		return 0, controlErr
	}
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return 0, nil
	}
	return n, err
}

func (w *writer) drain() {
	for {
		w.mu.Lock()
		b := w.backlog
		w.backlog = nil
		if len(b) == 0 || w.err != nil {
			w.busy = false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		if _, err := w.sock.Write(b); err != nil {
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
		}
	}
}

// close sends what is left, for a second at most, and closes the socket.
func (w *writer) close() {
	w.sock.SetWriteDeadline(time.Now().Add(closingTime))
	w.idle.Wait()
	w.sock.Close()
}
