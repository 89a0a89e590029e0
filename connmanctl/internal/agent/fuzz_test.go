package agent

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"net.connman/pkg/bus"
)

// typist answers with the lines that there are and then no more.
type typist struct {
	lines []string
	later []func()
}

func (p *typist) Ask(_ Question, answer func(string, bool)) func() {
	line, ok := "", len(p.lines) > 0
	if ok {
		line, p.lines = p.lines[0], p.lines[1:]
	}
	p.later = append(p.later, func() { answer(line, ok) })
	return func() { p.later = nil }
}

// run plays the loop until nothing is left to do.
func (p *typist) run() {
	for len(p.later) > 0 {
		next := p.later[0]
		p.later = p.later[1:]
		next()
	}
}

// call keeps what it was answered.
type call struct {
	answers []bus.Dict
	errors  []string
}

func (c *call) Reply(values ...any) { c.answers = append(c.answers, values[0].(bus.Dict)) }
func (c *call) Error(err error)     { c.errors = append(c.errors, err.(*bus.Error).Name) }

// strange returns a value of some type.
func strange(kind byte, text string) any {
	switch kind % 8 {
	case 0:
		return bus.Dict{{Key: "Type", Value: text}, {Key: "Requirement", Value: "mandatory"}}
	case 1:
		return bus.Dict{{Key: "Requirement", Value: uint32(kind)}, {Key: text, Value: bus.Dict{}}}
	case 2:
		return bus.Dict{{Key: "Requirement", Value: "informational"}, {Key: "Value", Value: text}}
	case 3:
		return []byte(text)
	case 4:
		return bus.Variant{Value: []string{text, text}}
	case 5:
		return bus.Struct{text, bus.Signature("as"), int64(kind)}
	case 6:
		return strings.Repeat(text, 1000)
	}
	return text
}

// FuzzAgent puts requests with any fields, and answers with any lines: each
// request is answered once, with UTF-8, and nothing steers the terminal.
func FuzzAgent(f *testing.F) {
	f.Add("\x00Passphrase", "a\n\xff\nb")
	f.Add("\x00WPS\n\x00Passphrase", "\n123")
	f.Add("\x00Name\n\x01Identity\n\x00Something\x1b[m", strings.Repeat("x", 40)+"\nCaf\u00e9\n\n\n\n")
	f.Add("\x02Password\n\x03Username\n\x06\x9bx\n\x05y\n\x04", "yes\nno")
	f.Fuzz(func(t *testing.T, request, lines string) {
		fields := bus.Dict{}
		for name := range strings.SplitSeq(request, "\n") {
			if name != "" {
				fields = append(fields, bus.Entry{Key: name[1:], Value: strange(name[0], name[1:])})
			}
		}
		person := &typist{lines: strings.Split(lines, "\n")}
		var shown strings.Builder
		a := NewNetwork(NewDesk(&shown, person), func() {})
		var calls [3]call
		a.put(&calls[0], a.input("/s/a", fields))
		a.put(&calls[1], a.authorization("/s/\x1b", fields))
		person.run()
		a.put(&calls[2], a.input("/s/c", append(fields, bus.Entry{Key: "Passphrase", Value: bus.Dict{}})))
		a.Gone()
		person.run()
		for i, c := range calls {
			if len(c.answers)+len(c.errors) != 1 {
				t.Errorf("call %d has the answers %q and %q", i, c.answers, c.errors)
			}
			for _, e := range slices.Concat(c.answers...) {
				if value, ok := e.Value.(string); !ok || !utf8.ValidString(value) {
					t.Errorf("%s is answered with %q", e.Key, e.Value)
				}
			}
		}
		if i := strings.IndexAny(shown.String(), "\x1b\x07\r\b\u009b"); i >= 0 {
			t.Errorf("%q comes through", shown.String()[i:])
		}
	})
}
