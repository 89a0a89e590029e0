package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/lab"
)

// TestHistoryOutlastsRuns, but not what may be a secret.
func TestHistoryOutlastsRuns(t *testing.T) {
	w := newWorld(t)
	home := t.TempDir()
	open := func() *console {
		cmd := client(deadline(t), w.Bus)
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+home)
		c := runConsole(t, cmd)
		c.expect(prompt)
		return c
	}
	c := open()
	for _, line := range []string{"clock", "clock", "tether wifi on name geheimnis", "geheimnis zwei", "services wifi_7"} {
		c.typeIn(line + "\r")
	}
	c.expect("/net/connman/service/wifi_7\r\n")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)

	file := filepath.Join(home, "connmanctl", "history")
	if data, err := os.ReadFile(file); err != nil || string(data) != "clock\nservices wifi_7\n" {
		t.Errorf("the file has %q, %v", data, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	c = open()
	c.typeIn("\x1b[A\x1b[A\r") // two lines back
	c.expect("TimeserverSynced = True\r\n")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}

// TestHistoryIsBounded, and a file that cannot be used hinders nothing.
func TestHistoryIsBounded(t *testing.T) {
	bus := lab.StartBus(t)
	home := t.TempDir()
	dir := filepath.Join(home, "connmanctl")
	file := filepath.Join(dir, "history")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("state\n\n", 700)+"\x1b[31mhelp\xff\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	leave := func() {
		cmd := client(deadline(t), bus)
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+home)
		c := runConsole(t, cmd)
		c.expect(prompt)
		c.typeIn("quit\r")
		c.expectEnd(command.Worked)
	}
	leave()
	data, err := os.ReadFile(file)
	if lines := strings.Count(string(data), "\n"); err != nil || lines != 500 {
		t.Errorf("%d lines, %v", lines, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", file); err != nil {
		t.Fatal(err)
	}
	leave()
}

// TestConsoleCompletes everything that there is to name.
func TestConsoleCompletes(t *testing.T) {
	w := newWorld(t)
	c := openConsole(t, w.Bus)
	c.expect(prompt)
	c.typeIn("technologies\r") // answered behind the lists that completion asked for
	c.expect("/net/connman/technology/wifi\r\n")
	for typed, want := range map[string]string{
		"tetherin":              "tethering_clients ",
		"vpna":                  "vpnagent ",
		"agent of":              "agent off ",
		"enable off":            "enable offline ",
		"scan eth":              "scan ethernet ",
		"tether wifi of":        "tether wifi off ",
		"connect ether":         "connect ethernet_027702000002_cable ",
		"disconnect peer_1":     "disconnect peer_1 ",
		"move-after wifi_1 eth": "move-after wifi_1 ethernet_027702000002_cable ",
		"config wifi_1 time":    "config wifi_1 timeservers ",
		"monitor vpnc":          "monitor vpnconnection ",
		"peers peer_2":          "peers peer_2 ",
		"vpnconnections d":      "vpnconnections d ",
		"services --j":          "services --json ",
		"session be":            "session bearers ",
	} {
		c.typeIn(typed + "\t")
		c.expect(prompt + want)
		c.typeIn("\x15") // take it back
		c.expect(prompt)
	}
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}
