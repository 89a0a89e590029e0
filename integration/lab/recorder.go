package lab

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// Record is one message that passed the bus.
type Record struct {
	At      time.Time
	Message *dbus.Message
}

// Recorder keeps every message of a bus in the order in which the bus passed
// them on, replies and signals alike.
type Recorder struct {
	conn *dbus.Conn
	quit chan struct{}

	mu      sync.Mutex // guards records and changed
	records []Record
	changed chan struct{}
}

// Record starts to record everything on the bus.
func (b *Bus) Record() (*Recorder, error) {
	r := &Recorder{quit: make(chan struct{}), changed: make(chan struct{})}
	conn, err := b.Connect()
	if err != nil {
		return nil, err
	}
	r.conn = conn
	call := conn.BusObject().Call("org.freedesktop.DBus.Monitoring.BecomeMonitor", 0, []string{}, uint32(0))
	if call.Err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot record the bus: %w", call.Err)
	}
	// The connection drops what the channel cannot take; it takes more than
	// any burst of the lab's.
	messages := make(chan *dbus.Message, 1<<16)
	conn.Eavesdrop(messages)
	go r.listen(messages)
	return r, nil
}

// listen ends with the recording, or when the bus is gone: then the connection
// closes the channel.
func (r *Recorder) listen(messages <-chan *dbus.Message) {
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return
			}
			r.add(m)
		case <-r.quit:
			return
		}
	}
}

func (r *Recorder) add(m *dbus.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, Record{At: time.Now(), Message: m})
	close(r.changed)
	r.changed = make(chan struct{})
}

// Close ends the recording.
func (r *Recorder) Close() {
	// Taken away first: a connection that closes may still send to the channel
	// that it has closed.
	r.conn.Eavesdrop(nil)
	close(r.quit)
	r.conn.Close()
}

// Records returns what was recorded from position from on.
func (r *Recorder) Records(from int) []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Record(nil), r.records[min(from, len(r.records)):]...)
}

// Mark returns the position of the next record.
func (r *Recorder) Mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.records)
}

// Wait returns the first record from position from on that match accepts, as
// soon as it is there.
func (r *Recorder) Wait(ctx context.Context, from int, match func(*dbus.Message) bool) (Record, error) {
	for {
		r.mu.Lock()
		fresh, changed := r.records[min(from, len(r.records)):], r.changed
		r.mu.Unlock()
		for _, record := range fresh {
			from++
			if match(record.Message) {
				return record, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Record{}, fmt.Errorf("no such message: %w", ctx.Err())
		}
	}
}

// Header returns a header field of a message as text, empty when it has none.
func Header(m *dbus.Message, field dbus.HeaderField) string {
	switch value := m.Headers[field].Value().(type) {
	case string:
		return value
	case dbus.ObjectPath:
		return string(value)
	}
	return ""
}

// String is one line: what the message is and what it carries.
func (r Record) String() string {
	m := r.Message
	var b strings.Builder
	switch m.Type {
	case dbus.TypeSignal:
		fmt.Fprintf(&b, "signal %s %s.%s", Header(m, dbus.FieldPath), Header(m, dbus.FieldInterface), Header(m, dbus.FieldMember))
	case dbus.TypeMethodCall:
		fmt.Fprintf(&b, "call %s %s.%s", Header(m, dbus.FieldPath), Header(m, dbus.FieldInterface), Header(m, dbus.FieldMember))
	case dbus.TypeError:
		fmt.Fprintf(&b, "error %s", Header(m, dbus.FieldErrorName))
	default:
		b.WriteString("reply")
	}
	for _, value := range m.Body {
		fmt.Fprintf(&b, " %s", dbus.MakeVariant(value))
	}
	return b.String()
}
