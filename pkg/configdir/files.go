package configdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"net.connman/pkg/keyfile"
)

const (
	// Ending is how the names of files end.
	Ending = ".config"
	// TOMLEnding is how the names of files in TOML end.
	TOMLEnding = ".toml"
	// MaxFile bounds a file's size, in bytes.
	MaxFile = 1 << 20
)

// These say that another try would find the same.
var (
	errIrregular = errors.New("not a regular file")
	errLong      = errors.New("longer than 1 MiB")
)

// files reads a directory.
type files[S any] struct {
	dir   string
	parse map[string]Parser[S] // by ending
	known map[string][]S       // what each file said last; nil until the directory was read
}

// read reads the files in the order of their names. all is false when something could
// not be read; what it said last then stands in.
func (f *files[S]) read() (specs []S, problems []keyfile.Problem, all bool) {
	entries, err := os.ReadDir(f.dir)
	all = err == nil || errors.Is(err, fs.ErrNotExist)
	if err != nil {
		problems = append(problems, unreadable(f.dir, err))
	}
	if all {
		old := f.known
		f.known = make(map[string][]S)
		for _, e := range entries {
			said, wrong, err := f.readFile(e.Name(), entries)
			if err != nil {
				said, all = old[e.Name()], false
			}
			f.known[e.Name()] = said
			problems = append(problems, wrong...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.known)) {
		specs = append(specs, f.known[name]...)
	}
	return specs, problems, all
}

// readFile reads one of the directory's entries. It fails when another time may do
// better.
func (f *files[S]) readFile(file string, entries []os.DirEntry) (said []S, problems []keyfile.Problem, err error) {
	name, ending, ok := split(file)
	if !ok {
		return nil, nil, nil
	}
	path := filepath.Join(f.dir, file)
	if ending == TOMLEnding && has(entries, name+Ending) {
		return nil, []keyfile.Problem{{File: path, Text: "ignored beside " + name + Ending}}, nil
	}
	data, err := readRegular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, nil // gone meanwhile
	case err == errIrregular, err == errLong:
		return nil, []keyfile.Problem{unreadable(path, err)}, nil
	case err != nil:
		return nil, []keyfile.Problem{unreadable(path, err)}, err
	}
	said, problems = f.parse[ending](name, data)
	for i := range problems {
		problems[i].File = path
	}
	return said, problems, nil
}

// has reports whether the entries, in order, have a file of that name.
func has(entries []os.DirEntry, file string) bool {
	_, found := slices.BinarySearchFunc(entries, file, func(e os.DirEntry, s string) int { return strings.Compare(e.Name(), s) })
	return found
}

func unreadable(path string, err error) keyfile.Problem {
	return keyfile.Problem{File: path, Text: fmt.Sprintf("cannot be read: %v", err)}
}

// readRegular reads a file of sane size. Opening without blocking keeps a named pipe
// from stopping the watch.
func readRegular(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errIrregular
	}
	data, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = errLong
	}
	return data, err
}

func wanted(name string) bool { _, _, ok := split(name); return ok }

// split cuts a file's name in name and ending; ok is false when the file is not for
// us. Names are printable ASCII, as the C implementation demands.
func split(file string) (name, ending string, ok bool) {
	for _, ending := range []string{Ending, TOMLEnding} {
		if name, ok := strings.CutSuffix(file, ending); ok {
			strange := strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' })
			return name, ending, name != "" && !strange
		}
	}
	return "", "", false
}
