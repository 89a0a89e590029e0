package bus

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// kind is a message's type.
type kind byte

const (
	kindCall kind = 1 + iota
	kindReply
	kindError
	kindSignal
)

// Flags of a message (D-Bus specification, "Message Format").
const (
	flagNoReply     = 1
	flagNoAutoStart = 2
	flagInteractive = 4
)

// Codes of the header fields.
const (
	fieldPath = 1 + iota
	fieldInterface
	fieldMember
	fieldErrorName
	fieldReplySerial
	fieldDestination
	fieldSender
	fieldSignature
)

const (
	fixedHeader = 16        // bytes before the header fields
	maxMessage  = 4 << 20   // far more than a daemon needs
	maxLarge    = 128 << 20 // what D-Bus allows
	maxHeader   = 64 << 10  // far more than names and paths need
)

var errOversized = errors.New("the message is larger than what is accepted")

// message is a message in either direction; a received one keeps its body
// encoded until somebody wants the values.
type message struct {
	kind        kind
	flags       byte
	serial      uint32
	replySerial uint32
	path        ObjectPath
	iface       string
	member      string
	errorName   string
	destination string
	sender      string
	signature   string
	body        []byte
	order       binary.ByteOrder
	oversized   bool // the body was thrown away
}

func (m *message) values() ([]any, error) { return m.only(nil) }

// only returns the values, as MethodCall.Properties says.
func (m *message) only(properties []string) ([]any, error) {
	if m.oversized {
		return nil, errOversized
	}
	d := decoder{b: m.body, order: m.order, only: properties}
	return d.values(m.signature)
}

// appendMessage appends m with values as its body to b.
func appendMessage(b []byte, m *message, values ...any) []byte {
	e := encoder{b: b, base: len(b)}
	m.signature = SignatureOf(values...)
	e.b = append(e.b, 'l', byte(m.kind), m.flags, 1, 0, 0, 0, 0)
	e.uint32(m.serial)
	length := e.openArray(8)
	start := len(e.b)
	if m.path != "" {
		e.field(fieldPath, "o", func() { e.path(m.path) })
	}
	e.stringField(fieldInterface, m.iface)
	e.stringField(fieldMember, m.member)
	e.stringField(fieldErrorName, m.errorName)
	if m.replySerial != 0 {
		e.field(fieldReplySerial, "u", func() { e.uint32(m.replySerial) })
	}
	e.stringField(fieldDestination, m.destination)
	if m.signature != "" {
		e.field(fieldSignature, "g", func() { e.signature(m.signature) })
	}
	e.closeArray(length, start)
	e.align(8)
	body := len(e.b)
	for _, v := range values {
		e.value(v)
	}
	binary.LittleEndian.PutUint32(e.b[e.base+4:], uint32(len(e.b)-body))
	return e.b
}

func (e *encoder) field(code byte, typ string, value func()) {
	e.align(8)
	e.b = append(e.b, code)
	e.signature(typ)
	value()
}

func (e *encoder) stringField(code byte, s string) {
	if s != "" {
		e.field(code, "s", func() { e.string(s) })
	}
}

// frameSize returns the size of the message that starts with the fixed header
// b: of its header with padding, and of its body.
func frameSize(b []byte) (header, body int, err error) {
	order, err := byteOrder(b[0])
	if err != nil {
		return 0, 0, err
	}
	fields, length := order.Uint32(b[12:]), order.Uint32(b[4:])
	if fields > maxLarge || length > maxLarge {
		return 0, 0, errors.New("message is longer than D-Bus allows")
	}
	return fixedHeader + (int(fields)+7)&^7, int(length), nil
}

func byteOrder(mark byte) (binary.ByteOrder, error) {
	switch mark {
	case 'l':
		return binary.LittleEndian, nil
	case 'B':
		return binary.BigEndian, nil
	}
	return nil, fmt.Errorf("unknown byte order %q", mark)
}

// parseMessage reads one message from its frame, which it keeps: from the whole
// of it, or from the header alone when the body was too large. The body is not
// looked into.
func parseMessage(frame []byte) (*message, error) {
	if len(frame) < fixedHeader {
		return nil, errTruncated
	}
	header, body, err := frameSize(frame)
	if err != nil {
		return nil, err
	}
	if len(frame) != header+body && len(frame) != header {
		return nil, errTruncated
	}
	order, _ := byteOrder(frame[0])
	m := &message{
		kind:   kind(frame[1]),
		flags:  frame[2],
		serial: order.Uint32(frame[8:]),
		body:   frame[header:],
		order:  order,

		oversized: len(frame) < header+body,
	}
	fields := decoder{b: frame[:fixedHeader+int(order.Uint32(frame[12:]))], pos: fixedHeader, order: order}
	for fields.pos < len(fields.b) {
		if err := m.parseField(&fields); err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
	}
	return m, nil
}

func (m *message) parseField(d *decoder) error {
	if err := d.align(8); err != nil {
		return err
	}
	code, err := d.take(1)
	if err != nil {
		return err
	}
	value, err := d.variant(0)
	if err != nil {
		return err
	}
	ok := true
	switch code[0] {
	case fieldPath:
		m.path, ok = value.(ObjectPath)
	case fieldInterface:
		m.iface, ok = value.(string)
	case fieldMember:
		m.member, ok = value.(string)
	case fieldErrorName:
		m.errorName, ok = value.(string)
	case fieldReplySerial:
		m.replySerial, ok = value.(uint32)
	case fieldDestination:
		m.destination, ok = value.(string)
	case fieldSender:
		m.sender, ok = value.(string)
	case fieldSignature:
		var s Signature
		s, ok = value.(Signature)
		m.signature = string(s)
	}
	if !ok {
		return fmt.Errorf("field %d has the wrong type", code[0])
	}
	return nil
}
