package logx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const journalSocket = "/run/systemd/journal/socket"

// A record stays well below what a Unix datagram socket takes by default
// (212992 bytes): long values are cut, and fields that don't fit are left out.
const (
	maxValue  = 16 << 10
	maxRecord = 96 << 10
)

// writeTimeout is how long a record may wait for the journal to take it. It is
// also what a busy machine may take to come around to the write.
const writeTimeout = 250 * time.Millisecond

// journal sends records in systemd's native protocol: fields as KEY=value
// lines, or KEY, length and value when the value has line breaks.
type journal struct {
	conn    *net.UnixConn
	program string
}

// dialJournal returns nil when nobody listens at path.
func dialJournal(path, program string) *journal {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil
	}
	return &journal{conn, program}
}

// leadsToJournal reports whether f is the stream that systemd says goes to its
// journal.
func leadsToJournal(f *os.File) bool {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

func (j *journal) write(r record) {
	var b bytes.Buffer
	text := bytes.NewBufferString(oneLine(r.Message))
	writeAttrs(text, r.attrs)
	writeField(&b, "MESSAGE", text.String())
	writeField(&b, "PRIORITY", strconv.Itoa(priority(r.Level)))
	writeField(&b, "SYSLOG_FACILITY", "3") // daemon
	writeField(&b, "SYSLOG_IDENTIFIER", j.program)
	if r.source.File != "" {
		writeField(&b, "CODE_FILE", r.source.File)
		writeField(&b, "CODE_LINE", strconv.Itoa(r.source.Line))
		writeField(&b, "CODE_FUNC", r.source.Function)
	}
	for _, a := range r.attrs {
		writeField(&b, fieldName(a.Key), a.Value.String())
	}
	// A journal that hangs costs a record, not the daemon's loop. There is no
	// one left to tell of errors.
	_ = j.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, _ = j.conn.Write(b.Bytes())
}

// priority is the level in syslog's numbers.
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	}
	return 7
}

// fieldName makes a journal field of an attribute's name: CONNMAN_, then
// capitals, digits and underscores, 64 characters at most.
func fieldName(key string) string {
	name := "CONNMAN_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
	return name[:min(len(name), 64)]
}

func writeField(b *bytes.Buffer, name, value string) {
	value = value[:min(len(value), maxValue)]
	if value == "" || b.Len()+len(value) > maxRecord {
		return
	}
	b.WriteString(name)
	if strings.Contains(value, "\n") {
		b.WriteByte('\n')
		_ = binary.Write(b, binary.LittleEndian, uint64(len(value))) // a Buffer takes all
	} else {
		b.WriteByte('=')
	}
	b.WriteString(value + "\n")
}
