package view

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"net.connman/pkg/bus"
)

// The kinds of what JSON lines are about.
const (
	KindManager    = "manager"
	KindClock      = "clock"
	KindTechnology = "technology"
	KindService    = "service"
	KindPeer       = "peer"
	KindVPN        = "vpn-connection"
	KindClient     = "tethering-client"
	KindSession    = "session"
)

// JSONObject writes the properties that a method of an object returned, as one
// line.
func JSONObject(w io.Writer, kind, path string, reply []any) {
	writeJSON(w, func(j *json) {
		j.open('{').key("kind").text(kind)
		j.identity(path).key("properties").value(dict(arg(reply, 0))).close('}')
	})
}

// JSONObjects writes the objects that a method returned, a line each.
func JSONObjects(w io.Writer, kind string, reply []any) {
	objects, _ := arg(reply, 0).([]bus.Object)
	var b strings.Builder
	for _, o := range objects {
		writeJSON(&b, func(j *json) { j.open('{').key("kind").text(kind).object(o).close('}') })
	}
	_, _ = io.WriteString(w, b.String())
}

// JSONServices writes services, a line each, with what is known of them besides.
func JSONServices(w io.Writer, services []bus.Object, diagnostics map[bus.ObjectPath]bus.Dict) {
	var b strings.Builder
	for _, o := range services {
		writeJSON(&b, func(j *json) {
			j.open('{').key("kind").text(KindService).object(o)
			if d := diagnostics[o.Path]; len(d) > 0 {
				j.key("diagnostics").value(d)
			}
			j.close('}')
		})
	}
	_, _ = io.WriteString(w, b.String())
}

// JSONClients writes the addresses that a method returned, a line each.
func JSONClients(w io.Writer, reply []any) {
	clients, _ := arg(reply, 0).([]string)
	for _, address := range clients {
		writeJSON(w, func(j *json) { j.open('{').key("kind").text(KindClient).key("address").text(address).close('}') })
	}
}

// JSONSession writes what happened to a session as one line: created, ended,
// released, or an update with the settings that changed.
func JSONSession(w io.Writer, path, event string, settings bus.Dict) {
	writeJSON(w, func(j *json) {
		j.open('{').key("kind").text(KindSession).identity(path).key("event").text(event)
		if settings != nil {
			j.key("properties").value(settings)
		}
		j.close('}')
	})
}

// JSONSignal writes a signal as one line. How its arguments are named depends
// on their types, which tell a signal's kind.
func JSONSignal(w io.Writer, s bus.ReceivedSignal) {
	writeJSON(w, func(j *json) {
		j.open('{').key("signal").text(s.Member).key("interface").text(s.Interface).identity(string(s.Path))
		second := arg(s.Args, 1)
		switch first := arg(s.Args, 0).(type) {
		case string: // PropertyChanged
			j.key("property").text(first).key("value").value(second)
		case []bus.Object: // ServicesChanged, PeersChanged
			j.key("changed").open('[')
			for _, o := range first {
				j.element().open('{').object(o).close('}')
			}
			j.close(']').key("removed").value(second)
		case bus.ObjectPath: // …Added, …Removed
			if properties, ok := second.(bus.Dict); ok {
				j.key("added").open('{').object(bus.Object{Path: first, Properties: properties}).close('}')
			} else {
				j.key("removed").text(string(first))
			}
		case []string: // TetheringClientsChanged
			j.key("added").value(first).key("removed").value(second)
		default:
			j.key("args").list(s.Args)
		}
		j.close('}')
	})
}

// json writes one value of RFC 8259. It keeps the order of dictionaries and
// takes any D-Bus value.
type json struct {
	b     strings.Builder
	comma bool // before the next key or element
}

func writeJSON(w io.Writer, fill func(*json)) {
	var j json
	fill(&j)
	j.b.WriteByte('\n')
	_, _ = io.WriteString(w, j.b.String())
}

func (j *json) open(bracket byte) *json {
	j.b.WriteByte(bracket)
	j.comma = false
	return j
}

func (j *json) close(bracket byte) *json {
	j.b.WriteByte(bracket)
	j.comma = true
	return j
}

// element begins the next element of an array.
func (j *json) element() *json {
	if j.comma {
		j.b.WriteByte(',')
	}
	j.comma = true
	return j
}

func (j *json) key(key string) *json {
	j.element().text(key)
	j.b.WriteByte(':')
	return j
}

// identity writes an object's identifier and path.
func (j *json) identity(path string) *json {
	if id := ID(path); id != "" {
		j.key("id").text(id)
	}
	return j.key("path").text(path)
}

func (j *json) object(o bus.Object) *json {
	return j.identity(string(o.Path)).key("properties").value(o.Properties)
}

// text writes a string. What could steer a terminal is escaped, and bytes that
// are not UTF-8 become U+FFFD.
func (j *json) text(s string) *json {
	j.b.WriteByte('"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			j.b.WriteByte('\\')
			j.b.WriteRune(r)
		case steers(r): // all of them lie in the first plane
			fmt.Fprintf(&j.b, `\u%04x`, r)
		default:
			j.b.WriteRune(r)
		}
		i += size
	}
	j.b.WriteByte('"')
	return j
}

func (j *json) value(v any) *json {
	switch v := v.(type) {
	case string:
		return j.text(v)
	case bus.ObjectPath:
		return j.text(string(v))
	case bus.Signature:
		return j.text(string(v))
	case bus.Variant:
		return j.value(v.Value)
	case bool:
		j.b.WriteString(strconv.FormatBool(v))
	case float64:
		j.float(v)
	case byte, int16, uint16, int32, uint32, int64, uint64:
		fmt.Fprint(&j.b, v)
	case bus.Dict:
		j.open('{')
		for _, e := range v {
			j.key(e.Key).value(e.Value)
		}
		j.close('}')
	case bus.Array:
		j.array(v)
	default:
		j.list(elems(v))
	}
	return j
}

// float writes a number; JSON has no infinities.
func (j *json) float(f float64) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		j.b.WriteString("null")
		return
	}
	j.b.WriteString(strconv.FormatFloat(f, 'g', -1, 64))
}

// array writes an array; dictionaries whose keys are no strings get them as
// text.
func (j *json) array(a bus.Array) {
	if !strings.HasPrefix(a.Elem, "{") {
		j.list(a.Items)
		return
	}
	j.open('{')
	for _, item := range arrayElems(a) {
		pair := item.(entry)
		key, ok := pair[0].(string)
		if !ok {
			key = plain(pair[0])
		}
		j.key(key).value(pair[1])
	}
	j.close('}')
}

func (j *json) list(items []any) {
	j.open('[')
	for _, item := range items {
		j.element().value(item)
	}
	j.close(']')
}

// plain returns a value of a basic type as text.
func plain(v any) string {
	if path, ok := v.(bus.ObjectPath); ok {
		return string(path)
	}
	return fmt.Sprint(v)
}

// dict returns a dictionary, empty when v is none.
func dict(v any) bus.Dict {
	d, _ := v.(bus.Dict)
	return d
}
