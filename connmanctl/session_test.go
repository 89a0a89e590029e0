package main

import (
	"fmt"
	"io"
	"os/exec"
	"testing"

	"github.com/godbus/dbus/v5"

	"net.connman/connmanctl/internal/lab"
)

const sessionText = `Session /sessions/1 created
Session      Update               = {
State = connected
}
Session /sessions/1 connected
Session      Update               = {
Bearer = ethernet
}
Session      Update               = {
State = disconnected
}
Session /sessions/1 disconnected
Session /sessions/1 released
`

// TestSession: a single command holds its session until the daemon ends it.
func TestSession(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		cmd, out := holdSession(t, func(w *world) *exec.Cmd { return client(deadline(t), w.Bus, "session", "connect") })
		if got, err := io.ReadAll(out); err != nil || string(got) != sessionText {
			t.Errorf("printed %q, %v", got, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	t.Run("reference", func(t *testing.T) {
		path := referenceClient()
		if path == "" {
			t.Skip("no reference client: CONNMAN_REFERENCE names no directory with connman/usr/bin/connmanctl")
		}
		cmd, out := holdSession(t, func(w *world) *exec.Cmd {
			return program(deadline(t), w.Bus, "stdbuf", "-oL", path, "session", "connect")
		})
		got := make([]byte, len(sessionText))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != sessionText {
			t.Errorf("printed %q, %v", got, err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

const sessionJSON = `{"kind":"session","id":"1","path":"/sessions/1","event":"created"}
{"kind":"session","id":"1","path":"/sessions/1","event":"update","properties":{"State":"connected"}}
{"kind":"session","id":"1","path":"/sessions/1","event":"update","properties":{"Bearer":"ethernet"}}
{"kind":"session","id":"1","path":"/sessions/1","event":"update","properties":{"State":"disconnected"}}
{"kind":"session","id":"1","path":"/sessions/1","event":"released"}
`

// TestSessionJSON is the same for programs.
func TestSessionJSON(t *testing.T) {
	cmd, out := holdSession(t, func(w *world) *exec.Cmd {
		return client(deadline(t), w.Bus, "session", "connect", "--json", "--type", "internet")
	})
	if got, err := io.ReadAll(out); err != nil || string(got) != sessionJSON {
		t.Errorf("printed %q, %v", got, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// holdSession runs a client through the life of a session.
func holdSession(t *testing.T, start func(*world) *exec.Cmd) (*exec.Cmd, io.Reader) {
	w := newWorld(t)
	w.Answer("/ net.connman.Manager.CreateSession", lab.Answer{Signature: "o", Values: []any{dbus.ObjectPath("/sessions/1")}})
	w.Answer("Connect", lab.Answer{})
	cmd := start(w)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Await(t, "/sessions/1 net.connman.Session.Connect")
	notify := fmt.Sprintf("/net/connman/connmanctl%d", cmd.Process.Pid)
	update := func(key, value string) {
		w.Ask(t, notify, "net.connman.Notification.Update", map[string]dbus.Variant{key: dbus.MakeVariant(value)})
	}
	update("State", "connected")
	update("Bearer", "ethernet")
	update("State", "disconnected")
	w.Ask(t, notify, "net.connman.Notification.Release")
	return cmd, out
}
