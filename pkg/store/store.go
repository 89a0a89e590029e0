package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
	// tempSuffix marks files in the making; one that a crash left behind is
	// overwritten by the next write.
	tempSuffix = ".new~"
)

// WriteFile replaces the file at path with data, mode 0600, making its
// directory if there is none. When it returns without error the new content is
// on the disk; with an error, or when the machine dies meanwhile, the old file
// is there, whole. Only one goroutine may write a path at a time.
func WriteFile(path string, data []byte) error {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	temp := path + tempSuffix
	err := writeTemp(temp, data)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // it may not even be there
		return fmt.Errorf("cannot write %s: %w", path, cause(err))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

func writeTemp(temp string, data []byte) error {
	// Whatever is there was left by a crash or put by someone else: never
	// write through it.
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(fileMode) // whatever the umask is
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func makeDir(dir string) error {
	err := os.Mkdir(dir, dirMode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, dirMode)
	case err != nil:
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// Remove takes a file away for good, or a directory unless it holds something.
// What is not there needs no removing.
func Remove(path string) error {
	err := os.Remove(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTEMPTY):
		return nil
	case err != nil:
		return fmt.Errorf("cannot remove %s: %w", path, cause(err))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cause strips the name of the temporary file, which means nothing to a reader.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok && strings.HasSuffix(p.Path, tempSuffix) {
		return p.Err
	}
	if p, ok := errors.AsType[*os.LinkError](err); ok {
		return p.Err
	}
	return err
}
