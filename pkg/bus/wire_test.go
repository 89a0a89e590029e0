package bus

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
)

var samples = []struct {
	value  any
	godbus any // the same for godbus; nil: the same Go value
	sig    string
}{
	{byte(1), nil, "y"},
	{true, nil, "b"},
	{int16(-2), nil, "n"},
	{uint16(1500), nil, "q"},
	{int32(-3), nil, "i"},
	{uint32(4), nil, "u"},
	{int64(-5), nil, "x"},
	{uint64(6), nil, "t"},
	{1.5, nil, "d"},
	{"Größe", nil, "s"},
	{ObjectPath("/a/b"), nil, "o"},
	{Signature("a{sv}"), dbus.ParseSignatureMust("a{sv}"), "g"},
	{Variant{"x"}, dbus.MakeVariant("x"), "v"},
	{Variant{Variant{uint64(1)}}, dbus.MakeVariant(dbus.MakeVariant(uint64(1))), "v"},
	{[]string{}, nil, "as"},
	{[]string{"a", "bcd", ""}, nil, "as"},
	{[]ObjectPath{"/", "/x"}, nil, "ao"},
	{[]byte{1, 2, 3}, nil, "ay"},
	{Dict{}, map[string]dbus.Variant{}, "a{sv}"},
	{Dict{{"k", uint64(7)}}, map[string]dbus.Variant{"k": dbus.MakeVariant(uint64(7))}, "a{sv}"},
	{Dict{{"IPv4", Dict{{"Method", "dhcp"}}}},
		map[string]dbus.Variant{"IPv4": dbus.MakeVariant(map[string]dbus.Variant{"Method": dbus.MakeVariant("dhcp")})}, "a{sv}"},
	{[]Object{{"/s", Dict{{"Name", "n"}}}}, []struct {
		Path  dbus.ObjectPath
		Props map[string]dbus.Variant
	}{{"/s", map[string]dbus.Variant{"Name": dbus.MakeVariant("n")}}}, "a(oa{sv})"},
	{Array{"u", []any{uint32(1), uint32(2)}}, []uint32{1, 2}, "au"},
	{Array{"t", []any{}}, []uint64{}, "at"},
	{Array{"a{sv}", []any{Dict{{"a", true}}}}, []map[string]dbus.Variant{{"a": dbus.MakeVariant(true)}}, "aa{sv}"},
	{Array{"{sa{sv}}", []any{Struct{"i", Dict{}}}}, map[string]map[string]dbus.Variant{"i": {}}, "a{sa{sv}}"},
	{Struct{"s", uint32(1), []string{"x"}}, struct {
		A string
		B uint32
		C []string
	}{"s", 1, []string{"x"}}, "(suas)"},
}

// decode reads values of the types in sig until the end of b.
func decode(b []byte, order binary.ByteOrder, sig string) ([]any, error) {
	d := decoder{b: b, order: order}
	return d.values(sig)
}

// Values survive the way to the wire and back, and godbus writes the same bytes.
func TestValuesAgainstGodbus(t *testing.T) {
	for _, s := range samples {
		if sig := SignatureOf(s.value); sig != s.sig {
			t.Errorf("%#v has type %s, want %s", s.value, sig, s.sig)
		}
		// A byte in front makes every alignment count.
		ours := encodeValues(byte(0), s.value)
		back, err := decode(ours, binary.LittleEndian, "y"+s.sig)
		if err != nil {
			t.Errorf("%#v: %v", s.value, err)
		} else if diff := cmp.Diff([]any{byte(0), s.value}, back); diff != "" {
			t.Errorf("%s", diff)
		}
		other := s.godbus
		if other == nil {
			other = s.value
		}
		if theirs := godbusBody(t, binary.LittleEndian, byte(0), other); !bytes.Equal(ours, theirs) {
			t.Errorf("%#v\nours   %x\ngodbus %x", s.value, ours, theirs)
		}
		big := godbusBody(t, binary.BigEndian, byte(0), other)
		back, err = decode(big, binary.BigEndian, "y"+s.sig)
		if err != nil || !reflect.DeepEqual(back[1], s.value) {
			t.Errorf("big endian: %#v, %v", back, err)
		}
	}
}

func encodeValues(values ...any) []byte {
	var e encoder
	for _, v := range values {
		e.value(v)
	}
	return e.b
}

// godbusBody returns the body that godbus gives a message with these values.
func godbusBody(t *testing.T, order binary.ByteOrder, values ...any) []byte {
	t.Helper()
	msg := &dbus.Message{
		Type: dbus.TypeSignal,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/")),
			dbus.FieldInterface: dbus.MakeVariant("a.B"),
			dbus.FieldMember:    dbus.MakeVariant("M"),
			dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(values...)),
		},
		Body: values,
	}
	var b bytes.Buffer
	if err := msg.EncodeTo(&b, order); err != nil {
		t.Fatal(err)
	}
	m, err := parseMessage(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return m.body
}

func TestGodbusReadsOurMessages(t *testing.T) {
	b := appendMessage(nil, &message{
		kind: kindCall, flags: flagNoAutoStart, serial: 7, path: "/p", iface: "a.B", member: "M", destination: "c.D",
	}, "text", uint32(5), Dict{{"k", []string{"v"}}})
	msg, err := dbus.DecodeMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	want := []any{"text", uint32(5), map[string]dbus.Variant{"k": dbus.MakeVariant([]string{"v"})}}
	if msg.Serial() != 7 || msg.Flags != dbus.FlagNoAutoStart || !reflect.DeepEqual(msg.Body, want) {
		t.Fatalf("godbus reads %v", msg)
	}
}

func TestDictKeepsItsOrder(t *testing.T) {
	d := Dict{{"z", "1"}, {"a", "2"}, {"m", Dict{{"y", "3"}, {"b", "4"}}}}
	for range 20 {
		back, err := decode(encodeValues(d), binary.LittleEndian, "a{sv}")
		if err != nil || !reflect.DeepEqual(back[0], d) {
			t.Fatalf("%v, %v", back, err)
		}
	}
}

func TestEncodedObjectsEqualObjects(t *testing.T) {
	a := Object{"/a", Dict{{"Strength", byte(3)}, {"Name", "odd"}}}
	b := Object{"/bcd", Dict{{"Time", uint64(1)}, {"X", "y"}}}
	plain := encodeValues("s", []Object{a, b})
	kept := encodeValues("s", []EncodedObject{EncodeObject(a), EncodeObject(b)})
	if !bytes.Equal(plain, kept) {
		t.Fatalf("plain %x\nkept  %x", plain, kept)
	}
}

// What the bus would disconnect us for never leaves.
func TestUnsendableStringsAreReplaced(t *testing.T) {
	for in, want := range map[string]string{"a\xffb": "a\uFFFDb", "a\x00b": "a\uFFFDb", "ok": "ok"} {
		back, err := decode(encodeValues(in), binary.LittleEndian, "s")
		if err != nil || back[0] != want {
			t.Errorf("%q became %q, %v", in, back, err)
		}
	}
	back, err := decode(encodeValues(ObjectPath("no path")), binary.LittleEndian, "o")
	if err != nil || back[0] != ObjectPath("/") {
		t.Errorf("%q, %v", back, err)
	}
}

func TestHostileBodiesAreRefused(t *testing.T) {
	nested := strings.Repeat("\x01v\x00", 80) + "\x01y\x00\x05"
	for name, c := range map[string]struct{ sig, body string }{
		"string past the end":   {"s", "\xff\x00\x00\x00abc\x00"},
		"huge string":           {"s", "\xff\xff\xff\xff"},
		"string without NUL":    {"s", "\x01\x00\x00\x00ab"},
		"NUL inside":            {"s", "\x03\x00\x00\x00a\x00b\x00"},
		"not UTF-8":             {"s", "\x01\x00\x00\x00\xff\x00"},
		"bad path":              {"o", "\x02\x00\x00\x00ab\x00"},
		"boolean 2":             {"b", "\x02\x00\x00\x00"},
		"array past the end":    {"as", "\x40\x00\x00\x00"},
		"array cut in element":  {"au", "\x06\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"},
		"padding":               {"yu", "\x01\x01\x01\x01\x00\x00\x00\x00"},
		"variant of two":        {"v", "\x02ss\x00"},
		"variant of nothing":    {"v", "\x00\x00"},
		"variant bomb":          {"v", nested},
		"rest":                  {"y", "\x01\x02"},
		"empty struct":          {"()", ""},
		"unknown type":          {"z", ""},
		"entry outside array":   {"{sv}", ""},
		"key is a container":    {"a{vs}", "\x00\x00\x00\x00"},
		"entry of three":        {"a{sss}", "\x00\x00\x00\x00"},
		"unclosed":              {"(s", ""},
		"array of nothing":      {"a", ""},
		"deep signature":        {strings.Repeat("a", 200) + "y", ""},
		"number past the end":   {"t", "\x00"},
		"signature past end":    {"g", "\x09a"},
		"object cut":            {"a(oa{sv})", "\x08\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00/\x00\x00\x00"},
		"entry without variant": {"a{sv}", "\x06\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00a\x00"},
	} {
		if v, err := decode([]byte(c.body), binary.LittleEndian, c.sig); err == nil {
			t.Errorf("%s: decoded %v", name, v)
		}
	}
}

// FuzzMessage feeds whole messages, as they come from the socket. What decodes
// must encode to something that decodes to the same.
// someNames are properties to be decoded alone.
var someNames = []string{"Name", "b", ""}

// fewer returns values with those properties of objects that decoding them alone
// leaves: the wanted, and the first if there is none before it.
func fewer(values []any) []any {
	var all []any
	for _, v := range values {
		all = append(all, fewerIn(v))
	}
	return all
}

func fewerIn(v any) any {
	switch v := v.(type) {
	case []Object:
		list := make([]Object, 0, len(v))
		for _, o := range v {
			some := Dict{}
			for _, e := range o.Properties {
				if len(some) == 0 || slices.Contains(someNames, e.Key) {
					some = append(some, Entry{e.Key, fewerIn(e.Value)})
				}
			}
			list = append(list, Object{o.Path, some})
		}
		return list
	case Dict:
		all := make(Dict, 0, len(v))
		for _, e := range v {
			all = append(all, Entry{e.Key, fewerIn(e.Value)})
		}
		return all
	case Struct:
		return Struct(fewer(v))
	case Array:
		return Array{v.Elem, append([]any{}, fewer(v.Items)...)}
	case Variant:
		return Variant{fewerIn(v.Value)}
	}
	return v
}

// TestSomeProperties: those asked for, in the order of arrival, and none of an
// object that has none.
func TestSomeProperties(t *testing.T) {
	full := Dict{{"Type", "wifi"}, {"Deep", Struct{Variant{Dict{{"x", []byte("abc")}}}, uint64(7)}}, {"Sig", Signature("as")},
		{"List", Array{"(yv)", []any{Struct{byte(1), Variant{true}}}}}, {"Name", "home"}, {"Domains", []string{"a", "b"}}}
	for _, c := range []struct {
		only []string
		have Dict
		want Dict
	}{
		{[]string{"Name"}, full, Dict{{"Type", "wifi"}, {"Name", "home"}}},
		{[]string{"Domains", "Type"}, full, Dict{{"Type", "wifi"}, {"Domains", []string{"a", "b"}}}},
		{[]string{}, full, Dict{{"Type", "wifi"}}},
		{[]string{"Name"}, Dict{}, Dict{}},
		{nil, full, full},
	} {
		list := []Object{{"/a", c.have}, {"/b", Dict{}}}
		m, err := parseMessage(appendMessage(nil, &message{kind: kindReply, serial: 1, replySerial: 1}, list, "behind"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.only(c.only)
		want := []any{[]Object{{"/a", c.want}, {"/b", Dict{}}}, "behind"}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", c.only, got, err)
		}
		for cut := range m.body { // no length is believed
			short := *m
			short.body = m.body[:cut]
			if got, err := short.only(c.only); err == nil {
				t.Errorf("%q: the first %d bytes are %v", c.only, cut, got)
			}
		}
	}
}

func TestValidPath(t *testing.T) {
	for _, s := range []string{"", "/", "//", "a", "/a", "/a/", "/a//b", "/a/b_0Z", "/a-b", "/a/\u00e4", "/[", "/{", "/@", "/`", "/:", "/a/b/"} {
		if got, want := validPath(s), ObjectPath(s).IsValid(); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range samples {
		f.Add(appendMessage(nil, &message{kind: kindCall, serial: 1, path: "/", iface: "a.B", member: "M"}, s.value))
	}
	f.Add(appendMessage(nil, &message{kind: kindReply, serial: 2, replySerial: 1, destination: ":1.1"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		values, err := m.values()
		if err != nil {
			return
		}
		if sig := SignatureOf(values...); sig != m.signature {
			t.Fatalf("signature %q became %q", m.signature, sig)
		}
		if some, err := m.only(someNames); err != nil || !bytes.Equal(encodeValues(some...), encodeValues(fewer(values)...)) {
			t.Fatalf("%v, some of it %v, %v", values, some, err)
		}
		again := encodeValues(values...)
		back, err := decode(again, binary.LittleEndian, m.signature)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encodeValues(back...), again) {
			t.Fatalf("%v became %v", values, back)
		}
	})
}

func FuzzReader(f *testing.F) {
	one := appendMessage(nil, &message{kind: kindSignal, serial: 1, path: "/", iface: "a.B", member: "M"}, "x")
	f.Add(append(one, one...))
	f.Add([]byte("l\x01\x00\x01\xff\xff\xff\x07\x01\x00\x00\x00\x00\x00\x00\x00 and more"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &reader{buf: b}
		for {
			m, err := r.buffered()
			if m == nil || err != nil {
				return
			}
		}
	})
}
