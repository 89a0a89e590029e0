package bus

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// socketPair returns two connected sockets that close with the test.
func socketPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

func newWriter(t *testing.T, sock *net.UnixConn) *writer {
	t.Helper()
	raw, err := sock.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return &writer{sock: sock, raw: raw}
}

// A bus that does not read for a while gets everything in order, and sending
// never waits for it.
func TestWriterKeepsOrderBehindASlowBus(t *testing.T) {
	ours, theirs := socketPair(t)
	w := newWriter(t, ours)
	var want bytes.Buffer
	for i := range 3000 {
		size := 1000
		if i%100 == 7 {
			size = 3 * maxReuse // more than is copied
		}
		chunk := bytes.Repeat([]byte{byte(i)}, size)
		want.Write(chunk)
		if err := w.send(chunk); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, want.Len())
	theirs.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(theirs, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("bytes arrived out of order")
	}
	w.close()
}

func TestWriterGivesUpADeafBus(t *testing.T) {
	ours, theirs := socketPair(t)
	w := newWriter(t, ours)
	chunk := make([]byte, 1<<20)
	var err error
	for range 4 * maxBacklog / len(chunk) {
		if err = w.send(chunk); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("the backlog has no bound")
	}
	theirs.Close()
	w.close()
}

func TestWelcomeRefused(t *testing.T) {
	for answer, want := range map[string]string{
		"REJECTED ANONYMOUS\r\n":               "refuses",
		"OK 12":                                "EOF",
		"OK 12\r\nnonsense that is no message": "byte order",
	} {
		ours, theirs := socketPair(t)
		io.WriteString(theirs, answer)
		theirs.CloseWrite()
		_, err := (&reader{sock: ours}).welcome()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", answer, err, want)
		}
	}
}

// A message larger than we take comes without its body, which is thrown away as
// it arrives, and the next one is read; with AcceptLarge it comes whole.
func TestOversizedMessage(t *testing.T) {
	body := make([]byte, maxMessage)
	big := appendMessage(nil, &message{kind: kindReply, serial: 1, replySerial: 7}, body)
	long := appendMessage(nil, &message{kind: kindCall, serial: 2, path: ObjectPath("/" + strings.Repeat("a", maxHeader))}, body)
	next := appendMessage(nil, &message{kind: kindSignal, serial: 3, path: "/", iface: "a.B", member: "Next"}, "x")
	for _, large := range []bool{false, true} {
		ours, theirs := socketPair(t)
		go func() {
			theirs.Write(append(append(big, long...), next...))
			theirs.Close()
		}()
		r := &reader{sock: ours}
		r.large.Store(large)
		m, err := r.next()
		if err != nil || m.replySerial != 7 || m.oversized == large || len(m.body) > 0 != large {
			t.Fatalf("large %v: %v, serial %d, oversized %v", large, err, m.replySerial, m.oversized)
		}
		if values, err := m.values(); (err == nil) != large || len(values) > 0 != large {
			t.Errorf("large %v: %d values, %v", large, len(values), err)
		}
		if large { // else nothing of it is taken in
			if m, err = r.next(); err != nil || m.serial != 2 {
				t.Fatalf("%+v, %v", m, err)
			}
		}
		if m, err = r.next(); err != nil || m.member != "Next" {
			t.Fatalf("%+v, %v", m, err)
		}
		if !large && cap(r.buf) > 4*readSize {
			t.Errorf("the buffer grew to %d bytes for it", cap(r.buf))
		}
	}
}

func TestSocketPath(t *testing.T) {
	for address, want := range map[string]string{
		"unix:path=/a%20b":           "/a b",
		"unix:guid=12,path=/a":       "/a",
		"unix:abstract=/tmp/x,guid=": "@/tmp/x",
	} {
		if got, err := socketPath(address); got != want || err != nil {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
	for _, address := range []string{"", "unix:", "tcp:host=a", "unix:path=%zz", "unixexec:path=/bin/sh"} {
		if got, err := socketPath(address); err == nil {
			t.Errorf("%s: %q", address, got)
		}
	}
}
