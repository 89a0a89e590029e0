package dhcp4

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

// leaseFiles keeps leases in files of a runtime directory, one per link. What
// is kept is the server's own acknowledgement, so that reading it back passes
// the same door as receiving it. Time is kept as the kernel's boot time.
type leaseFiles struct {
	loop *loop.Loop
	log  *slog.Logger
	dir  string // "": keep nothing

	// Writes are done one after the other; later ones replace those waiting.
	waiting map[string]*storedLease // nil: remove
	writing bool
}

// storedLease is what a file holds.
type storedLease struct {
	Boot  string        `json:"boot"`  // the kernel's id of this boot
	Began time.Duration `json:"began"` // boot time at which it was asked for
	Ack   []byte        `json:"ack"`
}

// maxLeaseFile is far more than a stored acknowledgement takes, in bytes.
const maxLeaseFile = 16 << 10

func fileName(l core.Link) string { return fmt.Sprintf("%d-%x", l.Index, string(l.Addr)) }

// save keeps the link's lease, nil none.
func (f *leaseFiles) save(link core.Link, l *lease) {
	if f.dir == "" {
		return
	}
	var s *storedLease
	if l != nil {
		s = &storedLease{Boot: bootID(), Began: bootTime() - f.loop.Now().Sub(l.began), Ack: l.raw}
	}
	if f.waiting == nil {
		f.waiting = map[string]*storedLease{}
	}
	f.waiting[fileName(link)] = s
	f.write()
}

func (f *leaseFiles) write() {
	if f.writing || len(f.waiting) == 0 {
		return
	}
	batch := f.waiting
	f.waiting, f.writing = nil, true
	loop.Go(f.loop, "keep leases",
		func(context.Context) (struct{}, error) { return struct{}{}, writeAll(f.dir, batch) },
		func(_ struct{}, err error) {
			if err != nil {
				f.log.Warn("cannot keep lease", "error", err)
			}
			f.writing = false
			f.write()
		})
}

func writeAll(dir string, leases map[string]*storedLease) error {
	for name, s := range leases {
		path := filepath.Join(dir, name)
		if s == nil {
			if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
				return err
			}
			continue
		}
		data, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path+".new", data, 0o600); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}

// load reads the lease of address that an earlier run of the daemon had on the
// link; done gets nil when there is none that still holds.
func (f *leaseFiles) load(link core.Link, address netip.Addr, done func(*lease)) *loop.Op {
	path := filepath.Join(f.dir, fileName(link))
	return loop.Go(f.loop, "read lease",
		func(context.Context) ([]byte, error) { return os.ReadFile(path) },
		func(data []byte, err error) {
			if os.IsNotExist(err) {
				done(nil)
				return
			}
			var l *lease
			if err == nil {
				l, err = restore(data, link.Addr, address, f.loop.Now(), bootTime(), bootID())
			}
			if err != nil {
				f.log.Info("earlier lease not used", "link", link.Name, "reason", err)
			}
			done(l)
		})
}

// restore makes a lease of a file's content, or says why it does not hold any
// more.
func restore(data []byte, client core.HardwareAddr, address netip.Addr, now time.Time, up time.Duration, boot string) (*lease, error) {
	var s storedLease
	if len(data) > maxLeaseFile {
		return nil, fmt.Errorf("file of %d bytes", len(data))
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	if s.Boot != boot || s.Began < 0 || s.Began > up {
		return nil, fmt.Errorf("lease of another boot")
	}
	r, err := parseReply(s.Ack)
	if err != nil {
		return nil, err
	}
	config, _, err := leaseConfig(r)
	if err != nil {
		return nil, err
	}
	l := newLease(config, r, now.Add(s.Began-up))
	switch {
	case r.kind != ack || r.client != client:
		return nil, fmt.Errorf("not a lease of this link")
	case l.address() != address:
		return nil, fmt.Errorf("lease of %s instead of %s", l.address(), address)
	case due(l.expire, now):
		return nil, fmt.Errorf("lease has expired")
	}
	return l, nil
}

// bootTime is the time since the machine started, time asleep included.
func bootTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0 // no lease is from before that
	}
	return time.Duration(ts.Nano())
}

// bootID is the kernel's name for this boot. It is read from memory, not from
// a disk, so that the loop need not wait.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(id))
})
