package logx

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// lines writes a record a line: program, level unless it is info, message,
// attributes; debug messages also name their source.
type lines struct {
	mu      sync.Mutex
	out     io.Writer
	program string
}

func (l *lines) write(r record) {
	var b bytes.Buffer
	if l.program != "" {
		b.WriteString(l.program + ": ")
	}
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	case r.Level < slog.LevelInfo:
		fmt.Fprintf(&b, "%s/%s:%d ", packageOf(r.source.Function), path.Base(r.source.File), r.source.Line)
	}
	b.WriteString(oneLine(r.Message))
	writeAttrs(&b, r.attrs)
	b.WriteByte('\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(b.Bytes()) // there is no one left to tell
}

func writeAttrs(b *bytes.Buffer, attrs []slog.Attr) {
	for _, a := range attrs {
		value := a.Value.String()
		if value == "" || strings.ContainsAny(value, " \"=") || oneLine(value) != value {
			value = strconv.Quote(value)
		}
		b.WriteString(" " + oneLine(a.Key) + "=" + value)
	}
}

// oneLine keeps text that came from outside from starting a line of its own or
// steering the terminal.
func oneLine(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return strings.Trim(strconv.Quote(s), `"`)
}
