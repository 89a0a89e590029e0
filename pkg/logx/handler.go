package logx

import (
	"context"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Options say where the log goes and how much of it.
type Options struct {
	// Program is the name that records carry, such as "connmand".
	Program string
	// Foreground is --nodaemon: records go to standard error in any case, and
	// to the journal also when standard error does not lead there itself.
	Foreground bool
	// Debug chooses the source files whose debug messages are wanted.
	Debug Filter
}

// New returns the daemon's logger.
func New(o Options) *slog.Logger {
	journal := dialJournal(journalSocket, o.Program)
	var sinks []sink
	toJournal := journal != nil && !isTerminal(os.Stderr)
	if toJournal {
		sinks = append(sinks, journal)
	}
	if !toJournal || o.Foreground && !leadsToJournal(os.Stderr) {
		sinks = append(sinks, &lines{out: os.Stderr, program: o.Program})
	}
	return slog.New(newHandler(o.Debug, sinks...))
}

// NewWriter returns a logger that writes short lines to out.
func NewWriter(out io.Writer, debug Filter) *slog.Logger {
	return slog.New(newHandler(debug, &lines{out: out}))
}

// sink takes records. attrs come flattened, groups joined to their keys by dots.
type sink interface {
	write(r record)
}

type record struct {
	slog.Record
	attrs  []slog.Attr
	source runtime.Frame
}

type handler struct {
	level  slog.Level
	filter Filter
	sinks  []sink
	prefix string
	attrs  []slog.Attr
	wanted *sync.Map // program counter to bool: whether its debug messages are wanted
}

func newHandler(filter Filter, sinks ...sink) *handler {
	h := &handler{level: slog.LevelInfo, filter: filter, sinks: sinks, wanted: new(sync.Map)}
	if !filter.none() {
		h.level = slog.LevelDebug
	}
	return h
}

// Enabled refuses debug messages right away when no file's are wanted.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	rec := record{Record: r}
	if r.Level < slog.LevelInfo {
		if !h.wants(r.PC) {
			return nil
		}
		rec.source = frame(r.PC)
	}
	rec.attrs = slices.Clip(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		rec.attrs = appendFlat(rec.attrs, h.prefix, a)
		return true
	})
	for _, s := range h.sinks {
		s.write(rec)
	}
	return nil
}

// wants looks a call site up, once matched against the globs.
func (h *handler) wants(pc uintptr) bool {
	if known, ok := h.wanted.Load(pc); ok {
		return known.(bool)
	}
	f := frame(pc)
	wanted := h.filter.match(f.Function, f.File)
	h.wanted.Store(pc, wanted)
	return wanted
}

func frame(pc uintptr) runtime.Frame {
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	return f
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = slices.Clip(h.attrs)
	for _, a := range attrs {
		next.attrs = appendFlat(next.attrs, h.prefix, a)
	}
	return &next
}

func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	if name != "" {
		next.prefix += name + "."
	}
	return &next
}

func appendFlat(attrs []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Value.Kind() != slog.KindGroup {
		if a.Key == "" {
			return attrs
		}
		return append(attrs, slog.Attr{Key: prefix + a.Key, Value: a.Value})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, inner := range a.Value.Group() {
		attrs = appendFlat(attrs, prefix, inner)
	}
	return attrs
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
