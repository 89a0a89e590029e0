package bus

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"net.connman/pkg/loop"
)

// callTimeout is how long the daemon may take over a call. Connecting may wait
// for a person to type a passphrase.
const callTimeout = 120 * time.Second

// noReply is what libdbus says of a call that nobody answered.
const noReply = "Did not receive a reply. Possible causes include: " +
	"the remote application did not send a reply, the message bus security policy blocked the reply, " +
	"the reply timeout expired, or the network connection was broken."

// Error is the answer to a call that failed.
type Error struct {
	Name string // D-Bus error name
	Text string // what the daemon said, or the name when it said nothing
}

func (e *Error) Error() string { return e.Text }

// Unanswered reports whether the error means that no daemon was there to answer.
func (e *Error) Unanswered() bool {
	const prefix = "org.freedesktop.DBus.Error."
	switch short, _ := strings.CutPrefix(e.Name, prefix); short {
	case "ServiceUnknown", "NameHasNoOwner", "NoReply", "Timeout", "Disconnected":
		return true
	default:
		return strings.HasPrefix(short, "Spawn.")
	}
}

// Done receives the answer to a call: the reply, or the error.
type Done func(reply *Message, err *Error)

var (
	errNoReply = &Error{"org.freedesktop.DBus.Error.NoReply", noReply}
	errLost    = &Error{"org.freedesktop.DBus.Error.Disconnected", noReply}
)

// serialOffset is where a message's header holds its serial.
const serialOffset = 8

type call struct {
	done  Done
	timer *loop.Timer
}

// Conn is a connection to the system bus.
type Conn struct {
	loop     *loop.Loop
	sock     net.Conn
	out      bytes.Buffer
	serial   uint32
	calls    map[uint32]call
	onSignal []func(*Message)
	onLost   []func()
	lost     bool
}

// Dial connects to the system bus. What is sent leaves at the end of each turn
// of l; what arrives is handled once l runs.
func Dial(l *loop.Loop) (*Conn, error) {
	sock, err := connect(systemAddress())
	if err != nil {
		return nil, err
	}
	c := &Conn{loop: l, sock: sock, calls: make(map[uint32]call)}
	uid := strconv.Itoa(os.Geteuid())
	c.out.WriteString("\x00AUTH EXTERNAL " + hex.EncodeToString([]byte(uid)) + "\r\nBEGIN\r\n")
	c.busCall("Hello", nil)
	l.AtTurnEnd(c.flush)
	go c.read()
	return c, nil
}

// Close drops the connection and the calls under way.
func (c *Conn) Close() { c.sock.Close() }

// OnSignal adds a function that receives every signal that a match asked for.
func (c *Conn) OnSignal(fn func(*Message)) { c.onSignal = append(c.onSignal, fn) }

// OnLost adds a function that runs when the bus is gone, after every call under
// way has failed.
func (c *Conn) OnLost(fn func()) { c.onLost = append(c.onLost, fn) }

// Idle reports whether every call has been answered.
func (c *Conn) Idle() bool { return len(c.calls) == 0 }

// Call asks the object at path of the daemon named dest; done runs on the loop.
func (c *Conn) Call(dest, path, iface, member string, done Done, args ...any) {
	c.request(dest, path, iface, member, done, args)
}

// AddMatch asks the bus for the messages that rule describes.
func (c *Conn) AddMatch(rule string, done Done) { c.busCall("AddMatch", done, rule) }

// RemoveMatch takes back one AddMatch of the same rule.
func (c *Conn) RemoveMatch(rule string) { c.busCall("RemoveMatch", nil, rule) }

func (c *Conn) busCall(member string, done Done, args ...any) {
	c.request("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member, done, args)
}

func (c *Conn) request(dest, path, iface, member string, done Done, args []any) {
	headers := map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(dest),
		dbus.FieldPath:        dbus.MakeVariant(dbus.ObjectPath(path)),
		dbus.FieldInterface:   dbus.MakeVariant(iface),
		dbus.FieldMember:      dbus.MakeVariant(member),
	}
	if len(args) > 0 {
		headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(args...))
	}
	serial, err := c.send(&dbus.Message{Type: dbus.TypeMethodCall, Headers: headers, Body: args})
	if done == nil {
		return
	}
	if err != nil {
		c.loop.Post("unsent call", func() { done(nil, err) })
		return
	}
	timer := c.loop.After("call", callTimeout, func() { c.answer(serial, nil, errNoReply) })
	c.calls[serial] = call{done, timer}
}

// send appends m to what flush writes and returns its serial.
func (c *Conn) send(m *dbus.Message) (uint32, *Error) {
	if c.lost {
		return 0, errLost
	}
	start := c.out.Len()
	if err := m.EncodeTo(&c.out, binary.LittleEndian); err != nil {
		c.out.Truncate(start)
		return 0, &Error{"org.freedesktop.DBus.Error.InvalidArgs", err.Error()}
	}
	c.serial++
	binary.LittleEndian.PutUint32(c.out.Bytes()[start+serialOffset:], c.serial)
	return c.serial, nil
}

// flush writes the messages sent since the last time. A connection that is gone
// is noticed by the reader.
func (c *Conn) flush() {
	if c.out.Len() > 0 {
		_, _ = c.sock.Write(c.out.Bytes())
		c.out.Reset()
	}
}

// read posts what arrives to the loop until the connection ends.
func (c *Conn) read() {
	r := bufio.NewReaderSize(c.sock, 1<<16)
	err := handshake(r)
	for err == nil {
		var m *Message
		if m, err = readMessage(r); err == nil {
			c.loop.Post("message", func() { c.handle(m) })
		}
	}
	c.loop.Post("connection lost", func() { c.lose() })
}

// handshake reads the bus's answer to the authentication that Dial sent.
func handshake(r *bufio.Reader) error {
	line, err := r.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "OK ") {
		return errors.New("the bus refused the authentication")
	}
	return err
}

func (c *Conn) handle(m *Message) {
	switch m.Type {
	case dbus.TypeMethodReply:
		c.answer(m.Answers, m, nil)
	case dbus.TypeError:
		c.answer(m.Answers, nil, errorOf(m))
	case dbus.TypeSignal:
		for _, fn := range c.onSignal {
			fn(m)
		}
	}
}

func errorOf(m *Message) *Error {
	text := m.Arg(0).Text()
	if text == "" {
		text = m.ErrorName
	}
	return &Error{m.ErrorName, text}
}

func (c *Conn) answer(serial uint32, reply *Message, err *Error) {
	call, waiting := c.calls[serial]
	if !waiting {
		return
	}
	delete(c.calls, serial)
	call.timer.Stop()
	call.done(reply, err)
}

// lose fails the calls under way, in the order in which they were made.
func (c *Conn) lose() {
	c.lost = true
	for _, serial := range slices.Sorted(maps.Keys(c.calls)) {
		c.answer(serial, nil, errLost)
	}
	for _, fn := range c.onLost {
		fn()
	}
}
