package lab

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// Answer is what a method is answered with: an error, or values of the given
// signature.
type Answer struct {
	Error, Text string
	Signature   string
	Values      []any
	After       <-chan struct{} // when it is closed; nil for at once
}

// Daemon is a scripted daemon.
type Daemon struct {
	conn *dbus.Conn

	mu      sync.Mutex
	answers map[string]Answer // by "path interface.Member", "interface.Member" or "Member"
	calls   []string
	caller  string        // of the last call
	came    chan struct{} // holds a token when calls grew
}

// StartDaemon connects a daemon that owns names and stops it when the test ends.
func StartDaemon(t testing.TB, bus *Bus, names ...string) *Daemon {
	t.Helper()
	d := &Daemon{answers: make(map[string]Answer), came: make(chan struct{}, 1)}
	conn, err := dbus.Connect(bus.Address, dbus.WithIncomingInterceptor(d.intercept))
	if err != nil {
		t.Fatal(err)
	}
	d.conn = conn
	t.Cleanup(d.Stop)
	for _, name := range names {
		d.Own(t, name)
	}
	return d
}

// Own takes a name on the bus.
func (d *Daemon) Own(t testing.TB, name string) {
	t.Helper()
	if _, err := d.conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
}

// Stop makes the daemon leave the bus.
func (d *Daemon) Stop() { _ = d.conn.Close() }

// Answer sets the answer to a method, named with or without its path and
// interface. Methods without one are answered with UnknownMethod.
func (d *Daemon) Answer(method string, answer Answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[method] = answer
}

// Calls returns the calls that came since the last time, with their arguments.
func (d *Daemon) Calls() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls := d.calls
	d.calls = nil
	return calls
}

// Await waits for a call, given as Calls would return it, and forgets those
// before it.
func (d *Daemon) Await(t testing.TB, call string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !slices.Contains(d.Calls(), call) {
		select {
		case <-d.came:
		case <-late:
			t.Fatalf("nobody called %s", call)
		}
	}
}

// Ask calls a method of the process that called last.
func (d *Daemon) Ask(t testing.TB, path, method string, args ...any) {
	t.Helper()
	if err := (<-d.Begin(path, method, args...)).Err; err != nil {
		t.Fatal(err)
	}
}

// Begin calls a method of the process that called last and returns where the
// answer will be. Arguments may be dictionaries.
func (d *Daemon) Begin(path, method string, args ...any) <-chan *dbus.Call {
	d.mu.Lock()
	caller := d.caller
	d.mu.Unlock()
	dot := strings.LastIndexByte(method, '.')
	return d.conn.Send(&dbus.Message{
		Type: dbus.TypeMethodCall,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant(caller),
			dbus.FieldPath:        dbus.MakeVariant(dbus.ObjectPath(path)),
			dbus.FieldInterface:   dbus.MakeVariant(method[:dot]),
			dbus.FieldMember:      dbus.MakeVariant(method[dot+1:]),
			dbus.FieldSignature:   dbus.MakeVariant(signatureOf(args)),
		},
		Body: args,
	}, make(chan *dbus.Call, 1)).Done
}

// Emit sends a signal with values of the given signature.
func (d *Daemon) Emit(path, iface, member, signature string, values ...any) error {
	return d.send(&dbus.Message{
		Type: dbus.TypeSignal,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath(path)),
			dbus.FieldInterface: dbus.MakeVariant(iface),
			dbus.FieldMember:    dbus.MakeVariant(member),
		},
	}, signature, values)
}

func (d *Daemon) send(m *dbus.Message, signature string, values []any) error {
	if signature != "" {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.ParseSignatureMust(signature))
	}
	m.Body = values
	return d.conn.Send(m, nil).Err
}

// intercept answers a call and hides it from the connection.
func (d *Daemon) intercept(m *dbus.Message) {
	if m.Type != dbus.TypeMethodCall {
		return
	}
	path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	iface, _ := m.Headers[dbus.FieldInterface].Value().(string)
	member, _ := m.Headers[dbus.FieldMember].Value().(string)
	sender, _ := m.Headers[dbus.FieldSender].Value().(string)
	answer := d.answerTo(sender, string(path), iface, member, m.Body)
	reply := &dbus.Message{
		Type: dbus.TypeMethodReply,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldDestination: dbus.MakeVariant(sender),
			dbus.FieldReplySerial: dbus.MakeVariant(m.Serial()),
		},
	}
	if answer.Error != "" {
		reply.Type = dbus.TypeError
		reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant(answer.Error)
		answer.Signature, answer.Values = "s", []any{answer.Text}
	}
	m.Type = 0
	if answer.After == nil {
		_ = d.send(reply, answer.Signature, answer.Values)
		return
	}
	go func() {
		<-answer.After
		_ = d.send(reply, answer.Signature, answer.Values)
	}()
}

func (d *Daemon) answerTo(sender, path, iface, member string, args []any) Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.caller = sender
	method := iface + "." + member
	call := path + " " + method
	d.calls = append(d.calls, strings.TrimRight(call+" "+fmt.Sprint(args...), " "))
	select {
	case d.came <- struct{}{}:
	default:
	}
	for _, key := range []string{call, method, member} {
		if answer, ok := d.answers[key]; ok {
			return answer
		}
	}
	return Answer{Error: "org.freedesktop.DBus.Error.UnknownMethod",
		Text: fmt.Sprintf("Method %q with signature %q on interface %q doesn't exist\n", member, "", iface)}
}
