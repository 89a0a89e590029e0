package timezone

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The country is told at once and when the zone changes, and only then; a zone that
// nobody knows changes nothing.
func TestFollow(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	database, etc := filepath.Join(dir, "zoneinfo"), filepath.Join(dir, "etc")
	localtime := filepath.Join(etc, "localtime")
	put(t, filepath.Join(database, "zone1970.tab"), since1970)
	put(t, filepath.Join(database, "zone.tab"), everyZone)
	for _, zone := range []string{"Europe/Berlin", "Europe/Stockholm", "America/New_York", "UTC"} {
		put(t, filepath.Join(database, zone), "rules of "+zone)
	}
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	countries := make(chan string, 10)
	move := func(zone string) {
		t.Helper()
		if err := os.Symlink(filepath.Join(database, zone), localtime+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(localtime+".new", localtime); err != nil {
			t.Fatal(err)
		}
	}
	want := func(country string) {
		t.Helper()
		select {
		case got := <-countries:
			if got != country {
				t.Errorf("in %s, want %s", got, country)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("not told of %s", country)
		}
	}
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	move("Europe/Berlin")
	stop := Follow(l, log, localtime, database, func(c string) { countries <- c })
	want("DE")
	move("UTC")
	put(t, filepath.Join(etc, "other"), "nothing of interest")
	move("Europe/Stockholm")
	want("SE")
	move("America/New_York")
	want("US")
	stopped := make(chan struct{})
	l.Post("stop", func() { stop(); close(stopped) })
	<-stopped
	if len(countries) != 0 {
		t.Errorf("told again: %s", <-countries)
	}
}
