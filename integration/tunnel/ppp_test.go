//go:build vm

package tunnel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"net.connman/integration/lab"
)

const (
	// The ends of the tunnels.
	farEnd  = "10.60.0.1"
	nearEnd = "10.60.0.1" // and another digit
)

// place puts a program of the peers' where others look for it. The machine's
// file system is a layer in memory.
func place(t *testing.T, program, at string) {
	t.Helper()
	if err := os.Symlink(peer(program), at); !errors.Is(err, fs.ErrExist) {
		must(t, err)
	}
}

// pppServer has the server's host know the user, and what pppd does for him. more
// are pppd's options.
func (w *world) pppServer(more ...string) (options string) {
	w.t.Helper()
	// Below /run, since a host's /etc is partly the machine's own; pppd looks for
	// secrets in /etc/ppp.
	must(w.t, os.MkdirAll(w.server.Path("/run/ppp"), 0o755))
	must(w.t, w.server.WriteFile("/run/ppp/chap-secrets", userName+" * "+password+" *\n"))
	must(w.t, w.server.Do(func() error {
		if err := os.MkdirAll("/etc/ppp", 0o755); err != nil {
			return err
		}
		return bindMount("/run/ppp", "/etc/ppp")
	}))
	text := strings.Join(append([]string{
		"auth", "require-mschap-v2", "name server", "ms-dns 10.60.0.53", "lcp-echo-interval 20", "lcp-echo-failure 5",
		"nodefaultroute", "nobsdcomp", "nodeflate", "logfd 2",
	}, more...), "\n") + "\n"
	must(w.t, w.server.WriteFile("/run/ppp/server-options", text))
	return "/run/ppp/server-options"
}

// startL2TP runs a server of L2TP's.
func (w *world) startL2TP() {
	w.t.Helper()
	place(w.t.(*testing.T), "xl2tpd/usr/sbin/xl2tpd", "/usr/sbin/xl2tpd")
	options := w.pppServer()
	must(w.t, w.server.WriteFile("/run/server.conf", `[global]
listen-addr = `+serverIP+`
port = 1701
[lns default]
ip range = 10.60.0.10-10.60.0.19
local ip = `+farEnd+`
require chap = yes
refuse pap = yes
require authentication = yes
name = server
pppoptfile = `+options+`
`))
	cmd := exec.Command("/usr/sbin/xl2tpd", "-D", "-c", "/run/server.conf", "-C", "/run/server-control", "-p", "/run/server.pid")
	_, err := w.server.Start(cmd)
	must(w.t, err)
	must(w.t, lab.Eventually(patience, func() error {
		out, err := w.server.Output(exec.Command("ss", "-Hlun", "sport", "=", ":1701"))
		if err == nil && len(out) == 0 {
			err = errors.New("nobody listens for L2TP")
		}
		return err
	}))
}

// startPPTP runs a server of PPTP's.
func (w *world) startPPTP() {
	w.t.Helper()
	place(w.t.(*testing.T), "pptpd/usr/sbin/pptpctrl", "/usr/sbin/pptpctrl")
	options := w.pppServer("require-mppe-128")
	must(w.t, w.server.WriteFile("/run/pptpd.conf", "option "+options+"\nlocalip "+farEnd+"\nremoteip 10.60.0.10-19\nnologwtmp\n"))
	_, err := w.server.Start(exec.Command(peer("pptpd/usr/sbin/pptpd"), "--fg", "--conf", "/run/pptpd.conf", "--listen", serverIP, "--pidfile", "/run/pptpd.pid"))
	must(w.t, err)
	must(w.t, lab.Eventually(patience, func() error {
		out, err := w.server.Output(exec.Command("ss", "-Hltn", "sport", "=", ":1723"))
		if err == nil && len(out) == 0 {
			err = errors.New("nobody listens for PPTP")
		}
		return err
	}))
}

// pppKinds are the two types that pppd carries.
var pppKinds = []struct {
	typ      string
	start    func(*world)
	settings map[string]string
	redials  bool // the program connects again by itself
}{
	{"l2tp", (*world).startL2TP, map[string]string{
		"L2TP.RequireCHAP": "yes", "L2TP.RedialTimeout": "2", "PPPD.EchoInterval": "2", "PPPD.EchoFailure": "4",
	}, true},
	{"pptp", (*world).startPPTP, map[string]string{
		"PPPD.RequirMPPE128": "true", "PPPD.RefuseEAP": "true", "PPPD.EchoInterval": "2", "PPPD.EchoFailure": "4",
	}, false},
}

// The machine is emulated.
func init() { patience = 4 * time.Minute }

// tries tries some times: pppd gives up after half a minute, which may be too
// soon for an emulated machine.
func (w *world) tries(connect func() error) (err error) {
	for range 3 {
		if err = connect(); err == nil {
			return nil
		}
	}
	return err
}

// TestPPP connects with what the agent says and has it saved, sends something
// through the tunnel, takes it down, and is refused with a wrong password.
func TestPPP(t *testing.T) {
	for _, kind := range pppKinds {
		t.Run(kind.typ, func(t *testing.T) {
			w := newWorld(t)
			kind.start(w)
			c := w.create(kind.typ, kind.settings)
			w.agent.will(map[string]string{"Username": userName, "Password": "rabbit-hole"})
			must(t, w.tries(func() error {
				if err := w.connect(c); !isError(err, "PermissionDenied") {
					return fmt.Errorf("with a wrong password: %w", err)
				}
				return nil
			}))
			w.untilState(c, "failure")
			w.leavesNothing()

			w.agent.will(map[string]string{"Username": userName, "Password": password, "SaveCredentials": "true"})
			must(t, w.tries(func() error { return w.connect(c) }))
			if asked := w.agent.questions(); len(asked) < 1 || asked[0]["VpnAgent.AuthFailure"] == nil {
				t.Error("the agent was not told of the failure", asked)
			}
			p := w.properties(c)
			if !strings.Contains(p["IPv4"].String(), nearEnd) || !strings.Contains(p["IPv4"].String(), serverIP) ||
				!strings.Contains(p["Nameservers"].String(), "10.60.0.53") {
				t.Error("the server's configuration is missing", p)
			}
			w.passes(farEnd)
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
			w.daemon.Kill()
			w.await(false)
			w.start()
			w.leavesNothing()
			w.register()

			// The way to the server is lost: the tunnel does not stay ready.
			must(t, w.connect(c))
			must(t, w.far.Down())
			must(t, lab.Eventually(patience, func() error {
				if now := w.properties(c)["State"].Value(); now == "ready" {
					return errors.New("the connection is still ready")
				}
				return nil
			}))
			must(t, w.far.Up())
			if kind.redials {
				w.untilState(c, "ready")
				w.passes(farEnd)
			} else {
				w.untilState(c, "idle")
			}
			w.remove(c)
		})
	}
}

// TestL2TPGivesUp loses the way to the server of a tunnel that xl2tpd makes no more,
// or only so often: it ends by itself, though xl2tpd would stay.
func TestL2TPGivesUp(t *testing.T) {
	for name, test := range map[string]struct {
		settings map[string]string
		state    string // in the end
	}{
		"no redial": {map[string]string{"L2TP.Redial": "no"}, "idle"},
		// To xl2tpd the first connection is two.
		"two redials": {map[string]string{"L2TP.RedialTimeout": "1", "L2TP.MaxRedials": "2"}, "failure"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.startL2TP()
			test.settings["L2TP.RequireCHAP"] = "yes"
			test.settings["PPPD.EchoInterval"], test.settings["PPPD.EchoFailure"] = "2", "4"
			c := w.create("l2tp", test.settings)
			w.agent.will(map[string]string{"Username": userName, "Password": password})
			must(t, w.tries(func() error { return w.connect(c) }))
			must(t, w.far.Down())
			w.untilState(c, test.state)
			w.leavesNothing()
			w.remove(c)
		})
	}
}
