package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"net.connman/pkg/keyfile"
	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/core"
)

// DefaultDir is where the files are.
const DefaultDir = "/var/lib/connman-vpn"

const (
	// settle is how long the files must have been left alone before they are
	// read, so that none is read half written.
	settle = 300 * time.Millisecond
	// maxFile bounds a file's size in bytes.
	maxFile = 1 << 20
)

// Directory is where provisioning files are.
type Directory struct {
	loop   *loop.Loop
	log    *slog.Logger
	dir    string
	parser parser
	owner  Owner
	adding chan addition

	// Of the goroutine.
	notify   *fsnotify.Watcher
	post     func([]core.Spec)
	reported bool
	specs    []core.Spec
	problems []keyfile.Problem
}

// Owner says which user the programs for a type of VPN run as. It is called outside
// the loop.
type Owner func(typ string) (uid uint32, err error)

// addition is a file that a client wants there.
type addition struct {
	file File
	done func([]core.Spec, error)
}

// New returns the directory dir, which need not exist, for the connections that
// providers make. What is added for their programs to read becomes owner's.
func New(l *loop.Loop, log *slog.Logger, dir string, providers []core.Provider, owner Owner) *Directory {
	return &Directory{loop: l, log: log, dir: dir, parser: parser{providers}, owner: owner, adding: make(chan addition)}
}

// Watch reports the connections that the files specify, at once and whenever
// they change, by calling report on the loop with all of them. What is wrong
// with a file is logged once. It fails when the directory cannot be watched, for
// instance because it does not exist. After stop, which is for the loop, report
// is not called any more.
func (d *Directory) Watch(report func([]core.Spec)) (stop func(), err error) {
	d.notify, err = fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", d.dir, err)
	}
	if err := d.notify.Add(d.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot watch %s: %w", d.dir, err), d.notify.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.post = func(specs []core.Spec) {
		d.loop.Post("provisioning", func() {
			if ctx.Err() == nil {
				report(specs)
			}
		})
	}
	go d.run(ctx)
	return cancel, nil
}

// Add writes a new file, if nothing is wrong with it, and calls done on the loop
// with what all files specify now.
func (d *Directory) Add(file File, done func([]core.Spec, error)) {
	loop.Go(d.loop, "add provisioning file", func(ctx context.Context) ([]core.Spec, error) {
		type result struct {
			specs []core.Spec
			err   error
		}
		results := make(chan result, 1)
		a := addition{file, func(specs []core.Spec, err error) { results <- result{specs, err} }}
		select {
		case d.adding <- a:
		case <-ctx.Done():
			return nil, core.ErrAborted
		}
		select {
		case r := <-results:
			return r.specs, r.err
		case <-ctx.Done():
			return nil, core.ErrAborted
		}
	}, done)
}

func (d *Directory) run(ctx context.Context) {
	defer func() {
		if err := d.notify.Close(); err != nil {
			d.log.Warn("cannot end watching", "dir", d.dir, "err", err)
		}
	}()
	d.reload()
	timer := time.NewTimer(settle)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-d.adding:
			err := d.write(a.file)
			if err == nil {
				d.reload()
			}
			a.done(d.specs, err)
		case event := <-d.notify.Events:
			if _, _, ok := split(event.Name); ok || event.Name == d.dir {
				timer.Reset(settle)
			}
		case err := <-d.notify.Errors:
			// Events were lost: look at everything.
			d.log.Warn("cannot follow provisioning files", "dir", d.dir, "err", err)
			timer.Reset(settle)
		case <-timer.C:
			d.reload()
		}
	}
}

// reload reads all files and reports what they say if that is new.
func (d *Directory) reload() {
	specs, problems := d.read()
	for _, p := range problems {
		if !slices.Contains(d.problems, p) {
			d.log.Warn("wrong provisioning", "err", p)
		}
	}
	d.problems = problems
	if !d.reported || !slices.EqualFunc(specs, d.specs, core.Spec.Equal) {
		d.reported, d.specs = true, specs
		d.post(specs)
	}
}

// read reads the files in the order of their names.
func (d *Directory) read() (specs []core.Spec, problems []keyfile.Problem) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, []keyfile.Problem{{File: d.dir, Text: fmt.Sprintf("cannot be read: %v", err)}}
	}
	names := make(map[string]bool)
	for _, e := range entries {
		names[e.Name()] = true
	}
	for _, e := range entries {
		name, ending, ok := split(e.Name())
		if !ok {
			continue
		}
		path := filepath.Join(d.dir, e.Name())
		if ending == tomlEnding && names[name+confEnding] {
			problems = append(problems, keyfile.Problem{File: path, Text: "ignored beside " + name + confEnding})
			continue
		}
		fileSpecs, fileProblems := d.readFile(path, name, ending)
		for i := range fileProblems {
			fileProblems[i].File = path
		}
		specs, problems = append(specs, fileSpecs...), append(problems, fileProblems...)
	}
	return specs, problems
}

func (d *Directory) readFile(path, name, ending string) ([]core.Spec, []keyfile.Problem) {
	data, err := readRegular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // gone meanwhile
	case err != nil:
		return nil, []keyfile.Problem{{Text: fmt.Sprintf("cannot be read: %v", err)}}
	case ending == tomlEnding:
		return d.parser.parseTOML(name, data)
	}
	return d.parser.parse(name, data)
}

// readRegular reads a file of sane size. Opening without blocking keeps a named
// pipe from stopping the watch.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("not a regular file"))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("longer than 1 MiB")
	}
	return data, err
}

const (
	confEnding = ".config"
	tomlEnding = ".toml"
)

// split cuts a file's name in name and ending; ok is false when the file is not
// for us. Names are printable ASCII, as the C implementation demands.
func split(path string) (name, ending string, ok bool) {
	base := filepath.Base(path)
	for _, ending := range []string{confEnding, tomlEnding} {
		if name, ok := strings.CutSuffix(base, ending); ok {
			strange := strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' })
			return name, ending, name != "" && !strange
		}
	}
	return "", "", false
}
