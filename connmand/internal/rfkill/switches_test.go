package rfkill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a machine whose kernel the test plays.
type machine struct {
	t        *testing.T
	loop     *loop.Loop
	switches *Switches
	kernel   net.Conn
	reports  []string
}

func onMachine(t *testing.T, test func(*machine)) {
	synctest.Test(t, func(t *testing.T) {
		ours, kernel := net.Pipe()
		m := &machine{t: t, loop: loop.New(slog.New(slog.DiscardHandler)), kernel: kernel}
		m.switches = newSwitches(m.loop, slog.New(slog.DiscardHandler), ours)
		m.switches.Run(func(kind core.Type, all core.Radio) {
			m.reports = append(m.reports, fmt.Sprintf("%s %d %t %t", kind, all.Switches, all.Soft, all.Hard))
		})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { m.loop.Run(ctx); close(ended) }()
		test(m)
		cancel()
		<-ended
		m.switches.Close()
		kernel.Close()
	})
}

// say has the kernel report.
func (m *machine) say(b []byte) {
	m.t.Helper()
	if _, err := m.kernel.Write(b); err != nil {
		m.t.Fatal(err)
	}
	synctest.Wait()
}

// The switches of a technology are told of as one.
func TestSwitchesAsOne(t *testing.T) {
	onMachine(t, func(m *machine) {
		for _, r := range []record{
			{index: 0, kind: 1, op: opAdd},
			{index: 1, kind: 2, op: opAdd, soft: true},
			{index: 2, kind: 1, op: opAdd, soft: true},
			{index: 0, kind: 1, op: opChange, hard: true},
			{index: 2, kind: 1, op: opChange, soft: true, hard: true},
			{index: 9, kind: 1, op: opChange, soft: true}, // nobody has heard of it
			{index: 0, kind: 3, op: opDelete},             // kinds do not change
			{index: 7, kind: 8, op: opAdd, soft: true},    // no technology of ours
			{index: 2, kind: 1, op: opDelete},
			{index: 2, kind: 1, op: opDelete},
			{kind: 1, op: opChangeAll},
		} {
			m.say(r.bytes())
		}
		m.say([]byte{1, 2, 3})
		m.say([]byte{0, 0, 0, 0, 1, 200, 0, 0})
		m.say(record{index: 1, kind: 2, op: opChange}.bytes())
		want := []string{
			"wifi 1 false false", "bluetooth 1 true false", "wifi 2 false false", "wifi 2 true false",
			"wifi 2 true true", "wifi 1 true true", "wifi 0 false false", "bluetooth 1 false false",
		}
		if !slices.Equal(m.reports, want) {
			t.Errorf("reported %q\nwant %q", m.reports, want)
		}
	})
}

// All switches of a kind are turned together, in the order asked for.
func TestBlock(t *testing.T) {
	onMachine(t, func(m *machine) {
		for _, c := range []struct {
			kind  core.Type
			block bool
			want  []byte
		}{
			{core.Wifi, true, []byte{0, 0, 0, 0, 1, 3, 1, 0}},
			{core.Wifi, false, []byte{0, 0, 0, 0, 1, 3, 0, 0}},
			{core.Cellular, true, []byte{0, 0, 0, 0, 5, 3, 1, 0}},
		} {
			answered := false
			m.loop.Post("block", func() {
				m.switches.Block(c.kind, c.block, func(err error) { answered = err == nil })
			})
			got := make([]byte, 16)
			n, err := m.kernel.Read(got)
			synctest.Wait()
			if err != nil || !bytes.Equal(got[:n], c.want) || !answered {
				t.Errorf("asked for %v, %v; answered %t", got[:n], err, answered)
			}
		}
		m.kernel.Close()
		var failed error
		m.loop.Post("block", func() { m.switches.Block(core.Wifi, true, func(err error) { failed = err }) })
		synctest.Wait()
		if failed == nil {
			t.Error("no error from a device that is gone")
		}
	})
}

func TestNoDevice(t *testing.T) {
	l := loop.New(slog.New(slog.DiscardHandler))
	_, err := Open(l, slog.New(slog.DiscardHandler), filepath.Join(t.TempDir(), "rfkill"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(record{index: 3, kind: 1, op: opAdd, soft: true}.bytes())
	f.Add([]byte{0, 0, 0, 0, 1, 2, 7, 255})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data)
		if err != nil {
			return
		}
		if again, err := parse(r.bytes()); err != nil || again != r {
			t.Errorf("%v became %v, %v", r, again, err)
		}
	})
}
