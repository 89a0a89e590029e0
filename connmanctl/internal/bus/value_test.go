package bus

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// encode returns the bytes of a signal with the given arguments.
func encode(t testing.TB, order binary.ByteOrder, args ...any) []byte {
	t.Helper()
	m := &dbus.Message{
		Type: dbus.TypeSignal,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/a/b")),
			dbus.FieldInterface: dbus.MakeVariant("net.connman.Manager"),
			dbus.FieldMember:    dbus.MakeVariant("Changed"),
			dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(args...)),
		},
		Body: args,
	}
	var b bytes.Buffer
	if err := m.EncodeTo(&b, order); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// dump writes v in a form that shows every type and every order.
func dump(b *strings.Builder, v Value) {
	switch v.Kind() {
	case 's', 'o', 'g':
		fmt.Fprintf(b, "%c:%s", v.Kind(), v.Text())
	case 'd':
		fmt.Fprintf(b, "d:%g", v.Double())
	case 'a', '(', '{', 'v':
		fmt.Fprintf(b, "%c[", v.Kind())
		sep := ""
		for e := range v.Elems() {
			b.WriteString(sep)
			dump(b, e)
			sep = " "
		}
		b.WriteString("]")
	default:
		fmt.Fprintf(b, "%c:%d", v.Kind(), v.Uint())
	}
}

func TestValues(t *testing.T) {
	type pair struct {
		Key   string
		Value dbus.Variant
	}
	tests := []struct {
		name string
		args []any
		want string
	}{
		{"text", []any{"x", dbus.ObjectPath("/y"), dbus.SignatureOf("")}, "s:x o:/y g:s"},
		{"numbers", []any{byte(1), uint16(2), uint32(3), uint64(4), int16(-1), true}, "y:1 q:2 u:3 t:4 n:65535 b:1"},
		{"double", []any{math.Pi}, "d:3.141592653589793"},
		{"empty array", []any{[]string{}, "after"}, "a[] s:after"},
		{"padded empty array", []any{[]uint64{}, byte(7)}, "a[] y:7"},
		{"order", []any{[]pair{{"b", dbus.MakeVariant("1")}, {"a", dbus.MakeVariant(byte(2))}}},
			"a[([s:b v[s:1]] ([s:a v[y:2]]]"},
		{"nested variant", []any{dbus.MakeVariant(dbus.MakeVariant([]string{"p", "q"}))}, "v[v[a[s:p s:q]]]"},
		{"dictionary", []any{map[string]dbus.Variant{"k": dbus.MakeVariant(uint16(9))}}, "a[{[s:k v[q:9]]]"},
	}
	for _, tt := range tests {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			t.Run(tt.name+" "+order.String(), func(t *testing.T) {
				m, err := readMessage(bufio.NewReader(bytes.NewReader(encode(t, order, tt.args...))))
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for v := range m.Values() {
					var b strings.Builder
					dump(&b, v)
					got = append(got, b.String())
				}
				if s := strings.Join(got, " "); s != tt.want {
					t.Errorf("got %s, want %s", s, tt.want)
				}
				if m.Path != "/a/b" || m.Interface != "net.connman.Manager" || m.Member != "Changed" {
					t.Errorf("header read as %+v", m)
				}
			})
		}
	}
}

func TestDictOpensVariants(t *testing.T) {
	data := encode(t, binary.LittleEndian, map[string]dbus.Variant{"Name": dbus.MakeVariant("home")})
	m, err := readMessage(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range m.Arg(0).Dict() {
		if key != "Name" || value.Text() != "home" {
			t.Errorf("got %s=%s", key, value.Text())
		}
		return
	}
	t.Error("the dictionary is empty")
}

func TestReplyToNoCall(t *testing.T) {
	m := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(uint32(0)),
	}}
	var b bytes.Buffer
	if err := m.EncodeTo(&b, binary.LittleEndian); err != nil {
		t.Fatal(err)
	}
	if _, err := readMessage(bufio.NewReader(&b)); err == nil {
		t.Error("a reply with serial 0 was taken")
	}
}

func TestMessageTooLong(t *testing.T) {
	head := []byte{'l', 4, 0, 1, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0}
	if _, err := readMessage(bufio.NewReader(bytes.NewReader(head))); err == nil {
		t.Error("a message of 4 GiB was taken")
	}
}

// FuzzMessage checks that no bytes make reading panic or run on for ever.
func FuzzMessage(f *testing.F) {
	f.Add(encode(f, binary.LittleEndian, map[string]dbus.Variant{"k": dbus.MakeVariant([]string{"a", "b"})}))
	f.Add(encode(f, binary.BigEndian, "x", byte(1), 2.5, dbus.MakeVariant(dbus.MakeVariant(uint32(1)))))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= fixedHeader {
			// A length the data does not have only tests the reader's patience.
			data = slices.Clone(data)
			copy(data[6:8], "\x00\x00")
			copy(data[14:16], "\x00\x00")
		}
		m, err := readMessage(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return
		}
		var b strings.Builder
		for v := range m.Values() {
			dump(&b, v)
		}
	})
}
