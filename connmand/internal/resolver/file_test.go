package resolver

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// system is a machine's run and etc directories.
type system struct {
	own, etc string
	log      *bytes.Buffer
}

func newSystem(t *testing.T) system {
	dir := t.TempDir()
	for _, d := range []string{"run", "etc", "other"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return system{filepath.Join(dir, "run", "resolv.conf"), filepath.Join(dir, "etc", "resolv.conf"), new(bytes.Buffer)}
}

// place is a new run of the daemon.
func (s system) place(candidates ...string) *place {
	return &place{log: slog.New(slog.NewTextHandler(s.log, nil)), own: s.own, etc: s.etc, candidates: candidates}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const ourText = header + "nameserver 10.0.0.1\n"

func TestOwnFile(t *testing.T) {
	s := newSystem(t)
	check(t, os.Symlink(s.own, s.etc))
	p := s.place(s.own, s.etc)
	check(t, p.write(ourText))
	if got := read(t, s.etc); got != ourText {
		t.Errorf("programs read %q", got)
	}
	if info, _ := os.Stat(s.own); info.Mode() != 0o644 {
		t.Errorf("mode %v", info.Mode())
	}
	if s.log.Len() > 0 {
		t.Errorf("logged %s", s.log)
	}
	check(t, p.restore())
	if got := read(t, s.own); got != header {
		t.Errorf("left %q", got)
	}
}

func TestOwnFileThatNobodyReads(t *testing.T) {
	s := newSystem(t)
	write(t, s.etc, "nameserver 9.9.9.9\n")
	p := s.place(s.own, s.etc)
	check(t, p.write(ourText))
	check(t, p.write(ourText+"#\n"))
	if n := strings.Count(s.log.String(), "programs do not read"); n != 1 {
		t.Errorf("said %d times that programs read another file", n)
	}
	if got := read(t, s.etc); got != "nameserver 9.9.9.9\n" {
		t.Errorf("another's file is %q", got)
	}
}

func TestEtcFileWithoutOurDirectory(t *testing.T) {
	s := newSystem(t)
	check(t, os.Remove(filepath.Dir(s.own)))
	write(t, s.etc, "original\n")
	p := s.place(s.own, s.etc)
	check(t, p.write(ourText))
	if got := read(t, s.etc); got != ourText {
		t.Errorf("wrote %q", got)
	}
	check(t, p.restore())
	if got := read(t, s.etc); got != "original\n" {
		t.Errorf("restored %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.etc), "*")); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

// A file of a killed run is not the original.
func TestRestoreAfterKill(t *testing.T) {
	s := newSystem(t)
	write(t, s.etc, "original\n")
	check(t, s.place(s.etc).write(ourText))
	p := s.place(s.etc)
	check(t, p.write(ourText+"# second\n"))
	check(t, p.restore())
	if got := read(t, s.etc); got != "original\n" {
		t.Errorf("restored %q", got)
	}
}

func TestRestoreWhenThereWasNothing(t *testing.T) {
	s := newSystem(t)
	check(t, s.place(s.etc).write(ourText))
	p := s.place(s.etc)
	check(t, p.write(ourText))
	check(t, p.restore())
	if _, err := os.Lstat(s.etc); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestRestoreLeavesWhatOthersWrote(t *testing.T) {
	s := newSystem(t)
	write(t, s.etc, "original\n")
	p := s.place(s.etc)
	check(t, p.write(ourText))
	write(t, s.etc, "nameserver 9.9.9.9\n")
	check(t, p.restore())
	if got := read(t, s.etc); got != "nameserver 9.9.9.9\n" {
		t.Errorf("restored over another's file: %q", got)
	}
	if _, err := os.Stat(s.etc + keptSuffix); !os.IsNotExist(err) {
		t.Errorf("the copy is still there: %v", err)
	}
}

func TestForeignLinkIsLeftAlone(t *testing.T) {
	for _, dangling := range []bool{false, true} {
		s := newSystem(t)
		stub := filepath.Join(filepath.Dir(s.etc), "..", "other", "stub-resolv.conf")
		if !dangling {
			write(t, stub, "nameserver 127.0.0.53\n")
		}
		check(t, os.Symlink(stub, s.etc))
		p := s.place(s.etc)
		err := p.write(ourText)
		if err == nil || !strings.Contains(err.Error(), "it is a link to "+stub) {
			t.Errorf("error %v", err)
		}
		check(t, p.restore())
		if to, _ := os.Readlink(s.etc); to != stub {
			t.Errorf("the link leads to %q", to)
		}
		if _, err := os.Stat(stub); os.IsNotExist(err) != dangling {
			t.Errorf("dangling %v: %v", dangling, err)
		} else if !dangling && read(t, stub) != "nameserver 127.0.0.53\n" {
			t.Errorf("wrote through the link")
		}
	}
}

// A link planted where the new file is made is not followed.
func TestPlantedTemporaryFile(t *testing.T) {
	s := newSystem(t)
	victim := filepath.Join(filepath.Dir(s.own), "victim")
	write(t, victim, "x")
	check(t, os.Symlink(victim, filepath.Join(filepath.Dir(s.own), tempName)))
	check(t, s.place(s.own).write(ourText))
	if read(t, victim) != "x" || read(t, s.own) != ourText {
		t.Errorf("victim %q, file %q", read(t, victim), read(t, s.own))
	}
}

func TestRestoreTwice(t *testing.T) {
	s := newSystem(t)
	p := s.place(s.etc)
	for _, original := range []string{"first\n", "second\n"} {
		write(t, s.etc, original)
		check(t, p.write(ourText))
		check(t, p.restore())
		if got := read(t, s.etc); got != original {
			t.Errorf("restored %q, want %q", got, original)
		}
	}
}

func TestFileLatestWins(t *testing.T) {
	s := newSystem(t)
	l := loop.New(slog.New(slog.DiscardHandler))
	f := newFile(l, slog.New(slog.DiscardHandler), "")
	f.place = s.place(s.own)
	const last = header + "nameserver 10.0.0.99\n"
	l.Post("set", func() {
		for _, server := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
			f.set(header + "nameserver " + server + "\n")
		}
		f.set(last)
	})
	l.AtTurnEnd(func() {
		if !f.busy {
			l.Quit()
		}
	})
	l.Run(context.Background())
	l.Wait()
	if got := read(t, s.own); got != last {
		t.Errorf("wrote %q", got)
	}
	f.set(last)
	if f.busy {
		t.Error("unchanged content is written again")
	}
	check(t, f.close(""))
}

func TestFileLogsTroubleOnce(t *testing.T) {
	s := newSystem(t)
	l := loop.New(slog.New(slog.DiscardHandler))
	f := newFile(l, slog.New(slog.NewTextHandler(s.log, nil)), filepath.Join(filepath.Dir(s.own), "missing", "resolv.conf"))
	texts := []string{header + "# 1\n", header + "# 2\n", header + "# 3\n"}
	l.AtTurnEnd(func() {
		switch {
		case f.busy:
		case len(texts) == 0:
			l.Quit()
		default:
			f.set(texts[0])
			texts = texts[1:]
		}
	})
	l.Post("begin", func() {})
	l.Run(context.Background())
	l.Wait()
	if n := strings.Count(s.log.String(), "no such file or directory"); n != 1 {
		t.Errorf("logged %d times: %s", n, s.log)
	}
}

func TestDevNullWritesNothing(t *testing.T) {
	f := newFile(loop.New(slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler), os.DevNull)
	f.set(ourText)
	if f.busy {
		t.Error("writes")
	}
	check(t, f.close(""))
}
