package configdir

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"net.connman/pkg/dirwatch"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/loop"
)

// again is how long after some file could not be read it is tried again.
const again = time.Minute

// Parser reads the content of a file; name is the file's without its ending. What is
// wrong is returned without the name of the file.
type Parser[S any] func(name string, data []byte) ([]S, []keyfile.Problem)

// Dir is a directory of files that specify values S.
type Dir[S any] struct {
	loop    *loop.Loop
	log     *slog.Logger
	files   files[S]
	again   time.Duration
	changes chan func()

	// Of the goroutine.
	retry    *time.Timer
	report   func([]S)
	reported bool
	specs    []S
	problems []keyfile.Problem
}

// New returns the directory dir, an absolute path, whose files conf and toml
// understand. It need not exist.
func New[S any](l *loop.Loop, log *slog.Logger, dir string, conf, toml Parser[S]) *Dir[S] {
	return &Dir[S]{
		loop: l, log: log, again: again, changes: make(chan func()),
		files: files[S]{dir: dir, parse: map[string]Parser[S]{Ending: conf, TOMLEnding: toml}},
	}
}

// Follow reports what the files specify, in the order of their names, at once and
// whenever it changes, by calling report on the loop with all of it. Nothing is
// reported while the directory never could be read. After stop, which is for the
// loop, report is not called any more. Follow a directory once.
func (d *Dir[S]) Follow(report func([]S)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	d.report = func(specs []S) {
		d.loop.Post("files", func() {
			if ctx.Err() == nil {
				report(specs)
			}
		})
	}
	go d.run(ctx)
	return cancel
}

// Change has change change the files, while nobody reads them, and returns what all
// of them specify then, or change's error. It waits for that, until ctx ends: it is
// not for the loop. The directory must be followed.
func (d *Dir[S]) Change(ctx context.Context, change func() error) (specs []S, err error) {
	done := make(chan struct{})
	work := func() {
		defer close(done)
		if err = change(); err == nil {
			d.read()
			specs = d.specs
		}
	}
	select {
	case d.changes <- work:
		<-done
		return specs, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *Dir[S]) run(ctx context.Context) {
	changed := dirwatch.Watch(ctx, d.log, d.files.dir, wanted)
	d.retry = time.NewTimer(d.again)
	defer d.retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case work := <-d.changes:
			work()
		case <-changed:
			d.read()
		case <-d.retry.C:
			d.read()
		}
	}
}

// read reads all files and reports what they specify if that is new. What could not
// be read is tried again later.
func (d *Dir[S]) read() {
	specs, problems, all := d.files.read()
	for _, p := range problems {
		if !slices.Contains(d.problems, p) {
			d.log.Warn("wrong provisioning", "err", p)
		}
	}
	d.problems = problems
	if d.files.known != nil && (!d.reported || !reflect.DeepEqual(specs, d.specs)) {
		d.reported, d.specs = true, specs
		d.report(specs)
	}
	if all {
		d.retry.Stop()
	} else {
		d.retry.Reset(d.again)
	}
}
