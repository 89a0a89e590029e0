package resolver

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	keptSuffix = ".before-connman"
	tempName   = ".resolv.conf.connman-new" // one name, so that a killed daemon leaves one file at most
)

// place is where the file goes. One goroutine at a time uses it.
type place struct {
	log        *slog.Logger
	own        string   // the file that is ours alone
	etc        string   // the file that programs read
	candidates []string // where to try, in order
	path       string   // where the file went, from the first success on
	before     []byte   // what it held then, if its directory takes no copy
}

// write makes text the file's content.
func (p *place) write(text string) error {
	if p.path != "" {
		return replace(p.path, text)
	}
	var failures []error
	for _, path := range p.candidates {
		err := p.begin(path, text)
		if err == nil {
			p.path = path
			p.checkRead()
			return nil
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// begin writes path for the first time.
func (p *place) begin(path, text string) error {
	if path == p.own {
		return replace(path, text)
	}
	if to, err := os.Readlink(path); err == nil {
		return fmt.Errorf("cannot write %s: it is a link to %s; let it lead to %s, or name a file of ours with ResolvConf", path, to, p.own)
	}
	if err := p.keep(path); err != nil {
		return err
	}
	return replace(path, text)
}

// keep copies the file at path beside it, unless there is none or it is ours:
// then an earlier run did so.
func (p *place) keep(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && ours(data) {
		return nil
	}
	if err == nil {
		err = rename(path+keptSuffix, string(data))
	}
	if stuck(err) {
		p.before, err = data, nil
	}
	if err != nil {
		return fmt.Errorf("cannot keep a copy of %s: %w", path, err)
	}
	return nil
}

// checkRead says so when programs will not see what we write.
func (p *place) checkRead() {
	if sameFile(p.path, p.etc) {
		return
	}
	p.log.Info("programs do not read our name servers: let one file lead to the other", "read", p.etc, "written", p.path)
}

func sameFile(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}

// restore puts back what was there before the first write, so that the next
// one is a first again. What another program has written since stays.
func (p *place) restore() error {
	if p.path == "" {
		return nil
	}
	if err := p.putBack(); err != nil {
		return err
	}
	p.path, p.before = "", nil
	return nil
}

func (p *place) putBack() error {
	now, err := os.ReadFile(p.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot restore %s: %w", p.path, err)
	}
	if !ours(now) {
		return remove(p.path + keptSuffix)
	}
	if p.path == p.own {
		return replace(p.path, header)
	}
	before, err := os.ReadFile(p.path + keptSuffix)
	switch {
	case err == nil:
		if err := replace(p.path, string(before)); err != nil {
			return err
		}
		return remove(p.path + keptSuffix)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot restore %s: %w", p.path, err)
	case p.before != nil:
		return replace(p.path, string(p.before))
	case remove(p.path) != nil: // a mount: it cannot go, only change
		return replace(p.path, header)
	}
	return nil
}

// ours reports whether we, or the reference, wrote data.
func ours(data []byte) bool { return strings.HasPrefix(string(data), header) }

// replace gives the file at path a new content at once, so that no reader sees
// half of it. Only where the directory forbids that (a container may mount the
// file alone) it is overwritten.
func replace(path, text string) error {
	err := rename(path, text)
	if stuck(err) {
		err = overwrite(path, text)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

// stuck reports whether err forbids to replace a file but may allow to change
// it.
func stuck(err error) bool {
	return errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

func rename(path, text string) error {
	temp := filepath.Join(filepath.Dir(path), tempName)
	os.Remove(temp) // left by a killed daemon, or planted
	err := put(temp, text, os.O_CREATE|os.O_EXCL)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}

func overwrite(path, text string) error {
	return put(path, text, os.O_TRUNC|syscall.O_NOFOLLOW)
}

func put(path, text string, flags int) error {
	f, err := os.OpenFile(path, os.O_WRONLY|flags, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s: %w", path, err)
	}
	return nil
}
