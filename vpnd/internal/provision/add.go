package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"net.connman/pkg/configdir"
	"net.connman/pkg/store"
	"net.connman/vpnd/internal/core"
)

const (
	maxAddedName = 200 // bytes, of a file's name
	maxBeside    = 32
)

// File is a provisioning file that is to be added.
type File struct {
	Name    string // without ending
	Content string
	// Beside are files for it to refer to, certificates for example, by their names
	// in the directory Name beside it.
	Beside map[string]string
}

// check says what is wrong with a file before anything is written, and what it
// specifies.
func (d *Directory) check(f File) ([]core.Spec, error) {
	if err := checkFile(f.Name+configdir.Ending, f.Content); err != nil {
		return nil, err
	}
	if len(f.Beside) > maxBeside {
		return nil, fmt.Errorf("%w: more than %d files", core.ErrInvalidArguments, maxBeside)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Beside)) {
		if err := checkFile(name, f.Beside[name]); err != nil {
			return nil, err
		}
	}
	specs, problems := d.parser.parse(f.Name, []byte(f.Content))
	if err := errorOf(problems); err != nil {
		return nil, err
	}
	if len(specs) == 0 {
		return nil, fmt.Errorf("%w: no connection in it, [%s*]", core.ErrInvalidArguments, entryPrefix)
	}
	return specs, nil
}

// reader is the user who is to read the files beside: the programs' of all
// connections.
func (d *Directory) reader(specs []core.Spec) (int, error) {
	reader := -1
	for _, s := range specs {
		uid, err := d.owner(s.Type)
		switch {
		case err != nil:
			return 0, err
		case reader >= 0 && reader != int(uid):
			return 0, fmt.Errorf("%w: its connections run as different users, who cannot share files", core.ErrInvalidArguments)
		}
		reader = int(uid)
	}
	return reader, nil
}

// checkFile takes names that mean a file in its directory and nothing else.
func checkFile(name, content string) error {
	strange := strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' })
	if name == "" || name == configdir.Ending || name[0] == '.' || strange || len(name) > maxAddedName {
		return fmt.Errorf("%w: %.100q is not the name of a file", core.ErrInvalidArguments, name)
	}
	if len(content) > configdir.MaxFile {
		return fmt.Errorf("%w: %s has more than %d bytes", core.ErrInvalidArguments, name, configdir.MaxFile)
	}
	return nil
}

// write adds a file. It comes last, when all that it refers to is there.
func (d *Directory) write(f File) error {
	specs, err := d.check(f)
	if err != nil {
		return err
	}
	beside := filepath.Join(d.dir, f.Name)
	for _, path := range []string{beside + configdir.Ending, beside + configdir.TOMLEnding, beside} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s", core.ErrAlreadyExists, path)
		}
	}
	if len(f.Beside) > 0 {
		err = d.writeBeside(beside, f.Beside, specs)
	}
	if err == nil {
		err = store.WriteFile(beside+configdir.Ending, []byte(f.Content))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(beside))
	}
	return nil
}

// writeBeside writes the files that programs read. Who they run as gets the
// directory last: nothing is written where another user could put links.
func (d *Directory) writeBeside(dir string, files map[string]string, specs []core.Spec) error {
	reader, err := d.reader(specs)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := store.WriteFile(path, []byte(content)); err != nil {
			return err
		}
		if err := os.Lchown(path, reader, -1); err != nil {
			return fmt.Errorf("cannot let the programs read it: %w", err)
		}
	}
	if err := os.Lchown(dir, reader, -1); err != nil {
		return fmt.Errorf("cannot let the programs read it: %w", err)
	}
	return nil
}
