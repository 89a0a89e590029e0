package sdnotify

import (
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestSend(t *testing.T) {
	for name, path := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": "@sdnotify-test-" + strconv.FormatInt(time.Now().UnixNano(), 36),
	} {
		t.Run(name, func(t *testing.T) {
			manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer manager.Close()
			t.Setenv("NOTIFY_SOCKET", path)
			if err := Send(Ready, Status("2 services\nMAINPID=1")); err != nil {
				t.Fatal(err)
			}
			manager.SetReadDeadline(time.Now().Add(5 * time.Second))
			got := make([]byte, 256)
			n, err := manager.Read(got)
			if want := "READY=1\nSTATUS=2 services MAINPID=1"; err != nil || string(got[:n]) != want {
				t.Errorf("the manager heard %q, %v; want %q", got[:n], err, want)
			}
		})
	}
}

func TestSendWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Send(Stopping); err != nil {
		t.Error(err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	if err := Send(Stopping); err == nil {
		t.Error("nobody heard, and no error")
	}
}
