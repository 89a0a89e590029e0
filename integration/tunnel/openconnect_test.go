//go:build netns

package tunnel

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"net.connman/integration/lab"
)

// ocserv is a server of OpenConnect's.
type ocserv struct {
	*lab.Process
	authority *authority
	cert      string
}

// startOcserv runs a server; more are lines of its configuration.
func (w *world) startOcserv(more ...string) *ocserv {
	w.t.Helper()
	s := &ocserv{authority: newAuthority(w.t)}
	cert, key := s.authority.issue(serverIP, true)
	s.cert = cert
	const dir = "/run/ocserv" // where its workers, who are nobody, get at it
	must(w.t, os.MkdirAll(w.server.Path(dir), 0o755))
	w.ocservPassword(password)
	config := strings.NewReplacer("DIR", dir, "USERS", ocservUsers, "CERT", cert, "KEY", key, "CA", s.authority.CA).Replace(
		strings.Join(append(more, `listen-host = `+serverIP+`
tcp-port = 443
udp-port = 443
run-as-user = nobody
run-as-group = nogroup
socket-file = DIR/socket
pid-file = DIR/pid
server-cert = CERT
server-key = KEY
ca-cert = CA
cert-user-oid = 2.5.4.3
isolate-workers = false
use-occtl = false
max-clients = 8
keepalive = 30
dpd = 5
cookie-timeout = 300
max-ban-score = 0
device = vpns
default-domain = corp.test
ipv4-network = 192.168.99.0/24
ipv6-network = fd99::/64
dns = 192.168.99.1
route = 10.10.0.0/255.255.0.0
route = fd98::/64
cisco-client-compat = true
`), "\n"))
	file := filepath.Join(dir, "ocserv.conf")
	must(w.t, os.WriteFile(w.server.Path(file), []byte(config), 0o644))
	var err error
	s.Process, err = w.server.Start(exec.Command(peer("ocserv/usr/sbin/ocserv"), "--foreground", "--config", file))
	must(w.t, err)
	w.listening("443")
	return s
}

const ocservUsers = "/run/ocserv/users"

// ocservPassword has servers know the user by that password.
func (w *world) ocservPassword(password string) {
	w.t.Helper()
	cmd := exec.Command(peer("ocserv/usr/bin/ocpasswd"), "-c", w.server.Path(ocservUsers), "-g", "staff,guest", userName)
	cmd.Stdin = strings.NewReader(password + "\n" + password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("ocpasswd: %v\n%s", err, out)
	}
}

// listening waits until the server listens on a TCP port.
func (w *world) listening(port string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		out, err := w.server.Output(exec.Command("ss", "-Hltn", "sport", "=", ":"+port))
		if err == nil && len(out) == 0 {
			err = fmt.Errorf("nobody listens on %s", port)
		}
		return err
	}))
}

const byPassword = `auth = "plain[passwd=USERS]"`

// TestOpenConnectPassword connects with what the agent says and has it saved,
// sends something through the tunnel and takes it down.
func TestOpenConnectPassword(t *testing.T) {
	w := newWorld(t)
	s := w.startOcserv(byPassword)
	for _, authType := range []string{"userpass", "cookie_with_userpass"} {
		w.agent.will(map[string]string{"Username": userName, "Password": password, "SaveCredentials": "true"})
		c := w.create("openconnect", map[string]string{
			"OpenConnect.AuthType": authType, "OpenConnect.CACert": s.authority.CA,
		})
		must(t, w.connect(c))
		p := w.properties(c)
		if got := p["State"].Value(); got != "ready" {
			t.Error("state", got)
		}
		for _, what := range []string{"IPv4", "Nameservers", "ServerRoutes"} {
			t.Log(what, p[what])
		}
		if !strings.Contains(p["ServerRoutes"].String(), "10.10.0.0") || !strings.Contains(p["Nameservers"].String(), "192.168.99.1") {
			t.Error("the server's configuration is missing", p)
		}
		w.configure(c)
		w.route(c, "192.168.99.1/32")
		w.passes("192.168.99.1")
		w.secretsKept(password)
		if strings.Contains(fmt.Sprint(p), password) {
			t.Error("the password is shown")
		}
		must(t, w.call(c, "Connection.Disconnect").Err)
		w.untilState(c, "idle")
		w.leavesNothing()

		// It was saved: nobody is asked.
		w.agent.will()
		must(t, w.connect(c))
		if asked := w.agent.questions(); len(asked) > 0 {
			t.Error("asked again", asked)
		}
		w.remove(c)
	}
}

// TestOpenConnectWrongPassword has the user say it wrong, and then right.
func TestOpenConnectWrongPassword(t *testing.T) {
	w := newWorld(t)
	s := w.startOcserv(byPassword)
	c := w.create("openconnect", map[string]string{
		"OpenConnect.AuthType": "userpass", "OpenConnect.CACert": s.authority.CA,
	})
	w.agent.will(map[string]string{"Username": userName, "Password": "rabbit-hole"})
	err := w.connect(c)
	if !isError(err, "PermissionDenied") {
		t.Error(err)
	}
	w.untilState(c, "failure")
	w.leavesNothing()
	w.agent.will(map[string]string{"Username": userName, "Password": password})
	must(t, w.connect(c))
	if asked := w.agent.questions(); len(asked) != 1 || asked[0]["VpnAgent.AuthFailure"] == nil {
		t.Error("the agent was not told of the failure", asked)
	}
}

// TestOpenConnectGroups has the user choose one of the server's groups, or finds
// it in the settings.
func TestOpenConnectGroups(t *testing.T) {
	w := newWorld(t)
	s := w.startOcserv(byPassword, "select-group = staff", "select-group = guest", "auto-select-group = false")
	settings := map[string]string{"OpenConnect.AuthType": "userpass", "OpenConnect.CACert": s.authority.CA}
	c := w.create("openconnect", settings)
	w.agent.will(map[string]string{"Username": userName, "Password": password, "OpenConnect.Group": "guest"})
	must(t, w.connect(c))
	asked := w.agent.questions()
	if len(asked) != 2 || !strings.Contains(asked[1]["OpenConnect.Group"]["Value"].String(), "staff|guest") {
		t.Error("not asked for the group", asked)
	}
	w.remove(c)
	settings["OpenConnect.Group"] = "staff"
	c = w.create("openconnect", settings)
	must(t, w.connect(c))
	w.remove(c)
	settings["OpenConnect.Group"] = "nobody"
	c = w.create("openconnect", settings)
	if err := w.connect(c); !isError(err, "PermissionDenied") || !strings.Contains(err.Error(), "group") {
		t.Error(err)
	}
}

// The first passwords of RFC 4226's example, appendix D.
const (
	oneTimeSecret = "3132333435363738393031323334353637383930"
	firstOneTime  = "755224"
	secondOneTime = "287082"
)

// TestOpenConnectSecondPassword asks for the second factor that the server wants
// besides the password: beforehand, where the settings say so, or when the server
// does.
func TestOpenConnectSecondPassword(t *testing.T) {
	w := newWorld(t)
	must(t, os.MkdirAll(w.server.Path("/run/ocserv"), 0o755))
	must(t, w.server.WriteFile("/run/ocserv/otp", "HOTP "+userName+" - "+oneTimeSecret+"\n"))
	s := w.startOcserv(`auth = "plain[passwd=USERS,otp=DIR/otp]"`)
	settings := map[string]string{"OpenConnect.AuthType": "userpass", "OpenConnect.CACert": s.authority.CA}
	c := w.create("openconnect", settings)
	w.agent.will(map[string]string{"Username": userName, "Password": password, "OpenConnect.SecondPassword": firstOneTime})
	must(t, w.connect(c))
	if asked := w.agent.questions(); len(asked) != 2 || asked[0]["OpenConnect.SecondPassword"] != nil {
		t.Error("not asked as the server does", asked)
	}
	w.remove(c)
	settings["OpenConnect.UseSecondPassword"] = "true"
	c = w.create("openconnect", settings)
	w.agent.will(map[string]string{"Username": userName, "Password": password, "OpenConnect.SecondPassword": secondOneTime})
	must(t, w.connect(c))
	if asked := w.agent.questions(); len(asked) != 1 {
		t.Error("asked more than once", asked)
	}
	w.secretsKept(firstOneTime, secondOneTime)
}

// TestOpenConnectCertificates has the server known by its certificate only, or
// not at all, and the user by his.
func TestOpenConnectCertificates(t *testing.T) {
	w := newWorld(t)
	s := w.startOcserv(byPassword, `enable-auth = "certificate"`)
	cert, key := s.authority.issue(userName, false)
	answer := map[string]string{"Username": userName, "Password": password}
	for _, test := range []struct {
		name     string
		settings map[string]string
		want     string // part of the error, "" if there is none
	}{
		{"unknown server", map[string]string{"OpenConnect.AuthType": "userpass"}, "certificate"},
		{"any server", map[string]string{"OpenConnect.AuthType": "userpass", "OpenConnect.AllowSelfSignedCert": "true"}, ""},
		{"pinned server", map[string]string{
			"OpenConnect.AuthType": "userpass", "OpenConnect.AllowSelfSignedCert": "true", "OpenConnect.ServerCert": pin(t, s.cert),
		}, ""},
		{"another server", map[string]string{
			"OpenConnect.AuthType": "userpass", "OpenConnect.AllowSelfSignedCert": "true", "OpenConnect.ServerCert": pin(t, cert),
			"OpenConnect.CACert": s.authority.CA,
		}, "HTTPS"},
		{"user's certificate", map[string]string{
			"OpenConnect.AuthType": "publickey", "OpenConnect.ClientCert": cert, "OpenConnect.UserPrivateKey": key,
			"OpenConnect.CACert": s.authority.CA,
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.agent.will(answer)
			c := w.create("openconnect", test.settings)
			err := w.connect(c)
			if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Error(err)
			}
			w.remove(c)
		})
	}
}

// TestOpenConnectServerGone has the server go away and come back: the tunnel
// does, too.
func TestOpenConnectServerGone(t *testing.T) {
	w := newWorld(t)
	s := w.startOcserv(byPassword)
	w.agent.will(map[string]string{"Username": userName, "Password": password})
	c := w.create("openconnect", map[string]string{
		"OpenConnect.AuthType": "userpass", "OpenConnect.CACert": s.authority.CA,
	})
	must(t, w.connect(c))
	s.Kill()
	w.untilState(c, "configuration")
	must(t, w.call(c, "Connection.Disconnect").Err)
	w.untilState(c, "idle")
	w.leavesNothing()
	if err := w.connect(c); err == nil {
		t.Error("connected to nobody")
	}
	w.untilState(c, "failure")
	w.leavesNothing()
}

// TestOpenConnectDaemonKilled kills the daemon with a tunnel up: the kernel ends
// the program, the daemon's next run takes away the rest.
func TestOpenConnectDaemonKilled(t *testing.T) {
	w := newWorld(t)
	s := w.startOcserv(byPassword)
	w.agent.will(map[string]string{"Username": userName, "Password": password})
	c := w.create("openconnect", map[string]string{
		"OpenConnect.AuthType": "userpass", "OpenConnect.CACert": s.authority.CA,
	})
	must(t, w.connect(c))
	w.daemon.Kill()
	w.await(false)
	w.start()
	w.leavesNothing()
	w.register()
	must(t, w.connect(c))
}
