package settings

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"net.connman/pkg/keyfile"
	"net.connman/pkg/loop"
	"net.connman/pkg/store"
	"net.connman/vpnd/internal/core"
)

// DefaultDir is where connections are kept: the C implementation keeps them
// beside connmand's services.
const DefaultDir = "/var/lib/connman"

// saveDelay gathers the changes of a burst into one write.
const saveDelay = 100 * time.Millisecond

const (
	prefix   = "provider_"
	fileName = "settings"
	// maxFile bounds a file's size in bytes.
	maxFile = 1 << 20
)

// Store keeps the connections of one state directory. It implements
// core.Storage.
type Store struct {
	loop   *loop.Loop
	log    *slog.Logger
	dir    string
	writer *store.Writer
}

// Open reads the connections in dir, which need not exist, in the order of their
// identifiers. It waits for the disk, so call it before the loop runs. End the
// Store with Close, after the loop.
func Open(l *loop.Loop, log *slog.Logger, dir string) (*Store, []core.Saved, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("cannot read connections: %w", err)
	}
	s := &Store{loop: l, log: log, dir: dir, writer: store.NewWriter(log, saveDelay)}
	var saved []core.Saved
	for _, e := range entries {
		id, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || !validID(id) {
			continue
		}
		c, err := s.read(id)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errProvisioned):
		case err != nil:
			log.Warn("saved connection is left out", "err", err)
		default:
			saved = append(saved, c)
		}
	}
	return s, saved, nil
}

// Save implements core.Storage.
func (s *Store) Save(c core.Saved) {
	if !validID(c.ID) {
		s.log.Error("cannot save a connection", "id", c.ID)
		return
	}
	s.writer.Update(s.path(c.ID), func(old []byte) []byte {
		file, problems := keyfile.Parse(old, keyfile.Semicolon)
		if len(problems) > 0 {
			file = keyfile.New(keyfile.Semicolon)
		}
		write(file, c)
		return file.Bytes()
	})
}

// Remove implements core.Storage. Files that are not the daemon's stay, and with
// them the connection's directory.
func (s *Store) Remove(id string) {
	if !validID(id) {
		return
	}
	s.writer.Remove(s.path(id))
	s.writer.Remove(filepath.Dir(s.path(id)))
}

// Sync implements core.Storage.
func (s *Store) Sync(done func()) {
	loop.Go(s.loop, "sync connections", func(context.Context) (struct{}, error) {
		s.writer.Flush()
		return struct{}{}, nil
	}, func(struct{}, error) { done() })
}

// Close writes all that was saved and ends the Store.
func (s *Store) Close() { s.writer.Close() }

func (s *Store) path(id string) string { return filepath.Join(s.dir, prefix+id, fileName) }

// validID refuses what would lead out of the directory or into no object's path.
func validID(id string) bool {
	return id != "" && len(id) <= 240 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_'
	})
}
