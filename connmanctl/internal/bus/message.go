package bus

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/godbus/dbus/v5"
)

// maxMessage is the longest message the D-Bus specification allows.
const maxMessage = 128 << 20

// fixedHeader is the part of a message's header that has a fixed size.
const fixedHeader = 16

// Message is a message as it came from the bus.
type Message struct {
	Type      dbus.Type
	Serial    uint32
	Answers   uint32 // the serial of the call that a reply or error answers
	Path      string
	Interface string
	Member    string
	ErrorName string
	Sender    string

	signature string
	body      []byte
	order     binary.ByteOrder
}

// Values yields the message's arguments.
func (m *Message) Values() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		eachType(m.signature, m.body, 0, m.order, yield)
	}
}

// Arg returns argument i, or no value when there is none.
func (m *Message) Arg(i int) Value {
	for v := range m.Values() {
		if i == 0 {
			return v
		}
		i--
	}
	return Value{}
}

// readMessage reads the next message from r.
func readMessage(r *bufio.Reader) (*Message, error) {
	head, err := r.Peek(fixedHeader)
	if err != nil {
		return nil, err
	}
	order, err := byteOrder(head[0])
	if err != nil {
		return nil, err
	}
	body := int64(order.Uint32(head[4:]))
	header := (fixedHeader + int64(order.Uint32(head[12:])) + 7) &^ 7
	if header+body > maxMessage {
		return nil, fmt.Errorf("message of %d bytes is too long", header+body)
	}
	data := make([]byte, header+body)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	return parseMessage(data[:header], data[header:], order)
}

func byteOrder(mark byte) (binary.ByteOrder, error) {
	switch mark {
	case 'l':
		return binary.LittleEndian, nil
	case 'B':
		return binary.BigEndian, nil
	}
	return nil, fmt.Errorf("message with byte order %q", mark)
}

func parseMessage(header, body []byte, order binary.ByteOrder) (*Message, error) {
	m := &Message{
		Type:   dbus.Type(header[1]),
		Serial: order.Uint32(header[8:]),
		body:   body,
		order:  order,
	}
	fields := Value{"a(yv)", header, 12, order}
	for field := range fields.Elems() {
		code, value := field.Pair()
		m.setField(dbus.HeaderField(code.Uint()), value.Open())
	}
	switch m.Type {
	case dbus.TypeMethodReply, dbus.TypeError:
		if m.Answers == 0 {
			return nil, errors.New("reply to no call")
		}
	}
	return m, nil
}

func (m *Message) setField(code dbus.HeaderField, v Value) {
	switch code {
	case dbus.FieldPath:
		m.Path = v.Text()
	case dbus.FieldInterface:
		m.Interface = v.Text()
	case dbus.FieldMember:
		m.Member = v.Text()
	case dbus.FieldErrorName:
		m.ErrorName = v.Text()
	case dbus.FieldReplySerial:
		m.Answers = uint32(v.Uint())
	case dbus.FieldSender:
		m.Sender = v.Text()
	case dbus.FieldSignature:
		m.signature = v.Text()
	}
}
