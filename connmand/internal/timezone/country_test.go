package timezone

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

const (
	since1970 = "# comment\nDE,DK,NO,SE\t+5230+01322\tEurope/Berlin\tmost\nUS\t+404251-0740023\tAmerica/New_York\nrubbish\n1\t2\t3\n"
	everyZone = "SE\t+5920+01803\tEurope/Stockholm\nDE\t+5230+01322\tEurope/Berlin\nXX\t+0+0\t../etc/passwd\n"
)

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestCountry(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	database, localtime := filepath.Join(dir, "zoneinfo"), filepath.Join(dir, "localtime")
	if _, err := Country(localtime, database); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a database: %v", err)
	}
	put(t, filepath.Join(database, "zone1970.tab"), since1970)
	put(t, filepath.Join(database, "zone.tab"), everyZone)
	if _, err := Country(localtime, database); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a zone: %v", err)
	}
	for _, zone := range []string{"Europe/Berlin", "Europe/Stockholm", "America/New_York", "UTC"} {
		put(t, filepath.Join(database, zone), "rules of "+zone)
	}
	for zone, want := range map[string]string{
		"Europe/Berlin": "DE", "Europe/Stockholm": "SE", "America/New_York": "US", "UTC": "",
	} {
		for how, place := range map[string]func(){
			"link": func() {
				if err := os.Symlink(filepath.Join("zoneinfo", zone), localtime); err != nil {
					t.Fatal(err)
				}
			},
			"copy": func() { put(t, localtime, "rules of "+zone) },
		} {
			os.Remove(localtime)
			place()
			if got, err := Country(localtime, database); got != want || errors.Is(err, errUnknown) != (want == "") {
				t.Errorf("%s by %s is %q, %v; want %q", zone, how, got, err, want)
			}
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add([]byte(since1970))
	f.Add([]byte(everyZone))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, r := range parseTable(data) {
			if !isCode(r.country) || !filepath.IsLocal(r.zone) {
				t.Errorf("%q", r)
			}
		}
	})
}
