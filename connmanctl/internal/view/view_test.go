package view

import (
	stdjson "encoding/json"
	"io"
	"strings"
	"testing"

	"net.connman/pkg/bus"
)

func TestSafe(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"Käse 配置 👍🏽 👩‍👩‍👧", "Käse 配置 👍🏽 👩‍👩‍👧"},
		{"", ""},
		{"\x1b[31mred\x07", `\x1b[31mred\x07`},
		{"two\nlines\tand\r", `two\x0alines\x09and\x0d`},
		{"\u009b31m", `\u009b31m`},
		{"\x9b31m", `\x9b31m`},
		{"cut \xe4\xb8", `cut \xe4\xb8`},
		{"a\u202etxt.exe", `a\u202etxt.exe`},
		{"a replacement \ufffd", "a replacement \ufffd"},
	}
	for _, tt := range tests {
		if got := Safe(tt.in); got != tt.want {
			t.Errorf("Safe(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSafeLines(t *testing.T) {
	if got, want := SafeLines("no \x1b[m\nmethod\n"), "no \\x1b[m\nmethod\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// source makes values out of bytes.
type source struct{ data []byte }

func (s *source) next() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *source) text() string {
	n := min(int(s.next())%32, len(s.data))
	text := string(s.data[:n])
	s.data = s.data[n:]
	return text
}

// key returns a key that the views look for, or any other.
func (s *source) key() string {
	keys := []string{"Name", "State", "Favorite", "AutoConnect"}
	if i := int(s.next()); i < len(keys) {
		return keys[i]
	}
	return s.text()
}

func (s *source) dict(depth int) bus.Dict {
	var d bus.Dict
	for range s.next() % 4 {
		d = append(d, bus.Entry{Key: s.key(), Value: s.value(depth)})
	}
	return d
}

func (s *source) values(depth int) []any {
	var all []any
	for range s.next() % 4 {
		all = append(all, s.value(depth))
	}
	return all
}

func (s *source) value(depth int) any {
	if depth > 8 {
		return s.text()
	}
	switch s.next() % 20 {
	case 0:
		return s.next()
	case 1:
		return s.next()%2 == 0
	case 2:
		return int16(s.next())
	case 3:
		return uint16(s.next())
	case 4:
		return int32(s.next())
	case 5:
		return uint32(s.next())
	case 6:
		return int64(s.next())
	case 7:
		return uint64(s.next())
	case 8:
		return float64(s.next())
	case 9:
		return bus.ObjectPath(s.text())
	case 10:
		return bus.Signature("as")
	case 11:
		return bus.Variant{Value: s.value(depth + 1)}
	case 12:
		return []string{s.text(), s.text()}
	case 13:
		return []bus.ObjectPath{bus.ObjectPath(s.text())}
	case 14:
		return []byte(s.text())
	case 15:
		return s.dict(depth + 1)
	case 16:
		return []bus.Object{{Path: bus.ObjectPath(s.text()), Properties: s.dict(depth + 1)}}
	case 17:
		return bus.Struct(s.values(depth + 1))
	case 18:
		return bus.Array{Elem: "{ss}", Items: s.values(depth + 1)}
	default:
		return s.text()
	}
}

// FuzzJSON writes any values as everything they could be taken for: each line is
// valid JSON and nothing steers a terminal.
func FuzzJSON(f *testing.F) {
	f.Add([]byte("\x02\x10\x05/a/b/c\x03\x00\x13\x04name\x01\x13\x05ready"))
	f.Add([]byte("\x01\x12\x02\x11\x02\x03\x05\x08\x01"))
	f.Add([]byte("\x02\x13\x04\x1b[m\x9b\x0f\x01\x05\x01k\x08\x03"))
	f.Fuzz(func(t *testing.T, data []byte) {
		values := (&source{data}).values(0)
		var out strings.Builder
		JSONObject(&out, KindService, "/a/\x9b", values)
		JSONObjects(&out, KindPeer, values)
		JSONClients(&out, values)
		JSONSession(&out, "/a/\x9b", "update", dict(arg(values, 0)))
		for _, v := range append(values, nil) {
			JSONSignal(&out, bus.ReceivedSignal{Path: "/", Member: "M\x1b", Args: []any{v}})
		}
		JSONSignal(&out, bus.ReceivedSignal{Path: "/a", Args: values})
		for line := range strings.Lines(out.String()) {
			if !stdjson.Valid([]byte(line)) {
				t.Errorf("%q is not JSON", line)
			}
		}
		if i := strings.IndexAny(out.String(), "\x1b\x07\r\b\u009b"); i >= 0 {
			t.Errorf("%q comes through", out.String()[i:])
		}
	})
}

// FuzzViews shows any values as everything they could be taken for: nothing
// panics, and nothing that steers a terminal comes out.
func FuzzViews(f *testing.F) {
	f.Add([]byte("\x02\x10\x05/a/b/c\x03\x00\x13\x04name\x01\x13\x05ready"))
	f.Add([]byte("\x01\x0f\x03\x05\x01k\x11\x02\x02\x03"))
	f.Add([]byte("\x03\x13\x03\x1b[m\x0b\x0c\x02ab\x02cd\x12\x01\x11"))
	f.Fuzz(func(t *testing.T, data []byte) {
		values := (&source{data}).values(0)
		var out strings.Builder
		for _, show := range []func(io.Writer, []any){
			Properties, Objects, Services, Peers, VPNConnections, TetheringClients,
			func(w io.Writer, v []any) { Object(w, "/x", v) },
			func(w io.Writer, v []any) { Signal(w, "Service", "x", v) },
			func(w io.Writer, v []any) { ServicesChanged(w, "Manager", "x", v) },
			func(w io.Writer, v []any) { PeersChanged(w, "Manager", "x", v) },
		} {
			show(&out, values)
		}
		if i := strings.IndexAny(out.String(), "\x1b\x07\r\b\u009b"); i >= 0 {
			t.Errorf("%q comes through", out.String()[i:])
		}
	})
}
