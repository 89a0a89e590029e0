package shell

import (
	"bytes"
	"strings"
	"testing"

	"net.connman/connmanctl/internal/agent"
)

func typeAll(q *question, keys string) (screen string, end, ok bool) {
	var out bytes.Buffer
	for _, key := range []byte(keys) {
		if end, ok = q.key(key, &out); end {
			break
		}
	}
	return out.String(), end, ok
}

func TestQuestionKeys(t *testing.T) {
	tests := []struct {
		keys, typed string
		end, ok     bool
	}{
		{"abc\r", "abc", true, true},
		{"abc\nd", "abc", true, true},
		{"\r", "", true, true},
		{"ab\x7fc\x08d", "ad", false, false},
		{"\x7f\x08a", "a", false, false},
		{"ü€\x7f", "ü", false, false},
		{"abc\x15d", "d", false, false},
		{"a\x1b[Db\x1b[1;5Cc\x1bOAd\x1bxe", "abcde", false, false},
		{"a\x00\x01\tb", "ab", false, false},
		{"a\x04b", "ab", false, false},
		{"\x04", "", true, false},
		{"a\x03", "a", true, false},
	}
	for _, tt := range tests {
		q := &question{}
		_, end, ok := typeAll(q, tt.keys)
		if string(q.typed) != tt.typed || end != tt.end || ok != tt.ok {
			t.Errorf("%q: typed %q, end %v, ok %v", tt.keys, q.typed, end, ok)
		}
	}
}

// FuzzQuestion types anything: what is hidden does not show, and control
// characters get into no answer.
func FuzzQuestion(f *testing.F) {
	f.Add("abc\x7f\x15\x1b[Dd\r", true)
	f.Add("ü\xff\x7f\x7f\x7f\x04", false)
	f.Fuzz(func(t *testing.T, keys string, hidden bool) {
		q := &question{Question: agent.Question{Prompt: "? ", Hidden: hidden}}
		screen, _, _ := typeAll(q, keys)
		for _, b := range q.typed {
			if b < ' ' || b == 0x7f {
				t.Errorf("%q is typed by %q", q.typed, keys)
			}
		}
		if hidden && strings.Trim(strings.ReplaceAll(screen, "\r\x1b[K", ""), "? ") != "" {
			t.Errorf("%q shows", screen)
		}
	})
}
