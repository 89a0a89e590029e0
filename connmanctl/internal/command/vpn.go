package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"net.connman/connmanctl/internal/view"
	"net.connman/connmanctl/internal/vpnimport"
	"net.connman/pkg/bus"
)

// vpnCommand imports a profile: import FILE.
func vpnCommand(s *Session, args []string) error {
	switch {
	case len(args) < 2 || args[0] != "import":
		return errInvalid
	case len(args) > 2:
		return errTooMany
	}
	file := args[1]
	text, err := readRegular(file)
	if err != nil {
		return err
	}
	profile, err := vpnimport.Read(file, text, func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(file), name)
		}
		return readRegular(name)
	})
	if err != nil {
		return fmt.Errorf("cannot import %s: %s", view.Safe(file), view.Safe(err.Error()))
	}
	for _, warning := range profile.Warnings {
		fmt.Fprintf(s.Err, "Warning: %s\n", view.Safe(warning))
	}
	files := bus.Array{Elem: "{ss}", Items: []any{}}
	for _, name := range slices.Sorted(maps.Keys(profile.Files)) {
		files.Items = append(files.Items, bus.Struct{name, profile.Files[name]})
	}
	s.call(provisioning, "Import", profile.Name, func(reply []any) {
		path, _ := first(reply).(bus.ObjectPath)
		fmt.Fprintf(s.Out, "Imported %s as %s\n", profile.Name, view.Safe(view.ID(string(path))))
	}, profile.Name, profile.Config, files)
	return nil
}

// readRegular reads a file of sane size. What a profile names may be anything:
// opened without blocking, a named pipe keeps nobody waiting.
func readRegular(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is no regular file", name))
	}
	return io.ReadAll(io.LimitReader(file, vpnimport.MaxSize+1))
}
