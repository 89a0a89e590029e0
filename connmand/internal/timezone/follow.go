package timezone

import (
	"context"
	"log/slog"
	"path/filepath"

	"net.connman/pkg/dirwatch"
	"net.connman/pkg/loop"
)

// Follow reports the country of the zone that the file localtime is, at once and
// whenever that changes, by calling report on the loop. What cannot be found out is
// logged. After stop, which is for the loop, report is not called any more.
func Follow(l *loop.Loop, log *slog.Logger, localtime, database string, report func(country string)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{log: log, localtime: localtime, database: database, post: func(country string) {
		l.Post("country", func() {
			if ctx.Err() == nil {
				report(country)
			}
		})
	}}
	go f.run(ctx)
	return cancel
}

type follower struct {
	log                 *slog.Logger
	localtime, database string
	post                func(string)

	country string // as last reported
	problem string // as last logged
}

func (f *follower) run(ctx context.Context) {
	dir, file := filepath.Split(f.localtime)
	changed := dirwatch.Watch(ctx, f.log, dir, func(name string) bool { return name == file })
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
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
