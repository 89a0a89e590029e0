package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/lab"
)

// TestNames: what a person calls a thing will do wherever it means one thing.
func TestNames(t *testing.T) {
	w := newWorld(t)
	w.Answer("/ net.connman.Manager.GetServices", lab.Objects(append(someServices(),
		lab.Object{Path: "/net/connman/service/wifi_8", Properties: lab.Dict("Name", "twice")},
		lab.Object{Path: "/net/connman/service/wifi_9", Properties: lab.Dict("Name", "twice")},
		lab.Object{Path: "/net/connman/service/wifi_10", Properties: lab.Dict("Name", "wifi_8")})...))
	const service = "/net/connman/service/"
	tests := []struct {
		args   []string
		status command.Status
		call   string // the last
		stderr string
	}{
		{[]string{"connect", "idle one"}, command.Worked, service + "wifi_6 net.connman.Service.Connect", ""},
		{[]string{"connect", "配置"}, command.Worked, service + "wifi_3 net.connman.Service.Connect", ""},
		{[]string{"connect", "wifi_8"}, command.Worked, service + "wifi_8 net.connman.Service.Connect", ""},
		{[]string{"disconnect", "Käse & Brot"}, command.Worked, service + "wifi_1 net.connman.Service.Disconnect", ""},
		{[]string{"services", "idle one"}, command.Worked, service + "wifi_6 net.connman.Service.GetProperties", ""},
		{[]string{"move-after", "idle one", "Wired"}, command.Worked,
			service + "wifi_6 net.connman.Service.MoveAfter " + service + "ethernet_027702000002_cable", ""},
		{[]string{"config", "idle one", "autoconnect", "no"}, command.Worked,
			service + `wifi_6 net.connman.Service.SetProperty AutoConnectfalse`, ""},
		{[]string{"peers", "tv"}, command.Worked, "/net/connman/peer/peer_1 net.connman.Peer.GetProperties", ""},
		{[]string{"vpnconnections", "Büro"}, command.Worked,
			"/net/connman/vpn/connection/a net.connman.vpn.Connection.GetProperties", ""},
		{[]string{"scan", "WiFi"}, command.Worked, "/net/connman/technology/wifi net.connman.Technology.Scan", ""},
		{[]string{"enable", "Wired"}, command.Worked,
			"/net/connman/technology/ethernet net.connman.Technology.SetProperty Poweredtrue", ""},
		{[]string{"tether", "WiFi", "off"}, command.Worked,
			"/net/connman/technology/wifi net.connman.Technology.SetProperty Tetheringfalse", ""},
		{[]string{"disable", "wifi"}, command.Worked, "/net/connman/technology/wifi net.connman.Technology.SetProperty Poweredfalse", ""},
		{[]string{"connect", "twice"}, command.Misused, "/ net.connman.Manager.GetServices",
			"Error 'connect': several services are called twice, name one of\n  wifi_8\n  wifi_9\n"},
		{[]string{"connect", "no such name"}, command.Misused, "/ net.connman.Manager.GetServices",
			"Error 'connect': Invalid argument\n"},
		// Nothing but an identifier looks like this: nobody is asked.
		{[]string{"connect", "ethernet_027702000002_cable"}, command.Worked,
			service + "ethernet_027702000002_cable net.connman.Service.Connect", ""},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			got := finish(t, client(deadline(t), w.Bus, tt.args...))
			calls := w.Calls()
			if got.status != int(tt.status) || got.Stderr != tt.stderr || calls[len(calls)-1] != tt.call {
				t.Errorf("status %d, %q; calls %q", got.status, got.Stderr, calls)
			}
		})
	}
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestConnectWithSecrets: a single command is its own agent.
func TestConnectWithSecrets(t *testing.T) {
	file := secretFile(t, "geheim 1\n")
	const network = "wifi_0123456789ab_686f6d65_managed_psk"
	const unnamed = "wifi_0123456789ab_hidden_managed_"
	psk := []string{"Passphrase psk mandatory"}
	tests := []struct {
		args    string
		service string // that is to be connected
		asks    []string
		answer  any
	}{
		{network + " --passphrase-file FILE", network, psk, answers{"Passphrase": "geheim 1"}},
		{"--passphrase-file=FILE " + network, network, psk, answers{"Passphrase": "geheim 1"}},
		{network + " --passphrase-fd 3", network, psk, answers{"Passphrase": "geheim 1"}},
		{network + " --identity me --passphrase-file FILE", network,
			[]string{"Passphrase passphrase mandatory", "Identity string mandatory"},
			answers{"Identity": "me", "Passphrase": "geheim 1"}},
		{network + " --identity me --passphrase-file FILE", network,
			[]string{"Username string mandatory", "Password passphrase mandatory"},
			answers{"Username": "me", "Password": "geheim 1"}},
		{"home --hidden --passphrase-file FILE", unnamed + "psk",
			[]string{"Name string mandatory", "Passphrase psk mandatory"},
			answers{"Name": "home", "Passphrase": "geheim 1"}},
		{"home --hidden", unnamed + "none", []string{"Name string mandatory"}, answers{"Name": "home"}},
		{"home --hidden --identity me", unnamed + "ieee8021x", []string{"Name string mandatory"}, answers{"Name": "home"}},
		{network + " --identity me", network, psk, "net.connman.Agent.Error.Canceled"},
	}
	w := newWorld(t)
	var list []lab.Object
	for _, security := range []string{"none", "psk", "ieee8021x"} {
		list = append(list, lab.Object{Path: dbus.ObjectPath("/net/connman/service/" + unnamed + security)})
	}
	w.Answer("GetServices", lab.Objects(list...))
	w.Answer("/ net.connman.Manager.GetServices", lab.Objects(list...))
	w.Answer("RegisterAgent", lab.Answer{})
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			through := make(chan struct{})
			w.Answer("Connect", lab.Answer{After: through})
			cmd := client(deadline(t), w.Bus, append([]string{"connect"}, strings.Fields(strings.ReplaceAll(tt.args, "FILE", file))...)...)
			secret, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer secret.Close()
			cmd.ExtraFiles = []*os.File{secret}
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Await(t, "/net/connman/service/"+tt.service+" net.connman.Service.Connect")
			c := &console{t: t, pid: cmd.Process.Pid}
			c.expectAnswer(c.begin(w, "Agent.RequestInput", dbus.ObjectPath("/net/connman/service/"+tt.service), fields(tt.asks...)), tt.answer)
			// What was wrong once is not tried again.
			c.expectAnswer(c.begin(w, "Agent.ReportError", dbus.ObjectPath("/x"), "invalid-key"), nil)
			c.expectAnswer(c.begin(w, "Agent.RequestInput", dbus.ObjectPath("/x"), fields("Passphrase psk mandatory")),
				"net.connman.Agent.Error.Canceled")
			close(through)
			err = cmd.Wait()
			if want := "Connected " + tt.service + "\n"; err != nil || stdout.String() != want || stderr.Len() > 0 {
				t.Errorf("%v, %q, %q", err, stdout.String(), stderr.String())
			}
		})
	}
}

// TestConnectAtTerminal: who sits there is asked for what is missing.
func TestConnectAtTerminal(t *testing.T) {
	w := newWorld(t)
	w.Answer("RegisterAgent", lab.Answer{Error: refused + "AlreadyExists", Text: "Already exists"})
	through := make(chan struct{})
	w.Answer("Connect", lab.Answer{After: through})
	c := runConsole(t, client(deadline(t), w.Bus, "connect", "wifi_1", "--identity", "me"))
	w.Await(t, "/net/connman/service/wifi_1 net.connman.Service.Connect")
	done := c.begin(w, "Agent.RequestInput", dbus.ObjectPath(wifi), fields("Identity string mandatory", "Passphrase psk mandatory"))
	c.expect("Agent RequestInput wifi_1\r\n")
	c.expect("Passphrase? ")
	c.typeIn("geheim\r")
	c.expectAnswer(done, answers{"Identity": "me", "Passphrase": "geheim"})
	close(through)
	c.expect("Connected wifi_1\r\n")
	c.expectEnd(command.Worked)
	if strings.Contains(c.all, "geheim") {
		t.Errorf("the passphrase was shown: %q", c.all)
	}
}

// TestConnectTypedAhead: what was typed for the shell that comes next is no
// passphrase.
func TestConnectTypedAhead(t *testing.T) {
	w := newWorld(t)
	w.Answer("RegisterAgent", lab.Answer{})
	through := make(chan struct{})
	w.Answer("Connect", lab.Answer{After: through})
	c := runConsole(t, client(deadline(t), w.Bus, "connect", "wifi_1"))
	w.Await(t, "/net/connman/service/wifi_1 net.connman.Service.Connect")
	c.typeIn("ls -l\rcd")
	c.expect("ls -l\r\ncd")
	done := c.begin(w, "Agent.RequestInput", dbus.ObjectPath(wifi), fields("Identity string mandatory", "Passphrase psk mandatory"))
	c.expect("EAP username? ")
	c.typeIn("me\rgeheim\r")
	c.expectAnswer(done, answers{"Identity": "me", "Passphrase": "geheim"})
	close(through)
	c.expect("Connected wifi_1\r\n")
	c.expectEnd(command.Worked)
}

func TestConnectMisused(t *testing.T) {
	w := newWorld(t)
	for args, want := range map[string]string{
		"wifi_1 --passphrase-file /nonexistent":           "Error 'connect': cannot read the passphrase: open /nonexistent: no such file or directory\n",
		"wifi_1 --passphrase-file":                        "Error 'connect': cannot read the passphrase: open : no such file or directory\n",
		"wifi_1 --passphrase-file " + secretFile(t, "\n"): "Error 'connect': the passphrase is empty or too long\n",
		"wifi_1 --passphrase-file /dev/zero":              "Error 'connect': the passphrase is empty or too long\n",
		"wifi_1 --passphrase-fd x":                        "Error 'connect': Invalid argument\n",
		"wifi_1 --bogus":                                  "Error 'connect': Argument list too long\n",
		"--hidden":                                        "Error 'connect': Invalid argument\n",
	} {
		got := finish(t, client(deadline(t), w.Bus, append([]string{"connect"}, strings.Fields(args)...)...))
		if got.status != int(command.Misused) || got.Stderr != want {
			t.Errorf("%s: status %d, %q", args, got.status, got.Stderr)
		}
	}
	got := finish(t, client(deadline(t), w.Bus, "connect", "home", "--hidden"))
	if got.status != int(command.Refused) || !strings.HasPrefix(got.Stderr, "Error: No hidden network is in reach") {
		t.Errorf("status %d, %q", got.status, got.Stderr)
	}
}

// TestHints: errors whose words do not say what to do are followed by some that do.
func TestHints(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]string{
		"net.connman.Error.NotRegistered":           "--passphrase-file",
		"net.connman.Error.PassphraseRequired":      "agent on",
		"net.connman.Error.PermissionDenied":        "as root",
		"net.connman.Error.InProgress":              "wait for it",
		"net.connman.Error.NoCarrier":               "cable",
		"org.freedesktop.DBus.Error.ServiceUnknown": "systemctl start",
		"org.freedesktop.DBus.Error.UnknownMethod":  "list what there is",
		"org.freedesktop.DBus.Error.AccessDenied":   "as root",
		"org.freedesktop.DBus.Error.NoReply":        "took too long",
		"net.connman.Error.OperationTimeout":        "check the passphrase",
	} {
		w.Answer("Connect", lab.Answer{Error: name, Text: "Not so"})
		got := finish(t, client(deadline(t), w.Bus, "connect", "wifi_1"))
		first, rest, _ := strings.Cut(got.Stderr, "\n")
		if first != "Error /net/connman/service/wifi_1: Not so" || !strings.HasPrefix(rest, "Hint: ") ||
			!strings.Contains(rest, want) || strings.Count(rest, "\n") != 1 || got.Stdout != "" {
			t.Errorf("%s: %q", name, got.Stderr)
		}
	}
}
