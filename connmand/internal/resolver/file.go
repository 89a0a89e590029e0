package resolver

import (
	"context"
	"log/slog"
	"os"

	"net.connman/pkg/loop"
)

const (
	runFile = "/run/connman/resolv.conf"
	etcFile = "/etc/resolv.conf"
)

// file keeps resolv.conf. Its methods are for the loop, except close.
type file struct {
	loop    *loop.Loop
	log     *slog.Logger
	place   *place // nil: there is nothing to write
	want    string // "": what was there before us
	busy    bool   // place is at work
	trouble string // what was logged last
}

// newFile returns the keeper of the file at path, which is the value of
// ResolvConf: "" chooses as the package comment says, /dev/null writes nothing.
func newFile(l *loop.Loop, log *slog.Logger, path string) *file {
	f := &file{loop: l, log: log}
	switch path {
	case os.DevNull:
	case "":
		f.place = &place{log: log, own: runFile, etc: etcFile, candidates: []string{runFile, etcFile}}
	default:
		f.place = &place{log: log, own: runFile, etc: etcFile, candidates: []string{path}}
	}
	return f
}

// set makes text the file's content, or with "" what it was before us.
func (f *file) set(text string) {
	if f.place == nil || text == f.want {
		return
	}
	f.want = text
	if !f.busy {
		f.work()
	}
}

func (f *file) work() {
	text := f.want
	f.busy = true
	work := func(context.Context) (struct{}, error) {
		if text == "" {
			return struct{}{}, f.place.restore()
		}
		return struct{}{}, f.place.write(text)
	}
	loop.Go(f.loop, "resolv.conf", work, func(_ struct{}, err error) {
		f.busy = false
		f.report(err)
		if f.want != text {
			f.work()
		}
	})
}

// report logs an error unless it is the last one again.
func (f *file) report(err error) {
	if err == nil {
		f.trouble = ""
		return
	}
	if what := err.Error(); what != f.trouble {
		f.trouble = what
		f.log.Warn("name servers are not written", "err", err)
	}
}

// close leaves text in the file, or with "" what it held before us. It blocks;
// call it after the loop's Wait.
func (f *file) close(text string) error {
	switch {
	case f.place == nil:
		return nil
	case text == "":
		return f.place.restore()
	}
	return f.place.write(text)
}
