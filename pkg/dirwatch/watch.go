package dirwatch

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// Settle is how long files must have been left alone before a change is told,
	// so that none is read half written.
	Settle = 300 * time.Millisecond
	// retry is how long a directory that cannot be watched is left alone.
	retry = time.Minute
)

// Watch watches the files in the directory dir, an absolute path, whose names,
// without the directory, wanted takes. The channel gets a value at once and
// [Settle] after one of them, or the directory itself, has changed for the last
// time. However much has changed, at most one value waits there. While there is no
// watching the directory, which is logged, there is a value each minute. When ctx is
// over there are none any more; the channel is never closed.
func Watch(ctx context.Context, log *slog.Logger, dir string, wanted func(name string) bool) <-chan struct{} {
	w := &watcher{log: log.With("dir", dir), dir: filepath.Clean(dir), wanted: wanted, changes: make(chan struct{}, 1)}
	go w.run(ctx)
	return w.changes
}

type watcher struct {
	log     *slog.Logger
	dir     string
	wanted  func(name string) bool
	changes chan struct{}
	problem string // as last logged
}

func (w *watcher) run(ctx context.Context) {
	for wait := time.Duration(0); ctx.Err() == nil; wait = Settle {
		w.follow(ctx, wait)
	}
}

// tell says that something has changed, unless that is still to be heard.
func (w *watcher) tell() {
	select {
	case w.changes <- struct{}{}:
	default:
	}
}

// follow tells of changes, the first time when wait is over, until the directory
// comes or goes, watching is to be tried again, or ctx ends.
func (w *watcher) follow(ctx context.Context, wait time.Duration) {
	path := w.path()
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		notify = new(fsnotify.Watcher) // whose channels are silent
	} else {
		defer notify.Close()
		err = add(notify, path)
	}
	again := w.again(err)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
			return
		case event := <-notify.Events:
			name := filepath.Clean(event.Name) // what is in the root begins with two slashes
			switch {
			case slices.Contains(path, name) && event.Op&^(fsnotify.Chmod|fsnotify.Write) != 0:
				return
			case name == w.dir, filepath.Dir(name) == w.dir && w.wanted(filepath.Base(name)):
				timer.Reset(Settle)
			}
		case err := <-notify.Errors:
			// Events were lost: anything may have changed.
			w.log.Warn("changes of files were missed", "err", err)
			timer.Reset(Settle)
		case <-timer.C:
			w.tell()
		}
	}
}

// again says when watching, which err kept from being complete, is to be tried again.
func (w *watcher) again(err error) <-chan time.Time {
	if err == nil {
		w.problem = ""
		return nil
	}
	if w.problem != err.Error() {
		w.problem = err.Error()
		w.log.Warn("changes of files are seen late", "err", err)
	}
	return time.After(retry)
}

// path lists the directory and those that it is in, from the root down.
func (w *watcher) path() []string {
	path := []string{w.dir}
	for d := w.dir; d != filepath.Dir(d); {
		d = filepath.Dir(d)
		path = append(path, d)
	}
	slices.Reverse(path)
	return path
}

// add watches all of path that is there. As it goes from the root down, whatever
// comes or goes meanwhile is in a directory that is watched already.
func add(notify *fsnotify.Watcher, path []string) error {
	for i, dir := range path {
		err := notify.Add(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Is(err, fs.ErrPermission) && i < len(path)-1:
			// What comes and goes there is not for us to see.
		case err != nil:
			return &fs.PathError{Op: "watch", Path: dir, Err: err}
		}
	}
	return nil
}
