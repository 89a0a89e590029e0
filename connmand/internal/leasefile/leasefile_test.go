package leasefile

import (
	"context"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestDecode(t *testing.T) {
	good := `{"boot":"b","began":1000000000,"ack":"` + base64.StdEncoding.EncodeToString([]byte("reply")) + `"}`
	l, err := decode([]byte(good), epoch, time.Minute, "b")
	if err != nil || string(l.Reply) != "reply" || !l.Asked.Equal(epoch.Add(time.Second-time.Minute)) {
		t.Fatalf("decoded as %+v, %v", l, err)
	}
	if _, err := decode([]byte(good), epoch, 0, "b"); err == nil {
		t.Error("lease from the future accepted")
	}
	if _, err := decode([]byte(good), epoch, time.Minute, "c"); err == nil {
		t.Error("lease of another boot accepted")
	}
	for n := range good {
		if _, err := decode([]byte(good[:n]), epoch, time.Minute, "b"); err == nil {
			t.Fatalf("file cut at %d accepted", n)
		}
	}
}

// onLoop runs fn on a loop and waits until all that it began is done.
func onLoop(t *testing.T, fn func(l *loop.Loop, done func())) {
	t.Helper()
	l := loop.New(slog.New(slog.DiscardHandler))
	l.Post("test", func() { fn(l, l.Quit) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l.Run(ctx)
	l.Wait()
	if ctx.Err() != nil {
		t.Fatal("never ended")
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "leases")
	link := core.Link{Index: 7, Name: "c0", Addr: "\x02\x00\x00\x00\x00\x01"}
	load := func() (got string) {
		onLoop(t, func(l *loop.Loop, done func()) {
			Load(New(l, slog.New(slog.DiscardHandler), dir, "dhcp"), link,
				func(l Lease) (string, error) { return string(l.Reply), nil },
				func(s string) { got = s; done() })
		})
		return got
	}
	save := func(lease *Lease) {
		onLoop(t, func(l *loop.Loop, done func()) {
			f := New(l, slog.New(slog.DiscardHandler), dir, "dhcp")
			f.Save(link, lease)
			l.AtTurnEnd(func() {
				if f.Idle() {
					done()
				}
			})
		})
	}
	if got := load(); got != "" {
		t.Errorf("loaded %q before anything was saved", got)
	}
	save(&Lease{Asked: time.Now(), Reply: []byte("reply")})
	if got := load(); got != "reply" {
		t.Errorf("loaded %q", got)
	}
	path := filepath.Join(dir, "dhcp-7-020000000001")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file %v, %v", info, err)
	}
	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := load(); got != "" {
		t.Errorf("loaded %q from an endless file", got)
	}
	save(nil)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("removed file: %v", err)
	}
}
