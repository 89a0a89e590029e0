package settings

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/loop"
	"net.connman/pkg/store"
)

// DefaultDir is where the state is kept.
const DefaultDir = "/var/lib/connman"

// saveDelay gathers the changes of a burst, such as a service's while it is
// connected, into one write. It is short: whoever changed a setting relies on
// it, even if the daemon is killed.
const saveDelay = 100 * time.Millisecond

const (
	fileName      = "settings"
	statistics    = "data" // kept beside a service's settings
	corruptSuffix = ".corrupt"
)

// readPlaces is how many files are read at a time.
const readPlaces = 2

// Store keeps the settings of one state directory. It implements core.Storage.
type Store struct {
	loop   *loop.Loop
	log    *slog.Logger
	dir    string
	writer *store.Writer
	reads  *loop.Queue
}

// Open reads the global settings in dir, which need not exist, and nothing else.
// It waits for the disk, so call it before the loop runs. End the Store with
// Close, after the loop.
func Open(l *loop.Loop, log *slog.Logger, dir string) (*Store, core.GlobalSettings, error) {
	s := &Store{loop: l, log: log, dir: dir, writer: store.NewWriter(log, saveDelay), reads: loop.NewQueue(l, readPlaces)}
	global := core.GlobalSettings{Technologies: make(map[core.Type]core.TechnologySettings)}
	path := s.globalPath()
	data, err := s.writer.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, global, nil
	}
	if err != nil {
		s.writer.Close()
		return nil, global, fmt.Errorf("cannot read settings: %w", err)
	}
	return s, s.readGlobal(path, data), nil
}

// LoadService implements core.Storage.
func (s *Store) LoadService(id string, done func(core.ServiceSettings, bool)) {
	type answer struct {
		settings core.ServiceSettings
		found    bool
	}
	loop.GoIn(s.reads, "load settings of "+id, func(context.Context) (a answer, err error) {
		if err := checkID(id); err != nil {
			return a, err
		}
		path := s.servicePath(id)
		data, err := s.writer.Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		a.settings, a.found = s.readService(path, id, data)
		return a, nil
	}, func(a answer, err error) {
		if err != nil {
			s.log.Error("cannot load settings", "service", id, "err", err)
		}
		done(a.settings, a.found)
	})
}

// SaveService implements core.Storage.
func (s *Store) SaveService(id string, settings core.ServiceSettings) {
	if err := checkID(id); err != nil {
		s.log.Error("cannot save settings", "err", err)
		return
	}
	path, settings := s.servicePath(id), clone(settings)
	s.writer.Update(path, func(old []byte) []byte {
		file, _ := s.parse(path, old)
		writeService(file, id, settings)
		return file.Bytes()
	})
}

// RemoveService implements core.Storage. Files that are not the daemon's stay,
// and with them the service's directory.
func (s *Store) RemoveService(id string) {
	if err := checkID(id); err != nil {
		s.log.Error("cannot remove settings", "err", err)
		return
	}
	dir := filepath.Join(s.dir, id)
	for _, name := range []string{fileName, fileName + corruptSuffix, statistics, ""} {
		s.writer.Remove(filepath.Join(dir, name))
	}
}

// SaveGlobal implements core.Storage.
func (s *Store) SaveGlobal(settings core.GlobalSettings) {
	path, technologies := s.globalPath(), make(map[core.Type]core.TechnologySettings)
	for t, v := range settings.Technologies {
		technologies[t] = v
	}
	settings.Technologies = technologies
	s.writer.Update(path, func(old []byte) []byte {
		file, _ := s.parse(path, old)
		writeGlobal(file, settings)
		return file.Bytes()
	})
}

// Sync implements core.Storage.
func (s *Store) Sync(done func()) {
	loop.Go(s.loop, "sync settings", func(context.Context) (struct{}, error) {
		s.writer.Flush()
		return struct{}{}, nil
	}, func(struct{}, error) { done() })
}

// Close writes all that was saved and ends the Store.
func (s *Store) Close() { s.writer.Close() }

func (s *Store) globalPath() string { return filepath.Join(s.dir, fileName) }

func (s *Store) servicePath(id string) string { return filepath.Join(s.dir, id, fileName) }

// parse reads a file's content. When that is no key file, ok is false, the file
// is empty and the content set aside.
func (s *Store) parse(path string, data []byte) (file *keyfile.File, ok bool) {
	file, problems := keyfile.Parse(data, keyfile.Semicolon)
	if len(problems) == 0 {
		return file, true
	}
	aside := path + corruptSuffix
	problems[0].File = path
	s.log.Error("settings are corrupt, defaults are used", "err", problems[0], "kept", aside)
	if err := store.WriteFile(aside, data); err != nil {
		s.log.Error("corrupt settings are lost", "err", err)
	}
	return keyfile.New(keyfile.Semicolon), false
}

// checkID refuses what is no service's name or would lead out of the directory.
func checkID(id string) error {
	prefix, rest, _ := strings.Cut(id, "_")
	_, err := core.ParseType(prefix)
	strange := strings.ContainsFunc(rest, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("_.-", r)
	})
	if err != nil || rest == "" || strange || len(id) > 255 {
		return fmt.Errorf("%.300q is no service identifier", id)
	}
	return nil
}

// clone makes the settings independent of what the loop does with its own.
func clone(s core.ServiceSettings) core.ServiceSettings {
	if s.AutoConnect != nil {
		auto := *s.AutoConnect
		s.AutoConnect = &auto
	}
	for _, list := range []*[]string{&s.Nameservers, &s.Timeservers, &s.Domains, &s.Proxy.Servers, &s.Proxy.Excludes} {
		*list = slices.Clone(*list)
	}
	return s
}
