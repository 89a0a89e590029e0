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
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/loop"
)

const (
	// settle is how long the files must have been left alone before they are
	// read, so that none is read half written.
	settle = 300 * time.Millisecond
	// maxFile bounds a file's size in bytes.
	maxFile = 1 << 20
)

// Watch reports the services that the files in dir specify, at once and
// whenever they change, by calling report on the loop with all of them. What is
// wrong with a file is logged once. It fails when dir cannot be watched, for
// instance because it does not exist. After stop, which is for the loop, report
// is not called any more.
func Watch(l *loop.Loop, log *slog.Logger, dir string, report func([]core.ServiceSpec)) (stop func(), err error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	if err := notify.Add(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot watch %s: %w", dir, err), notify.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{log: log, dir: dir, notify: notify, post: func(specs []core.ServiceSpec) {
		l.Post("provisioning", func() {
			if ctx.Err() == nil {
				report(specs)
			}
		})
	}}
	go w.run(ctx)
	return cancel, nil
}

type watcher struct {
	log    *slog.Logger
	dir    string
	notify *fsnotify.Watcher
	post   func([]core.ServiceSpec)

	reported bool
	specs    []core.ServiceSpec
	problems []keyfile.Problem
}

func (w *watcher) run(ctx context.Context) {
	defer func() {
		if err := w.notify.Close(); err != nil {
			w.log.Warn("cannot end watching", "dir", w.dir, "err", err)
		}
	}()
	w.reload()
	timer := time.NewTimer(settle)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-w.notify.Events:
			if _, _, ok := split(event.Name); ok || event.Name == w.dir {
				timer.Reset(settle)
			}
		case err := <-w.notify.Errors:
			// Events were lost: look at everything.
			w.log.Warn("cannot follow provisioning files", "dir", w.dir, "err", err)
			timer.Reset(settle)
		case <-timer.C:
			w.reload()
		}
	}
}

// reload reads all files and reports what they say if that is new.
func (w *watcher) reload() {
	specs, problems := readDir(w.dir)
	for _, p := range problems {
		if !slices.Contains(w.problems, p) {
			w.log.Warn("wrong provisioning", "err", p)
		}
	}
	w.problems = problems
	if !w.reported || !reflect.DeepEqual(specs, w.specs) {
		w.reported, w.specs = true, specs
		w.post(specs)
	}
}

// readDir reads the files in the order of their names.
func readDir(dir string) (specs []core.ServiceSpec, problems []keyfile.Problem) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, []keyfile.Problem{{File: dir, Text: fmt.Sprintf("cannot be read: %v", err)}}
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
		path := filepath.Join(dir, e.Name())
		if ending == tomlEnding && names[name+confEnding] {
			problems = append(problems, keyfile.Problem{File: path, Text: "ignored beside " + name + confEnding})
			continue
		}
		fileSpecs, fileProblems := readFile(path, name, ending)
		for i := range fileProblems {
			fileProblems[i].File = path
		}
		specs, problems = append(specs, fileSpecs...), append(problems, fileProblems...)
	}
	return specs, problems
}

func readFile(path, name, ending string) ([]core.ServiceSpec, []keyfile.Problem) {
	data, err := readRegular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // gone meanwhile
	case err != nil:
		return nil, []keyfile.Problem{{Text: fmt.Sprintf("cannot be read: %v", err)}}
	case ending == tomlEnding:
		return ParseTOML(name, data)
	}
	return Parse(name, data)
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
