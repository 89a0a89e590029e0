package provision

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"net.connman/pkg/configdir"
	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/core"
)

// tunneler is a provider, of the type it is, with one key.
type tunneler string

func (t tunneler) Type() string                                      { return string(t) }
func (tunneler) Keys() []core.Key                                    { return []core.Key{{Name: "Some.Cert"}} }
func (tunneler) Check(core.Settings) error                           { return nil }
func (tunneler) Missing() error                                      { return nil }
func (tunneler) Connect(core.Request, func(core.Event)) core.Attempt { return nil }

const good = "[provider_x]\nType = some\nName = x\nHost = vpn.test\nSome.Cert = x/cert\n"

// ourselves has programs run as the test does.
func ourselves(string) (uint32, error) { return uint32(os.Geteuid()), nil }

// added adds a file to a directory and returns what came of it.
func added(t *testing.T, dir string, file File, owner Owner) (specs []core.Spec, err error) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	d := New(l, log, dir, []core.Provider{tunneler("some"), tunneler("other")}, owner)
	stop := d.Watch(func([]core.Spec) {})
	l.Post("add", func() {
		d.Add(file, func(s []core.Spec, e error) {
			specs, err = s, e
			stop()
			l.Quit()
		})
	})
	l.Run(context.Background())
	l.Wait()
	return specs, err
}

// What is added is there, for nobody else to read, with all that lies beside it.
func TestAdd(t *testing.T) {
	dir := t.TempDir()
	specs, err := added(t, dir, File{Name: "x", Content: good, Beside: map[string]string{"cert": "CERT", "key": "KEY"}}, ourselves)
	if err != nil || len(specs) != 1 || specs[0].File != "x" || specs[0].Host != "vpn.test" {
		t.Fatalf("specifications %v, error %v", specs, err)
	}
	for path, want := range map[string]string{"x.config": good, "x/cert": "CERT", "x/key": "KEY"} {
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil || string(data) != want {
			t.Errorf("%s holds %q, %v", path, data, err)
		}
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// What is wrong, or there already, is refused and leaves nothing.
func TestAddRefused(t *testing.T) {
	tests := []struct {
		file File
		want error
	}{
		{File{Name: "", Content: good}, core.ErrInvalidArguments},
		{File{Name: "../x", Content: good}, core.ErrInvalidArguments},
		{File{Name: ".x", Content: good}, core.ErrInvalidArguments},
		{File{Name: "x y", Content: good}, core.ErrInvalidArguments},
		{File{Name: strings.Repeat("x", 300), Content: good}, core.ErrInvalidArguments},
		{File{Name: "x", Content: ""}, core.ErrInvalidArguments},
		{File{Name: "x", Content: "[provider_x]\nType = some\n"}, nil},
		{File{Name: "x", Content: good + "Other = y\n"}, nil},
		{File{Name: "x", Content: strings.Repeat("#", configdir.MaxFile+1)}, core.ErrInvalidArguments},
		{File{Name: "x", Content: good, Beside: map[string]string{"../cert": ""}}, core.ErrInvalidArguments},
		{File{Name: "x", Content: good, Beside: map[string]string{"a/b": ""}}, core.ErrInvalidArguments},
		{File{Name: "x", Content: good, Beside: map[string]string{"a": strings.Repeat("x", configdir.MaxFile+1)}}, core.ErrInvalidArguments},
		{File{Name: "there", Content: good}, core.ErrAlreadyExists},
		{File{Name: "other", Content: good}, core.ErrAlreadyExists},
		{File{Name: "dir", Content: good}, core.ErrAlreadyExists},
	}
	for _, test := range tests {
		dir := t.TempDir()
		for _, name := range []string{"there.config", "other.toml"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "dir"), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := added(t, dir, test.file, ourselves); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%.20q with %d files: error %v, want %v", test.file.Name, len(test.file.Beside), err, test.want)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 3 {
			t.Errorf("%.20q leaves %v", test.file.Name, entries)
		}
	}
}

// Many files beside would fill the disk.
func TestAddTooMany(t *testing.T) {
	many := map[string]string{}
	for i := range maxBeside + 1 {
		many[strings.Repeat("x", i+1)] = ""
	}
	if _, err := added(t, t.TempDir(), File{Name: "x", Content: good, Beside: many}, ourselves); !errors.Is(err, core.ErrInvalidArguments) {
		t.Errorf("error %v", err)
	}
}

// What lies beside belongs to the user of the programs that read it, the directory,
// too; the file itself does not.
func TestAddForAnotherUser(t *testing.T) {
	const nobody = 65534
	dir := t.TempDir()
	asked := []string{}
	_, err := added(t, dir, File{Name: "x", Content: good, Beside: map[string]string{"cert": "CERT"}}, func(typ string) (uint32, error) {
		asked = append(asked, typ)
		return nobody, nil
	})
	if len(asked) != 1 || asked[0] != "some" {
		t.Errorf("the users of %q were looked up", asked)
	}
	if os.Geteuid() != 0 { // who cannot give files away
		if entries, _ := os.ReadDir(dir); !errors.Is(err, fs.ErrPermission) || len(entries) != 0 {
			t.Errorf("error %v, left %v", err, entries)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		uid  uint32
		mode fs.FileMode
	}{"x": {nobody, fs.ModeDir | 0o700}, "x/cert": {nobody, 0o600}, "x.config": {0, 0o600}} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != want.uid || info.Mode() != want.mode {
			t.Errorf("%s is user %d's, %v", path, uid, info.Mode())
		}
	}
}

// Users that are not known, or more than one, are refused before anything is
// written.
func TestAddForNobody(t *testing.T) {
	unknown := errors.New("there is no such user")
	two := good + strings.NewReplacer("provider_x", "provider_y", "= some", "= other", "Name = x", "Name = y").Replace(good)
	tests := []struct {
		content string
		owner   Owner
		want    error
	}{
		{good, func(string) (uint32, error) { return 0, unknown }, unknown},
		{two, func(typ string) (uint32, error) { return uint32(len(typ)), nil }, core.ErrInvalidArguments},
	}
	for _, test := range tests {
		dir := t.TempDir()
		if _, err := added(t, dir, File{Name: "x", Content: test.content, Beside: map[string]string{"cert": ""}}, test.owner); !errors.Is(err, test.want) {
			t.Errorf("error %v, want %v", err, test.want)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("left %v", entries)
		}
		if _, err := added(t, dir, File{Name: "x", Content: test.content}, test.owner); err != nil {
			t.Errorf("without files beside: %v", err)
		}
	}
}

// FuzzCheckFile has clients name files. What is taken is one in the directory, and
// nobody can hide it there.
func FuzzCheckFile(f *testing.F) {
	for _, name := range []string{"office", "../x", ".", ".x", "a/b", "a\x00b", "x.config", ".config", "ä", strings.Repeat("x", maxAddedName+1)} {
		f.Add(name, good)
	}
	f.Fuzz(func(t *testing.T, name, content string) {
		if checkFile(name, content) != nil {
			return
		}
		if filepath.Join("dir", name) != "dir/"+name || filepath.Dir("dir/"+name) != "dir" || name[0] == '.' || len(name) > 255 {
			t.Errorf("took %q", name)
		}
	})
}
