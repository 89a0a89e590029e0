package settings

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

// wireless reads the settings of all wireless services for which wanted says so,
// those first that the user changed last. What is broken is passed over: loading
// the service itself will tell.
func (s *Store) wireless(wanted func(id string) bool) ([]core.ServiceSettings, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []core.ServiceSettings
	for _, entry := range entries {
		id := entry.Name()
		if !strings.HasPrefix(id, string(core.Wifi)+"_") || checkID(id) != nil || !wanted(id) {
			continue
		}
		path := s.servicePath(id)
		data, err := s.writer.Read(path)
		if err != nil {
			continue
		}
		if settings, ok := s.readService(path, id, data); ok {
			all = append(all, settings)
		}
	}
	slices.SortStableFunc(all, func(a, b core.ServiceSettings) int {
		return cmp.Compare(b.Modified.Unix(), a.Modified.Unix())
	})
	return all, nil
}

// LoadKnown implements core.Storage.
func (s *Store) LoadKnown(done func([]core.KnownNetwork)) {
	loop.Go(s.loop, "load known networks", func(context.Context) (known []core.KnownNetwork, err error) {
		all, err := s.wireless(func(string) bool { return true })
		for _, n := range all {
			if n.Favorite && n.SSID != "" {
				known = append(known, core.KnownNetwork{SSID: n.SSID, Hidden: n.Hidden, Frequency: n.Frequency})
			}
		}
		return known, err
	}, func(known []core.KnownNetwork, err error) {
		if err != nil {
			s.log.Error("cannot find known networks", "err", err)
		}
		done(known)
	})
}

// LoadTwin implements core.Storage.
func (s *Store) LoadTwin(id string, done func(core.ServiceSettings, bool)) {
	loop.GoIn(s.reads, "load twin of "+id, func(context.Context) ([]core.ServiceSettings, error) {
		return s.wireless(func(other string) bool { return twins(id, other) })
	}, func(all []core.ServiceSettings, err error) {
		if err != nil {
			s.log.Error("cannot look for another adapter's settings", "service", id, "err", err)
		}
		if len(all) == 0 {
			done(core.ServiceSettings{}, false)
			return
		}
		done(all[0], true)
	})
}

// RemoveTwins implements core.Storage.
func (s *Store) RemoveTwins(id string) {
	loop.Go(s.loop, "find twins of "+id, func(context.Context) ([]os.DirEntry, error) {
		return os.ReadDir(s.dir)
	}, func(entries []os.DirEntry, err error) {
		if err != nil {
			s.log.Error("cannot remove another adapter's settings", "service", id, "err", err)
		}
		for _, entry := range entries {
			if twins(id, entry.Name()) {
				s.RemoveService(entry.Name())
			}
		}
	})
}

// twins reports whether two names are of one wireless network, with different
// adapters.
func twins(a, b string) bool {
	return a != b && network(a) != "" && network(a) == network(b)
}

// network is what follows the adapter's address in a wireless service's name, ""
// in others. A network that hides its name may be any.
func network(id string) string {
	rest, isWifi := strings.CutPrefix(filepath.Base(id), string(core.Wifi)+"_")
	_, name, _ := strings.Cut(rest, "_")
	if !isWifi || strings.HasPrefix(name, "hidden_") {
		return ""
	}
	return name
}
