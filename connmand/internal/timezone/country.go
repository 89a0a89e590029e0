package timezone

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Database is where Linux has its time zones (tzdata).
const Database = "/usr/share/zoneinfo"

// The tables of zones in the database. The first has the zones that differ from
// each other since 1970, and the country of each zone's principal city first; the
// second has those, too, that only countries have of their own.
var tables = []string{"zone1970.tab", "zone.tab"}

var errUnknown = errors.New("no table of time zones has it")

// Country returns the code (ISO 3166) of the country of the zone that the file
// localtime is, which links into the database or is a copy of a file there.
func Country(localtime, database string) (string, error) {
	var rows []row
	for _, name := range tables {
		data, err := os.ReadFile(filepath.Join(database, name))
		if err != nil {
			return "", fmt.Errorf("cannot know the country: %w", err)
		}
		rows = append(rows, parseTable(data)...)
	}
	path, err := filepath.EvalSymlinks(localtime)
	if err != nil {
		return "", fmt.Errorf("cannot find the time zone: %w", err)
	}
	is := func(zone string) bool { return filepath.Join(database, zone) == path }
	if !strings.HasPrefix(path, database+"/") {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("cannot find the time zone: %w", err)
		}
		is = func(zone string) bool {
			data, err := os.ReadFile(filepath.Join(database, zone))
			return err == nil && bytes.Equal(data, content)
		}
	}
	for _, r := range rows {
		if is(r.zone) {
			return r.country, nil
		}
	}
	return "", fmt.Errorf("cannot know the country of %s: %w", path, errUnknown)
}

// row is a line of a table.
type row struct{ country, zone string }

// parseTable reads a table: lines of countries, coordinates, the zone's name and
// comments, with tabs between. Other lines are left out.
func parseTable(data []byte) []row {
	var rows []row
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) < 3 || strings.HasPrefix(line, "#") {
			continue
		}
		country, _, _ := strings.Cut(fields[0], ",")
		if isCode(country) && filepath.IsLocal(fields[2]) {
			rows = append(rows, row{country, fields[2]})
		}
	}
	return rows
}

// isCode reports whether s has the form of a country's code.
func isCode(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}
