package shell

import (
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"net.connman/connmanctl/internal/agent"
)

// Ask puts a question on a line of its own and gives the line being typed back
// afterwards.
func (t *terminal) Ask(q agent.Question, answer func(line string, ok bool)) (withdraw func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.editing() {
		t.rl.Clean()
	}
	t.asking.Store(true)
	if !q.Follows {
		t.passOver()
	}
	_ = t.wantRaw()
	asked := &question{Question: q, answer: answer}
	t.question = asked
	asked.draw(os.Stdout)
	t.hand()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.question == asked {
			asked.erase(os.Stdout)
			t.close()
		}
		asked.answer = func(string, bool) {}
	}
}

// passOver keeps what has been typed so far from the question to come: it is
// readline's, or if there is only this question, nobody's. Raw mode would let
// through what the kernel holds of a line.
func (t *terminal) passOver() {
	t.older = len(t.input)
	if t.rl == nil {
		t.input, t.older = nil, 0
		_ = unix.IoctlSetInt(int(os.Stdin.Fd()), unix.TCFLSH, unix.TCIFLUSH)
	}
}

// answered closes the question and posts its answer. Until the loop has dealt
// with that nobody knows whether another question follows, so what is typed
// meanwhile waits.
func (t *terminal) answered(ok bool) {
	q := t.question
	fmt.Fprintln(os.Stdout)
	t.dealing = true
	t.close()
	t.loop.Post("answer", func() {
		q.answer(string(q.typed), ok)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.dealing = false
		t.hand()
	})
}

// close gives the line back to readline.
func (t *terminal) close() {
	t.question = nil
	_ = t.unwantRaw()
	t.asking.Store(false)
	if t.editing() {
		t.rl.Refresh()
	}
}

// question is a question with what has been typed behind it.
type question struct {
	agent.Question
	answer func(line string, ok bool)
	typed  []byte
	escape escape
}

// escape is how far an escape sequence of the keyboard has come.
type escape int

const (
	noEscape escape = iota
	escapeBegun
	escapeArguments
)

const (
	ctrlC     = 3
	ctrlD     = 4
	backspace = 8
	ctrlU     = 21
	escapeKey = 27
	rubout    = 127
)

// key takes one byte of what is typed. At the end ok says whether there is an
// answer.
func (q *question) key(key byte, screen io.Writer) (end, ok bool) {
	switch {
	case q.inEscape(key):
	case key == '\r' || key == '\n':
		return true, true
	case key == ctrlC || key == ctrlD && len(q.typed) == 0:
		return true, false
	case key == backspace || key == rubout:
		_, size := utf8.DecodeLastRune(q.typed)
		q.typed = q.typed[:len(q.typed)-size]
		q.redraw(screen)
	case key == ctrlU:
		q.typed = nil
		q.redraw(screen)
	case key >= ' ':
		q.typed = append(q.typed, key)
		if !q.Hidden {
			_, _ = screen.Write([]byte{key})
		}
	}
	return false, false
}

// inEscape swallows the sequences that arrow and function keys send.
func (q *question) inEscape(key byte) bool {
	switch {
	case key == escapeKey:
		q.escape = escapeBegun
	case q.escape == escapeBegun && (key == '[' || key == 'O'):
		q.escape = escapeArguments
	case q.escape == noEscape:
		return false
	case q.escape == escapeBegun || key >= '@':
		q.escape = noEscape
	}
	return true
}

func (q *question) erase(w io.Writer) { _, _ = io.WriteString(w, "\r\x1b[K") }

func (q *question) draw(w io.Writer) {
	text := q.Prompt
	if !q.Hidden {
		text += string(q.typed)
	}
	_, _ = io.WriteString(w, text)
}

func (q *question) redraw(w io.Writer) {
	q.erase(w)
	q.draw(w)
}
