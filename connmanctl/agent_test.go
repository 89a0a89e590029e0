package main

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/lab"
)

// fields is what a daemon wants to know; the words behind each name are its
// type, requirement and alternates.
func fields(words ...string) any {
	var d []any
	for _, field := range words {
		w := strings.Fields(field)
		spec := []any{"Type", w[1], "Requirement", w[2]}
		if len(w) > 3 {
			spec = append(spec, "Alternates", w[3:])
		}
		d = append(d, w[0], lab.Dict(spec...))
	}
	return lab.Dict(d...)
}

// An exchange is a call of an agent, what it shows, what is typed, and the
// answer: a dictionary or the name of an error.
type exchange struct {
	name   string
	method string // with its interface; "vpn.Agent" and "Agent" stand for the long names
	object string
	arg    any
	shows  string // without carriage returns
	asks   [][2]string
	answer any
}

const (
	wifi     = "/net/connman/service/wifi_1"
	passText = "Agent RequestInput wifi_1\n  Passphrase = [ Type=psk, Requirement=mandatory ]\n"
)

type answers = map[string]string

func exchanges() []exchange {
	psk := fields("Passphrase psk mandatory")
	return []exchange{
		{"passphrase", "Agent.RequestInput", wifi, psk, passText,
			[][2]string{{"Passphrase? ", "geheim 1"}}, answers{"Passphrase": "geheim 1"}},
		{"an empty passphrase is asked for again", "Agent.RequestInput", wifi, psk, passText,
			[][2]string{{"Passphrase? ", ""}, {"Passphrase? ", "x"}}, answers{"Passphrase": "x"}},
		{"hidden", "Agent.RequestInput", wifi,
			fields("Name string mandatory SSID", "SSID ssid alternate Name", "Passphrase psk mandatory"),
			"Agent RequestInput wifi_1\n  Name = [ Type=string, Requirement=mandatory, Alternates=[ SSID ] ]\n" +
				"  SSID = [ Type=ssid, Requirement=alternate, Alternates=[ Name ] ]\n" +
				"  Passphrase = [ Type=psk, Requirement=mandatory ]\n",
			[][2]string{{"Hidden SSID name? ", ""}, {"Hidden SSID name? ", strings.Repeat("n", 33)},
				{"Hidden SSID name? ", "Café"}, {"Passphrase? ", "x"}},
			answers{"Name": "Café", "Passphrase": "x"}},
		{"PIN", "Agent.RequestInput", wifi,
			fields("Passphrase psk mandatory WPS", "WPS wpspin alternate"),
			"Agent RequestInput wifi_1\n  Passphrase = [ Type=psk, Requirement=mandatory, Alternates=[ WPS ] ]\n" +
				"  WPS = [ Type=wpspin, Requirement=alternate ]\n",
			[][2]string{{"Passphrase? ", ""}, {"WPS PIN (empty line for pushbutton)? ", "123"}}, answers{"WPS": "123"}},
		{"push button", "Agent.RequestInput", wifi,
			fields("Passphrase psk mandatory WPS", "WPS wpspin alternate"), "Agent RequestInput wifi_1\n",
			[][2]string{{"Passphrase? ", ""}, {"WPS PIN (empty line for pushbutton)? ", ""}}, answers{"WPS": ""}},
		{"passphrase instead of a PIN", "Agent.RequestInput", wifi,
			fields("WPS wpspin alternate", "Passphrase psk mandatory WPS"), "Agent RequestInput wifi_1\n",
			[][2]string{{"Passphrase? ", "p"}}, answers{"Passphrase": "p"}},
		{"previous passphrase", "Agent.RequestInput", wifi,
			lab.Dict("Passphrase", lab.Dict("Type", "psk", "Requirement", "mandatory"),
				"PreviousPassphrase", lab.Dict("Type", "psk", "Requirement", "informational", "Value", "old one")),
			"Agent RequestInput wifi_1\n  Passphrase = [ Type=psk, Requirement=mandatory ]\n" +
				"  PreviousPassphrase = [ Type=psk, Requirement=informational, Value=old one ]\n",
			[][2]string{{"Passphrase? ", "new"}}, answers{"Passphrase": "new"}},
		{"EAP", "Agent.RequestInput", wifi,
			fields("Passphrase passphrase mandatory", "Identity string mandatory"), "Agent RequestInput wifi_1\n",
			[][2]string{{"EAP username? ", "me"}, {"Passphrase? ", "p"}}, answers{"Identity": "me", "Passphrase": "p"}},
		{"WISPr", "Agent.RequestInput", wifi,
			fields("Username string mandatory", "Password passphrase mandatory"), "Agent RequestInput wifi_1\n",
			[][2]string{{"WISPr username? ", ""}, {"WISPr password? ", ""}}, answers{"Username": "", "Password": ""}},
		{"nothing to ask", "Agent.RequestInput", wifi, fields(), "Agent RequestInput wifi_1\n\n", nil, answers{}},

		{"browser", "Agent.RequestBrowser", wifi, "http://portal.example/?a=b",
			"Agent RequestBrowser wifi_1\n  http://portal.example/?a=b\n",
			[][2]string{{"Connected (yes/no)? ", "maybe"}, {"Connected (yes/no)? ", " YES"}}, nil},
		{"browser declined", "Agent.RequestBrowser", wifi, "x", "Agent RequestBrowser wifi_1\n  x\n",
			[][2]string{{"Connected (yes/no)? ", "n"}}, "net.connman.Agent.Error.Canceled"},

		{"error", "Agent.ReportError", wifi, "invalid-key", "Agent ReportError wifi_1\n  invalid-key\n",
			[][2]string{{"Retry (yes/no)? ", "no"}}, nil},
		{"error and retry", "Agent.ReportError", wifi, "invalid-key", "Agent ReportError wifi_1\n  invalid-key\n",
			[][2]string{{"Retry (yes/no)? ", ""}, {"Retry (yes/no)? ", "yes "}, {"Retry (yes/no)? ", "Y"}},
			"net.connman.Agent.Error.Retry"},
		{"peer error", "Agent.ReportPeerError", "/net/connman/peer/peer_1", "failed", "Agent ReportPeerError peer_1\n  failed\n",
			[][2]string{{"Retry (yes/no)? ", "yes"}}, "net.connman.Agent.Error.Retry"},

		{"peer", "Agent.RequestPeerAuthorization", "/net/connman/peer/peer_1", fields(),
			"Agent RequestPeerAuthorization peer_1\n\n", [][2]string{{"Accept connection (yes/no)? ", "yes"}}, answers{}},
		{"peer rejected", "Agent.RequestPeerAuthorization", "/net/connman/peer/peer_1", fields(),
			"Agent RequestPeerAuthorization peer_1\n\n", [][2]string{{"Accept connection (yes/no)? ", "no"}},
			"net.connman.Agent.Error.Rejected"},
		{"peer, neither", "Agent.RequestPeerAuthorization", "/net/connman/peer/peer_1", fields(),
			"Agent RequestPeerAuthorization peer_1\n\n", [][2]string{{"Accept connection (yes/no)? ", "what"}},
			"net.connman.Agent.Error.Canceled"},
		{"peer with a PIN", "Agent.RequestPeerAuthorization", "/net/connman/peer/peer_1", fields("WPS wpspin mandatory"),
			"Agent RequestPeerAuthorization peer_1\n  WPS = [ Type=wpspin, Requirement=mandatory ]\n",
			[][2]string{{"WPS PIN (empty line for pushbutton)? ", "1234"}}, answers{"WPS": "1234"}},

		{"VPN", "vpn.Agent.RequestInput", "/net/connman/vpn/connection/a",
			fields("Username string mandatory", "Password password mandatory", "Host string informational",
				"SaveCredentials boolean optional"),
			"VPN Agent RequestInput a\n  Username = [ Type=string, Requirement=mandatory ]\n" +
				"  Password = [ Type=password, Requirement=mandatory ]\n  Host = [ Type=string, Requirement=informational ]\n" +
				"  SaveCredentials = [ Type=boolean, Requirement=optional ]\n",
			[][2]string{{"VPN username? ", "me"}, {"VPN password? ", "pw"}}, answers{"Username": "me", "Password": "pw"}},
		{"OpenConnect", "vpn.Agent.RequestInput", "/net/connman/vpn/connection/a",
			fields("OpenConnect.VPNHost string mandatory", "OpenConnect.ServerCert string mandatory",
				"OpenConnect.Cookie string mandatory", "OpenConnect.SecondPassword string mandatory"),
			"VPN Agent RequestInput a\n",
			[][2]string{{"OpenConnect Cookie? ", "c"}, {"OpenConnect server certificate hash? ", "h"},
				{"OpenConnect VPN server? ", "s"}, {"VPN one-time password? ", "o"}},
			answers{"OpenConnect.Cookie": "c", "OpenConnect.ServerCert": "h", "OpenConnect.VPNHost": "s",
				"OpenConnect.SecondPassword": "o"}},
		{"VPN error", "vpn.Agent.ReportError", "/net/connman/vpn/connection/a", "connect-failed",
			"VPN Agent ReportError a\n  connect-failed\n",
			[][2]string{{"Retry (yes/no)? ", "yes"}}, "net.connman.vpn.Agent.Error.Retry"},
	}
}

// agents starts a client at a terminal and turns both agents on. It returns when
// the client reads keys again: what is typed between two lines the kernel would
// echo, and hold until the next reader takes it.
func agents(t *testing.T, w *world, start func() *console) *console {
	t.Helper()
	w.Answer("RegisterAgent", lab.Answer{})
	w.Answer("UnregisterAgent", lab.Answer{})
	c := start()
	c.expect(prompt)
	c.typeIn("agent on\r")
	c.expect("Agent registered\r\n")
	c.typeIn("vpnagent on\r")
	c.expect("VPN Agent registered\r\n")
	c.expect(prompt)
	return c
}

func (c *console) begin(w *world, method string, args ...any) <-chan *dbus.Call {
	return w.Begin(fmt.Sprintf("/net/connman/connmanctl%d", c.pid), "net.connman."+method, args...)
}

// expectAnswer compares what an agent answered.
func (c *console) expectAnswer(done <-chan *dbus.Call, want any) {
	c.t.Helper()
	var call *dbus.Call
	select {
	case call = <-done:
	case <-time.After(patience):
		c.t.Fatalf("no answer; showed %.2000q", c.seen)
	}
	var got any
	switch err, failed := call.Err.(dbus.Error); {
	case failed:
		got = err.Name
	case call.Err != nil:
		c.t.Fatal(call.Err)
	case len(call.Body) > 0:
		all := answers{}
		for key, value := range call.Body[0].(map[string]dbus.Variant) {
			all[key], _ = value.Value().(string)
		}
		got = all
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Errorf("answered (-want +got):\n%s", diff)
	}
}

// TestAgent puts every kind of request to our client, and to the reference
// where there is one: both show and answer the same.
func TestAgent(t *testing.T) {
	run := func(t *testing.T, start func(*world) *console) {
		w := newWorld(t)
		c := agents(t, w, func() *console { return start(w) })
		for _, e := range exchanges() {
			t.Run(e.name, func(t *testing.T) {
				c.t = t
				done := c.begin(w, e.method, dbus.ObjectPath(e.object), e.arg)
				c.expect(strings.ReplaceAll(e.shows, "\n", "\r\n"))
				for _, ask := range e.asks {
					c.expect(ask[0])
					c.typeIn(ask[1] + "\r")
				}
				c.expectAnswer(done, e.answer)
				c.expect(prompt)
			})
		}
		c.t = t
		c.typeIn("agent off\r")
		c.expect("Agent unregistered\r\n")
		c.typeIn("vpnagent off\r")
		c.expect("VPN Agent unregistered\r\n")
		c.typeIn("quit\r")
		c.expectEnd(command.Worked)
	}
	t.Run("ours", func(t *testing.T) { run(t, func(w *world) *console { return openConsole(t, w.Bus) }) })
	t.Run("reference", func(t *testing.T) {
		path := referenceClient()
		if path == "" {
			t.Skip("no reference client: CONNMAN_REFERENCE names no directory with connman/usr/bin/connmanctl")
		}
		run(t, func(w *world) *console { return runConsole(t, program(deadline(t), w.Bus, path)) })
	})
}

// TestAgentQueue: requests of both daemons wait for each other.
func TestAgentQueue(t *testing.T) {
	w := newWorld(t)
	c := agents(t, w, func() *console { return openConsole(t, w.Bus) })
	c.typeIn("services wifi_7") // not sent off yet
	c.expect("services wifi_7")
	first := c.begin(w, "Agent.RequestInput", dbus.ObjectPath(wifi), fields("Passphrase psk mandatory"))
	second := c.begin(w, "vpn.Agent.ReportError", dbus.ObjectPath("/net/connman/vpn/connection/a"), "oops")
	third := c.begin(w, "Agent.ReportError", dbus.ObjectPath(wifi), "invalid-key")
	c.expect("Passphrase? ")
	c.typeIn("one\x7f\x15two\x1b[D3\x7f3\r")
	c.expect("VPN Agent ReportError a\r\n  oops\r\n")
	c.expect("Retry (yes/no)? ")
	c.expectAnswer(first, answers{"Passphrase": "two3"})
	c.typeIn("no\r")
	c.expectAnswer(second, nil)
	c.expect("Retry (yes/no)? ")
	c.typeIn("yes\r")
	c.expectAnswer(third, "net.connman.Agent.Error.Retry")
	c.expect(prompt + "services wifi_7") // as it was left
	c.typeIn("\r")
	c.expect("/net/connman/service/wifi_7\r\n")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}

// TestAgentPaste: what is typed ahead answers the questions to come.
func TestAgentPaste(t *testing.T) {
	w := newWorld(t)
	c := agents(t, w, func() *console { return openConsole(t, w.Bus) })
	done := c.begin(w, "Agent.RequestInput", dbus.ObjectPath(wifi),
		fields("Identity string mandatory", "Passphrase psk mandatory"))
	c.expect("EAP username? ")
	c.typeIn("me\rsecret\rservices wifi_7\r")
	c.expectAnswer(done, answers{"Identity": "me", "Passphrase": "secret"})
	c.expect("/net/connman/service/wifi_7\r\n")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}

// TestAgentTypedAhead: what was typed before a request was shown is the line's,
// not an answer to it.
func TestAgentTypedAhead(t *testing.T) {
	w := newWorld(t)
	c := agents(t, w, func() *console { return openConsole(t, w.Bus) })
	first := c.begin(w, "Agent.ReportError", dbus.ObjectPath(wifi), "invalid-key")
	second := c.begin(w, "Agent.RequestInput", dbus.ObjectPath(wifi), fields("Passphrase psk mandatory"))
	c.expect("Retry (yes/no)? ")
	c.typeIn("no\rservices wifi_7\rservi")
	c.expectAnswer(first, nil)
	c.expect("Passphrase? ")
	c.expect("/net/connman/service/wifi_7\r\n")
	c.expect("Passphrase? ")
	c.typeIn("geheim\r")
	c.expectAnswer(second, answers{"Passphrase": "geheim"})
	c.expect(prompt + "servi")
	c.typeIn("ces wifi_6\r")
	c.expect("/net/connman/service/wifi_6\r\n")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
	if strings.Contains(c.all, "geheim") {
		t.Errorf("the passphrase was shown: %q", c.all)
	}
}

// TestAgentHidesSecrets: a passphrase is shown neither while it is typed nor by
// a line that comes in between, and does not get into the history.
func TestAgentHidesSecrets(t *testing.T) {
	w := newWorld(t)
	c := agents(t, w, func() *console { return openConsole(t, w.Bus) })
	c.typeIn("monitor manager\r")
	c.typeIn("clock\r") // answered when the bus has taken the match
	c.expect("TimeserverSynced = True\r\n")
	done := c.begin(w, "Agent.RequestInput", dbus.ObjectPath(wifi), fields("Name string mandatory", "Passphrase psk mandatory"))
	c.expect("Hidden SSID name? ")
	c.typeIn("at home")
	c.expect("at home")
	_ = w.Emit("/", "net.connman.Manager", "PropertyChanged", "sv", "State", lab.Variant("ready"))
	c.expect("\r\x1b[KManager                           State = ready\r\nHidden SSID name? at home")
	c.typeIn("\r")
	c.expect("Passphrase? ")
	c.typeIn("verysecret")
	_ = w.Emit("/", "net.connman.Manager", "PropertyChanged", "sv", "State", lab.Variant("online"))
	c.expect("State = online\r\nPassphrase? ")
	c.typeIn("\r")
	c.expectAnswer(done, answers{"Name": "at home", "Passphrase": "verysecret"})
	c.expect(prompt)
	c.typeIn("\x1b[A\r") // the line before
	c.expect("TimeserverSynced = True\r\n")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
	if strings.Contains(c.all, "secret") {
		t.Errorf("the passphrase was shown: %q", c.all)
	}
}

// TestAgentRefuses: who does not want to answer need not, and daemons may lose
// interest.
func TestAgentRefuses(t *testing.T) {
	w := newWorld(t)
	c := agents(t, w, func() *console { return openConsole(t, w.Bus) })
	ask := func() <-chan *dbus.Call {
		t.Helper()
		done := c.begin(w, "Agent.RequestInput", dbus.ObjectPath(wifi), fields("Passphrase psk mandatory"))
		c.expect("Passphrase? ")
		return done
	}
	const canceled = "net.connman.Agent.Error.Canceled"
	for _, key := range []string{"x\x03", "\x04"} {
		done := ask()
		c.typeIn(key)
		c.expectAnswer(done, canceled)
		c.expect(prompt)
	}
	done := ask()
	other := c.begin(w, "Agent.ReportError", dbus.ObjectPath(wifi), "never shown")
	c.expectAnswer(c.begin(w, "Agent.Cancel"), nil)
	c.expect("Agent request cancelled by ConnMan\r\n")
	c.expectAnswer(done, canceled)
	c.expectAnswer(other, canceled)
	c.expect(prompt)
	c.expectAnswer(c.begin(w, "vpn.Agent.Cancel"), nil)
	c.expect("VPN Agent request cancelled by ConnMan VPNd\r\n")

	done = ask()
	c.expectAnswer(c.begin(w, "Agent.Release"), nil)
	c.expect("Agent unregistered by ConnMan\r\n")
	c.expectAnswer(done, canceled)
	c.expect(prompt)
	c.typeIn("agent off\r")
	c.expect("Agent not registered\r\n")
	c.typeIn("vpnagent on\r")
	c.expect("VPN Agent already registered\r\n")
	c.expectAnswer(c.begin(w, "vpn.Agent.Release"), nil)
	c.expect("VPN Agent unregistered by ConnMan VPNd\r\n")
	w.Answer("RegisterAgent", lab.Answer{Error: refused + "PermissionDenied", Text: "Permission denied"})
	c.typeIn("agent on\r")
	c.expect("Error registering Agent: Permission denied\r\n")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}

// TestAgentOutlivesDaemon: a question of a daemon that leaves is dropped, and
// the one that comes back has an agent again.
func TestAgentOutlivesDaemon(t *testing.T) {
	w := newWorld(t)
	c := agents(t, w, func() *console { return openConsole(t, w.Bus) })
	c.begin(w, "Agent.RequestInput", dbus.ObjectPath(wifi), fields("Passphrase psk mandatory"))
	c.expect("Passphrase? ")
	w.Daemon.Stop()
	c.expect("Agent request cancelled by ConnMan\r\n")
	c.expect(prompt)
	w.Daemon = lab.StartDaemon(t, w.Bus)
	w.script()
	w.Answer("RegisterAgent", lab.Answer{})
	w.Own(t, "net.connman")
	w.Await(t, fmt.Sprintf("/ net.connman.Manager.RegisterAgent /net/connman/connmanctl%d", c.pid))
	done := c.begin(w, "Agent.ReportError", dbus.ObjectPath(wifi), "oops")
	c.expect("Retry (yes/no)? ")
	c.typeIn("no\r")
	c.expectAnswer(done, nil)
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}

// TestAgentInPipe: without a terminal the next line is the answer.
func TestAgentInPipe(t *testing.T) {
	w := newWorld(t)
	w.Answer("RegisterAgent", lab.Answer{})
	cmd := client(deadline(t), w.Bus)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	expect := func(want string) {
		t.Helper()
		for line := range strings.Lines(want) {
			if got, err := out.ReadString('\n'); err != nil || got != line {
				t.Fatalf("printed %q and %v, want %q", got, err, line)
			}
		}
	}
	fmt.Fprintln(in, "agent on")
	expect("Agent registered\n")
	path := fmt.Sprintf("/net/connman/connmanctl%d", cmd.Process.Pid)
	done := w.Begin(path, "net.connman.Agent.RequestInput", dbus.ObjectPath(wifi), fields("Passphrase psk mandatory"))
	expect(passText)
	fmt.Fprintln(in, "geheim")
	if call := <-done; call.Err != nil || call.Body[0].(map[string]dbus.Variant)["Passphrase"].Value() != "geheim" {
		t.Errorf("answered %v, %v", call.Body, call.Err)
	}
	done = w.Begin(path, "net.connman.Agent.RequestInput", dbus.ObjectPath(wifi), fields("Passphrase psk mandatory"))
	expect(passText)
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if call := <-done; call.Err == nil {
		t.Errorf("answered %v at the end of the input", call.Body)
	}
}
