package timezone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"net.connman/pkg/loop"
)

// settle is how long the file must have been left alone before it is read.
const settle = 300 * time.Millisecond

// Follow reports the country of the zone that the file localtime is, at once and
// whenever that changes, by calling report on the loop. What cannot be found out is
// logged. It fails when the file's directory cannot be watched. After stop, which
// is for the loop, report is not called any more.
func Follow(l *loop.Loop, log *slog.Logger, localtime, database string, report func(country string)) (stop func(), err error) {
	dir := filepath.Dir(localtime)
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	if err := notify.Add(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot watch %s: %w", dir, err), notify.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{log: log, notify: notify, localtime: localtime, database: database, post: func(country string) {
		l.Post("country", func() {
			if ctx.Err() == nil {
				report(country)
			}
		})
	}}
	go f.run(ctx)
	return cancel, nil
}

type follower struct {
	log                 *slog.Logger
	notify              *fsnotify.Watcher
	localtime, database string
	post                func(string)

	country string // as last reported
	problem string // as last logged
}

func (f *follower) run(ctx context.Context) {
	defer func() {
		if err := f.notify.Close(); err != nil {
			f.log.Warn("cannot end watching", "file", f.localtime, "err", err)
		}
	}()
	f.look()
	timer := time.NewTimer(settle)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-f.notify.Events:
			if event.Name == f.localtime {
				timer.Reset(settle)
			}
		case err := <-f.notify.Errors:
			f.log.Warn("cannot follow the time zone", "err", err)
			timer.Reset(settle)
		case <-timer.C:
			f.look()
		}
	}
}

// look reports the country if it is another one.
func (f *follower) look() {
	country, err := Country(f.localtime, f.database)
	if err != nil {
		if f.problem != err.Error() {
			f.problem = err.Error()
			f.log.Warn("country stays as it is", "err", err)
		}
		return
	}
	f.problem = ""
	if country != f.country {
		f.country = country
		f.log.Info("country of the time zone", "country", country)
		f.post(country)
	}
}
