package leasefile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

// Lease is what a file holds.
type Lease struct {
	Asked time.Time // when it was asked for, in the loop's time
	Reply []byte    // the server's message that gave it
}

// Files are the leases of one protocol, one of each link.
type Files struct {
	loop     *loop.Loop
	log      *slog.Logger
	dir      string
	protocol string
	reads    *loop.Queue

	// Writes are done one after the other; later ones replace those waiting.
	waiting map[string]*stored // nil: remove
	writing bool
}

// stored is a file's content.
type stored struct {
	Boot  string        `json:"boot"`  // the kernel's id of this boot
	Began time.Duration `json:"began"` // boot time at which it was asked for
	Ack   []byte        `json:"ack"`
}

// maxFile is far more than a stored message takes, in bytes.
const maxFile = 16 << 10

// New returns the files of a protocol in a directory that a reboot empties; it
// is made when it is missing. "" keeps nothing.
func New(l *loop.Loop, log *slog.Logger, dir, protocol string) *Files {
	return &Files{loop: l, log: log, dir: dir, protocol: protocol, reads: loop.NewQueue(l, 1)}
}

func (f *Files) name(l core.Link) string {
	return fmt.Sprintf("%s-%d-%x", f.protocol, l.Index, string(l.Addr))
}

// Save keeps the link's lease, nil none.
func (f *Files) Save(link core.Link, l *Lease) {
	if f.dir == "" {
		return
	}
	var s *stored
	if l != nil {
		s = &stored{Boot: bootID(), Began: bootTime() - f.loop.Now().Sub(l.Asked), Ack: l.Reply}
	}
	if f.waiting == nil {
		f.waiting = map[string]*stored{}
	}
	f.waiting[f.name(link)] = s
	f.write()
}

// Idle reports whether all that was saved has been written.
func (f *Files) Idle() bool { return !f.writing }

func (f *Files) write() {
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

func writeAll(dir string, leases map[string]*stored) error {
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

// Load reads the lease that an earlier run of the daemon, since the machine
// started, had on the link. accept looks at it on the loop and says why it
// is not used, which is logged; done gets what accept made of it, or the zero
// value.
func Load[T any](f *Files, link core.Link, accept func(Lease) (T, error), done func(T)) *loop.Op {
	path := filepath.Join(f.dir, f.name(link))
	return loop.GoIn(f.reads, "read lease",
		func(context.Context) ([]byte, error) { return readFile(path) },
		func(data []byte, err error) {
			var (
				l    Lease
				used T
			)
			if err == nil {
				l, err = decode(data, f.loop.Now(), bootTime(), bootID())
			}
			if err == nil {
				used, err = accept(l)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				f.log.Info("earlier lease not used", "link", link.Name, "reason", err)
			}
			done(used)
		})
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if len(data) > maxFile {
		return nil, fmt.Errorf("file of more than %d bytes", maxFile)
	}
	return data, err
}

// decode reads a file's content. now is the loop's time and up the kernel's
// boot time of the same moment.
func decode(data []byte, now time.Time, up time.Duration, boot string) (Lease, error) {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return Lease{}, err
	}
	if s.Boot != boot || s.Began < 0 || s.Began > up {
		return Lease{}, errors.New("lease of another boot")
	}
	return Lease{Asked: now.Add(s.Began - up), Reply: s.Ack}, nil
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
