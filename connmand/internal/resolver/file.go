package resolver

import (
	"context"
	"log/slog"
	"net/netip"
	"os"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

const (
	runFile = "/run/connman/resolv.conf"
	etcFile = "/etc/resolv.conf"
)

// File keeps resolv.conf. It implements core.Resolver. Its methods are for the
// loop, except Close.
type File struct {
	loop    *loop.Loop
	log     *slog.Logger
	place   *place // nil: there is nothing to write
	want    string // "" until there is something to say
	busy    bool   // place is writing
	trouble string // what was logged last
}

// New returns the keeper of the file at path, which is the value of ResolvConf:
// "" chooses as the package comment says, /dev/null writes nothing.
func New(l *loop.Loop, log *slog.Logger, path string) *File {
	f := &File{loop: l, log: log}
	switch path {
	case os.DevNull:
	case "":
		f.place = &place{log: log, own: runFile, etc: etcFile, candidates: []string{runFile, etcFile}}
	default:
		f.place = &place{log: log, own: runFile, etc: etcFile, candidates: []string{path}}
	}
	return f
}

// Set makes the file name the servers and domains of links or, when they have
// no server, the fallback ones.
func (f *File) Set(links []core.LinkDNS, fallback []netip.Addr) {
	text, named := content(links, fallback)
	if f.place == nil || text == f.want || f.want == "" && !named {
		return
	}
	f.want = text
	if !f.busy {
		f.write()
	}
}

func (f *File) write() {
	text := f.want
	f.busy = true
	work := func(context.Context) (struct{}, error) { return struct{}{}, f.place.write(text) }
	loop.Go(f.loop, "resolv.conf", work, func(_ struct{}, err error) {
		f.busy = false
		f.report(err)
		if f.want != text {
			f.write()
		}
	})
}

// report logs an error unless it is the last one again.
func (f *File) report(err error) {
	if err == nil {
		f.trouble = ""
		return
	}
	if what := err.Error(); what != f.trouble {
		f.trouble = what
		f.log.Warn("name servers are not written", "error", err)
	}
}

// Close puts back what the file held before. It blocks; call it after the
// loop's Wait.
func (f *File) Close() error {
	if f.place == nil {
		return nil
	}
	return f.place.restore()
}
