//go:build netns

package tunnel

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

// withCertificate are the settings of a client with a certificate.
func withCertificate(pki *authority, more ...string) map[string]string {
	cert, key := pki.issue("client", false)
	return merge(map[string]string{
		"OpenVPN.CACert": pki.CA, "OpenVPN.Cert": cert, "OpenVPN.Key": key, "OpenVPN.RemoteCertTls": "server",
	}, more...)
}

// withPassword are those of a client whom the agent is asked about.
func withPassword(pki *authority, more ...string) map[string]string {
	return merge(map[string]string{"OpenVPN.CACert": pki.CA, "OpenVPN.AuthUserPass": "-"}, more...)
}

// merge adds key, value, … to settings.
func merge(settings map[string]string, more ...string) map[string]string {
	for i := 0; i+1 < len(more); i += 2 {
		settings[more[i]] = more[i+1]
	}
	return settings
}

// serverRoutes are the routes of the server's among a connection's properties.
func serverRoutes(t *testing.T, properties map[string]dbus.Variant) []map[string]dbus.Variant {
	t.Helper()
	var list []struct{ Route map[string]dbus.Variant }
	must(t, properties["ServerRoutes"].Store(&list))
	var routes []map[string]dbus.Variant
	for _, r := range list {
		routes = append(routes, r.Route)
	}
	return routes
}

func TestOpenVPN(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, nil,
		"--push", "route 10.50.0.0 255.255.0.0", "--push", "route 127.0.0.0 255.0.0.0",
		"--push", "dhcp-option DNS 10.99.0.53", "--push", "dhcp-option DNS $(id)", "--push", "dhcp-option DOMAIN corp.test",
		"--push", "dhcp-option DOMAIN a;b")
	for name, more := range map[string][]string{
		"plain":      nil,
		"TLS name":   {"OpenVPN.TLSRemote", serverIP},
		"everything": {"OpenVPN.MTU", "1400", "OpenVPN.Verb", "3", "OpenVPN.AuthNoCache", "true", "OpenVPN.Ping", "5"},
	} {
		path := w.create("openvpn", withCertificate(pki, more...))
		must(t, w.connect(path))
		p := w.properties(path)
		four := p["IPv4"].Value().(map[string]dbus.Variant)
		if a, _ := four["Address"].Value().(string); !strings.HasPrefix(a, "10.99.0.") || four["Netmask"].Value() != "255.255.255.0" ||
			four["Gateway"].Value() != serverIP {
			t.Errorf("%s: IPv4 is %v", name, four)
		}
		if got := fmt.Sprint(p["Nameservers"].Value()); got != "[10.99.0.53]" {
			t.Errorf("%s: the name servers are %s", name, got)
		}
		if got := p["Domain"].Value(); got != "corp.test" {
			t.Errorf("%s: the domain is %v", name, got)
		}
		routes := serverRoutes(t, p)
		if len(routes) != 1 || routes[0]["Network"].Value() != "10.50.0.0" || routes[0]["Netmask"].Value() != "255.255.0.0" {
			t.Errorf("%s: the routes are %v", name, routes)
		}
		w.configure(path)
		w.route(path, insideNetwork+"/24")
		w.passes(insideServer)
		must(t, w.call(path, "Connection.Disconnect").Err)
		w.untilState(path, "idle")
		w.leavesNothing()
		must(t, w.call(managerPath, "Manager.Remove", path).Err)
	}
}

func TestOpenVPNOverTCP(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	server := w.serveOpenVPN(pki, nil, "--proto", "tcp-server", "--port", "443")
	path := w.create("openvpn", withCertificate(pki, "OpenVPN.Proto", "tcp", "OpenVPN.Port", "443"))
	must(t, w.connect(path))
	w.configure(path)
	w.route(path, insideNetwork+"/24")
	w.passes(insideServer)
	// Over TCP openvpn ends with its server.
	server.process.Kill()
	must(t, lab.Eventually(patience, func() error {
		if state := w.properties(path)["State"].Value(); state == "ready" {
			return fmt.Errorf("the connection is %v", state)
		}
		return nil
	}))
	w.leavesNothing()
}

func TestOpenVPNBridge(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, nil, "--dev", "tap0", "--dev-type", "tap")
	path := w.create("openvpn", withCertificate(pki, "OpenVPN.DeviceType", "tap"))
	must(t, w.connect(path))
	w.configure(path)
	w.route(path, insideNetwork+"/24")
	w.passes(insideServer)
}

// The program runs as whom the configuration says.
func TestOpenVPNUnprivileged(t *testing.T) {
	w := newWorld(t)
	must(t, w.daemon.Stop(patience))
	must(t, w.machine.WriteFile("/etc/connman/connman-vpn.conf", "[DACPrivileges]\nUser = nobody\nGroup = nogroup\n"))
	w.start()
	w.register()
	pki := newAuthority(t)
	w.serveOpenVPN(pki, nil)
	path := w.create("openvpn", withCertificate(pki))
	must(t, w.connect(path))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.child()))
	must(t, err)
	if !strings.Contains(string(status), "Uid:\t65534\t65534\t65534\t65534\nGid:\t65534\t") || !strings.Contains(string(status), "CapEff:\t0000000000000000") {
		t.Errorf("openvpn runs with\n%s", status)
	}
	w.configure(path)
	w.route(path, insideNetwork+"/24")
	w.passes(insideServer)
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.leavesNothing()
}

func TestOpenVPNPassword(t *testing.T) {
	const secret = `ge "heim\ 7`
	w := newWorld(t)
	pki := newAuthority(t)
	server := w.serveOpenVPN(pki, func(l login) string {
		if l.user == "some one" && l.password == secret {
			return accept
		}
		return refuse + "not you"
	})
	path := w.create("openvpn", withPassword(pki))
	right := map[string]string{"OpenVPN.Username": "some one", "OpenVPN.Password": secret}
	w.agent.will(map[string]string{"OpenVPN.Username": "x", "OpenVPN.Password": "wrong password"}, right)
	must(t, w.connect(path))
	asked := w.agent.questions()
	if len(asked) != 2 {
		t.Fatalf("%d questions were asked: %v", len(asked), asked)
	}
	if _, failed := asked[0]["VpnAgent.AuthFailure"]; failed {
		t.Errorf("the first question says %v", asked[0])
	}
	if got := asked[1]["VpnAgent.AuthFailure"]["Value"].Value(); got != "not you" {
		t.Errorf("the second question says %v", asked[1])
	}
	if got := server.seen(); len(got) != 2 || got[1].password != secret {
		t.Errorf("the server saw %q", got)
	}
	w.configure(path)
	w.route(path, insideNetwork+"/24")
	w.passes(insideServer)
	w.secretsKept(secret, "wrong password")
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.untilState(path, "idle")

	// A user who does not want to ends it.
	w.agent.will()
	if err := w.connect(path); err == nil {
		t.Error("connected without credentials")
	}
	w.leavesNothing()
}

// What the user wants saved is saved once it has served, and used without a question.
func TestOpenVPNSavesPassword(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, func(l login) string {
		if l.password == "right one" {
			return accept
		}
		return refuse + "no"
	})
	path := w.create("openvpn", withPassword(pki))
	wish := func(password string) map[string]string {
		return map[string]string{"OpenVPN.Username": "someone", "OpenVPN.Password": password, "SaveCredentials": "true"}
	}
	w.agent.will(wish("wrong one"), wish("right one"))
	must(t, w.connect(path))
	for _, asked := range w.agent.questions() {
		if asked["SaveCredentials"] == nil || asked["AllowStoreCredentials"] != nil {
			t.Errorf("asked %v", asked)
		}
	}
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.untilState(path, "idle")
	w.agent.will()
	must(t, w.connect(path))
	if asked := w.agent.questions(); len(asked) != 0 {
		t.Errorf("asked again %v", asked)
	}
	w.secretsKept("right one", "wrong one")
}

// What is saved is used without a question; when it is wrong, it is asked for.
func TestOpenVPNSavedPassword(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, func(l login) string {
		if l.password == "right one" {
			return accept
		}
		return refuse + "no"
	})
	path := w.create("openvpn", withPassword(pki, "OpenVPN.Username", "someone", "OpenVPN.Password", "right one"))
	w.agent.will()
	must(t, w.connect(path))
	if asked := w.agent.questions(); len(asked) != 0 {
		t.Errorf("asked %v", asked)
	}
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.untilState(path, "idle")
	must(t, w.call(path, "Connection.SetProperty", "OpenVPN.Password", dbus.MakeVariant("wrong one")).Err)
	w.agent.will(map[string]string{"OpenVPN.Username": "someone", "OpenVPN.Password": "right one"})
	must(t, w.connect(path))
	if asked := w.agent.questions(); len(asked) != 1 {
		t.Errorf("asked %v", asked)
	}
	w.secretsKept("right one", "wrong one")
}

func TestOpenVPNEncryptedKey(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, nil)
	settings := withCertificate(pki)
	encrypted := settings["OpenVPN.Key"] + ".encrypted"
	out, err := exec.Command("openssl", "pkcs8", "-topk8", "-in", settings["OpenVPN.Key"], "-out", encrypted, "-v2", "aes-256-cbc",
		"-passout", "pass:sesame open").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	settings["OpenVPN.Key"] = encrypted
	path := w.create("openvpn", settings)
	w.agent.will(map[string]string{"OpenVPN.PrivateKeyPassword": "sesame shut"}, map[string]string{"OpenVPN.PrivateKeyPassword": "sesame open"})
	must(t, w.connect(path))
	asked := w.agent.questions()
	if len(asked) != 2 || asked[1]["VpnAgent.AuthFailure"] == nil || asked[0]["KeepCredentials"] == nil {
		t.Errorf("asked %v", asked)
	}
	w.secretsKept("sesame open", "sesame shut")
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.untilState(path, "idle")
	w.agent.will()
	must(t, w.connect(path))
	if asked := w.agent.questions(); len(asked) != 0 {
		t.Errorf("asked again: %v", asked)
	}
}

func TestOpenVPNChallenges(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	who := map[string]string{"OpenVPN.Username": "someone", "OpenVPN.Password": "password 1"}
	response := map[string]string{"OpenVPN.Response": "4711"}
	static := filepath.Join(filepath.Dir(pki.CA), "static.conf")
	must(t, os.WriteFile(static, []byte("client\nnobind\nstatic-challenge \"Which token\" 1\n"), 0o644))
	for name, test := range map[string]struct {
		judge    func(login) string
		settings map[string]string
		answers  []map[string]string
		text     string // of the challenge
		echo     bool
	}{
		"dynamic": {
			judge: func(l login) string {
				switch {
				case l.user == "someone" && l.password == "password 1":
					return refuse + "CRV1:R,E:state-1:c29tZW9uZQ==:What does it show?"
				case l.user == "someone" && l.password == "CRV1::state-1::4711":
					return accept
				}
				return refuse + "no"
			},
			settings: withPassword(pki), answers: []map[string]string{who, response}, text: "What does it show?", echo: true,
		},
		"static": {
			judge: func(l login) string {
				if l.user == "someone" && l.password == "SCRV1:cGFzc3dvcmQgMQ==:NDcxMQ==" {
					return accept
				}
				return refuse + "no"
			},
			settings: withPassword(pki, "OpenVPN.ConfigFile", static),
			answers:  []map[string]string{{"OpenVPN.Username": "someone", "OpenVPN.Password": "password 1", "OpenVPN.Response": "4711"}},
			text:     "Which token", echo: true,
		},
		"text": {
			judge: func(l login) string {
				switch {
				case l.password == "password 1":
					return ask + "CR_TEXT:R:One more number"
				case l.response == "4711":
					return accept
				}
				return refuse + "no"
			},
			settings: withPassword(pki), answers: []map[string]string{who, response}, text: "One more number",
		},
	} {
		server := w.serveOpenVPN(pki, test.judge)
		path := w.create("openvpn", test.settings)
		w.agent.will(test.answers...)
		if err := w.connect(path); err != nil {
			t.Errorf("%s: %v, the server saw %q", name, err, server.seen())
		}
		asked := w.agent.questions()
		last := asked[len(asked)-1]
		if len(asked) != len(test.answers) || last["OpenVPN.Challenge"]["Value"].Value() != test.text ||
			(last["OpenVPN.Response"]["Type"].Value() == "response") != test.echo {
			t.Errorf("%s: asked %v", name, asked)
		}
		w.secretsKept("password 1", "4711")
		w.remove(path)
		must(t, server.process.Stop(patience))
	}
	w.leavesNothing()
}

func TestOpenVPNReconnects(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	server := w.serveOpenVPN(pki, nil, "--explicit-exit-notify", "1")
	path := w.create("openvpn", withCertificate(pki))
	must(t, w.connect(path))
	index := w.properties(path)["Index"].Value()
	must(t, server.process.Stop(patience))
	w.untilState(path, "configuration")
	server.start()
	w.untilState(path, "ready")
	if again := w.properties(path)["Index"].Value(); again != index {
		t.Errorf("the link was %v and is %v", index, again)
	}
	w.configure(path)
	w.route(path, insideNetwork+"/24")
	w.passes(insideServer)

	// Without a word openvpn notices by itself.
	server.process.Kill()
	w.untilState(path, "configuration")
	server.start()
	w.untilState(path, "ready")
	w.passes(insideServer)
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.leavesNothing()
}

// In whatever state the program dies, nothing of it is left and the connection
// can be tried again.
func TestOpenVPNDies(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	path := w.create("openvpn", withPassword(pki))
	die := func(state string) {
		t.Helper()
		pid := w.child()
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		must(t, lab.Eventually(patience, func() error {
			switch now := w.properties(path)["State"].Value(); now {
			case "idle", "failure":
				return nil
			default:
				return fmt.Errorf("%s: the connection is %v", state, now)
			}
		}))
		w.leavesNothing()
	}
	connecting := make(chan *dbus.Call, 3)
	connect := func() { w.conn.Object(vpnName, path).Go(vpnName+".Connection.Connect", 0, connecting) }
	refused := func(state string) {
		t.Helper()
		if call := <-connecting; call.Err == nil {
			t.Errorf("%s: connected", state)
		}
	}

	w.agent.will(map[string]string{"OpenVPN.Username": "x", "OpenVPN.Password": "y"})
	connect()
	w.child()
	die("without a server")
	refused("without a server")

	release := w.agent.hesitate()
	connect()
	w.agent.isAsked(t)
	die("while the user is asked")
	refused("while the user is asked")
	release()

	w.serveOpenVPN(pki, func(login) string { return accept })
	w.agent.will(map[string]string{"OpenVPN.Username": "x", "OpenVPN.Password": "y"})
	must(t, w.connect(path))
	die("with a tunnel")
	must(t, w.connect(path))
}

// A program that hangs does not keep anybody from disconnecting.
func TestOpenVPNHangs(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, nil)
	path := w.create("openvpn", withCertificate(pki))
	must(t, w.connect(path))
	must(t, syscall.Kill(w.child(), syscall.SIGSTOP))
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.untilState(path, "idle")
	w.leavesNothing()
	must(t, w.connect(path))
}

// A daemon that is killed takes its programs along; the next run takes away the
// rest.
func TestOpenVPNDaemonKilled(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, nil)
	path := w.create("openvpn", withCertificate(pki))
	must(t, w.connect(path))
	w.daemon.Kill()
	w.await(false)
	must(t, lab.Eventually(patience, func() error { return w.noneRuns() }))
	w.start()
	w.leavesNothing()
	must(t, w.connect(path))
	must(t, w.daemon.Stop(patience))
	w.leavesNothing()
}

// Routes beyond measure and talk without an end do no harm.
func TestOpenVPNExcess(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	var push strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&push, "push \"route 10.%d.%d.0 255.255.255.0\"\n", 100+i/256, i%256)
	}
	pushed := filepath.Join(filepath.Dir(pki.CA), "push.conf")
	must(t, os.WriteFile(pushed, []byte(push.String()), 0o644))
	w.serveOpenVPN(pki, nil, "--config", pushed)
	path := w.create("openvpn", withCertificate(pki, "OpenVPN.Verb", "11"))
	must(t, w.connect(path))
	if routes := serverRoutes(t, w.properties(path)); len(routes) != 1000 {
		t.Errorf("there are %d routes", len(routes))
	}
	w.configure(path)
	w.route(path, insideNetwork+"/24")
	w.passes(insideServer)
	must(t, w.call(path, "Connection.Disconnect").Err)
	w.leavesNothing()
	info, err := os.Stat(w.daemon.Log)
	must(t, err)
	if info.Size() > 2<<20 {
		t.Errorf("the log has %d bytes", info.Size())
	}
}

// Others may call the task's object as they like.
func TestOpenVPNTaskRefusesStrangers(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	w.serveOpenVPN(pki, nil)
	path := w.create("openvpn", withCertificate(pki))
	must(t, w.connect(path))
	before := fmt.Sprint(w.properties(path))
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.child()))
	must(t, err)
	value := func(name string) string {
		_, after, _ := strings.Cut(string(env), name+"\x00")
		v, _, _ := strings.Cut(after, "\x00")
		return v
	}
	stolen, err := os.ReadFile(w.machine.Path(value("CONNMAN_SECRET")))
	must(t, err)
	for _, secret := range []string{"", "guess", string(stolen)} {
		err := w.conn.Object(value("CONNMAN_BUSNAME"), dbus.ObjectPath(value("CONNMAN_PATH"))).Call("net.connman.Task.notify", 0, "up",
			map[string]string{"CONNMAN_SECRET": secret, "ifconfig_local": "192.0.2.1", "ifconfig_netmask": "255.255.255.0"}).Err
		if !isError(err, "PermissionDenied") {
			t.Errorf("with the secret %q: %v", secret, err)
		}
	}
	if after := fmt.Sprint(w.properties(path)); after != before {
		t.Errorf("the connection was\n%s and is\n%s", before, after)
	}
}

// A server that is not there, or has another's certificate, ends it.
func TestOpenVPNWrongServer(t *testing.T) {
	w := newWorld(t)
	pki := newAuthority(t)
	path := w.create("openvpn", withCertificate(newAuthority(t), "OpenVPN.Proto", "tcp"))
	if err := w.connect(path); err == nil {
		t.Error("connected to nobody")
	}
	w.serveOpenVPN(pki, nil, "--proto", "tcp-server")
	if err := w.connect(path); err == nil {
		t.Error("connected to a stranger")
	}
	must(t, w.call(path, "Connection.SetProperty", "OpenVPN.CACert", dbus.MakeVariant("/nonexistent")).Err)
	if err := w.connect(path); err == nil {
		t.Error("connected without an authority")
	}
	if log, err := os.ReadFile(w.daemon.Log); err != nil || !strings.Contains(string(log), "--ca fails with '/nonexistent'") {
		t.Errorf("the log does not say why: %v", err)
	}
	w.leavesNothing()
}
