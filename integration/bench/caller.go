package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// caller asks the same question on a connection of its own and reads the
// answers without looking into them, so that the daemon is measured and not
// the client.
type caller struct {
	conn     net.Conn
	in       *bufio.Reader
	question []byte
	serial   uint32
}

// serialAt is where a message has its serial number (D-Bus specification,
// message format).
const serialAt = 8

func newCaller(address, destination string, path dbus.ObjectPath, method string, args ...any) (*caller, error) {
	conn, err := net.Dial("unix", strings.TrimPrefix(address, "unix:path="))
	if err != nil {
		return nil, err
	}
	c := &caller{conn: conn, in: bufio.NewReaderSize(conn, 1<<16)}
	if err := c.introduce(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot introduce a client to the bus: %w", err)
	}
	c.question, err = encodeCall(destination, path, method, args...)
	return c, err
}

// encodeCall makes the message that calls a method, named with its interface.
func encodeCall(destination string, path dbus.ObjectPath, method string, args ...any) ([]byte, error) {
	dot := strings.LastIndexByte(method, '.')
	m := &dbus.Message{Type: dbus.TypeMethodCall, Body: args, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(destination),
		dbus.FieldPath:        dbus.MakeVariant(path),
		dbus.FieldInterface:   dbus.MakeVariant(method[:dot]),
		dbus.FieldMember:      dbus.MakeVariant(method[dot+1:]),
	}}
	if args != nil {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(args...))
	}
	var out bytes.Buffer
	err := m.EncodeTo(&out, binary.LittleEndian)
	return out.Bytes(), err
}

// introduce authenticates as the process's user and says Hello.
func (c *caller) introduce() error {
	user := hex.EncodeToString([]byte(strconv.Itoa(os.Getuid())))
	if _, err := fmt.Fprintf(c.conn, "\x00AUTH EXTERNAL %s\r\n", user); err != nil {
		return err
	}
	if line, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "OK ") {
		return errors.Join(err, fmt.Errorf("refused: %q", line))
	}
	if _, err := io.WriteString(c.conn, "BEGIN\r\n"); err != nil {
		return err
	}
	var err error
	const bus = "org.freedesktop.DBus"
	if c.question, err = encodeCall(bus, "/org/freedesktop/DBus", bus+".Hello"); err != nil {
		return err
	}
	return c.call()
}

// call asks once and waits for the answer.
func (c *caller) call() error {
	c.serial++
	binary.LittleEndian.PutUint32(c.question[serialAt:], c.serial)
	if _, err := c.conn.Write(c.question); err != nil {
		return err
	}
	for {
		kind, err := c.skip()
		switch {
		case err != nil:
			return err
		case kind == dbus.TypeError:
			return errors.New("the call was answered with an error")
		case kind == dbus.TypeMethodReply:
			return nil
		}
	}
}

// time calls once and tells how long the answer took, or the lack of one.
func (c *caller) time() (time.Duration, error) {
	asked := time.Now()
	err := c.call()
	return time.Since(asked), err
}

// skip reads one message and says what it is.
func (c *caller) skip() (dbus.Type, error) {
	var head [16]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[0] == 'B' {
		order = binary.BigEndian
	}
	body, fields := order.Uint32(head[4:]), order.Uint32(head[12:])
	const align = 8
	_, err := c.in.Discard(int((fields+align-1)/align*align + body))
	return dbus.Type(head[1]), err
}

func (c *caller) close() { c.conn.Close() }
