//go:build netns

package tunnel

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

// userServer is a server that knows a user by his password.
type userServer struct {
	*lab.Process
	settings map[string]string // of a connection to it
	change   func(to string)   // the password
}

// userKinds are the types that have such servers.
var userKinds = []struct {
	typ   string
	serve func(*world) userServer
	// login is an answer of the user's.
	login func(password string) map[string]string
	// saved are the settings that stand for such an answer.
	saved func(password string) map[string]string
	// asksAgain says that the program asks again when a password is wrong.
	asksAgain bool
}{
	{"openvpn", func(w *world) userServer {
		var right atomic.Value
		right.Store(password)
		pki := newAuthority(w.t)
		s := w.serveOpenVPN(pki, func(l login) string {
			if l.user == userName && l.password == right.Load() {
				return accept
			}
			return refuse + "not you"
		}, "--proto", "tcp-server")
		return userServer{s.process, withPassword(pki, "OpenVPN.Proto", "tcp"), func(to string) { right.Store(to) }}
	}, func(password string) map[string]string {
		return map[string]string{"OpenVPN.Username": userName, "OpenVPN.Password": password}
	}, func(password string) map[string]string {
		return map[string]string{"OpenVPN.Username": userName, "OpenVPN.Password": password}
	}, true},
	{"openconnect", func(w *world) userServer {
		s := w.startOcserv(byPassword)
		settings := map[string]string{"OpenConnect.AuthType": "userpass", "OpenConnect.CACert": s.authority.CA}
		return userServer{s.Process, settings, w.ocservPassword}
	}, func(password string) map[string]string {
		return map[string]string{"Username": userName, "Password": password}
	}, func(password string) map[string]string {
		return map[string]string{"OpenConnect.Username": userName, "OpenConnect.Password": password}
	}, false},
}

// TestAgentRetries has the agent of whoever connects tell the user that it failed,
// and the user try again. Another's agent hears nothing of it.
func TestAgentRetries(t *testing.T) {
	for _, kind := range userKinds {
		t.Run(kind.typ, func(t *testing.T) {
			w := newWorld(t)
			server := kind.serve(w)
			path := w.create(kind.typ, server.settings)
			w.agent.will(kind.login("rabbit-hole"), kind.login(password))
			w.agent.retry(1)
			must(t, w.connect(path))
			asked, reported := w.agent.questions(), w.agent.reported()
			if len(asked) != 2 || asked[1]["VpnAgent.AuthFailure"] == nil {
				t.Errorf("asked %v", asked)
			}
			if want := []string{"auth-failed"}; !kind.asksAgain && !slices.Equal(reported, want) {
				t.Errorf("told %q, want %q", reported, want)
			}
			must(t, w.call(path, "Connection.Disconnect").Err)
			w.untilState(path, "idle")
			w.leavesNothing()

			// Nobody is there. The user tries twice.
			server.Kill()
			w.agent.will(kind.login(password))
			w.agent.retry(2)
			if err := w.connect(path); err == nil {
				t.Error("connected to nobody")
			}
			if got, want := w.agent.reported(), slices.Repeat([]string{"connect-failed"}, 3); !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
			w.untilState(path, "failure")
			w.leavesNothing()

			// Who connects now has no agent of his own: nobody is told.
			other, err := w.bus.Connect()
			must(t, err)
			defer other.Close()
			w.agent.will(kind.login(password))
			if err := w.call(path, "Connection.Connect2", other.Names()[0]).Err; err == nil {
				t.Error("connected to nobody")
			}
			if got := w.agent.reported(); len(got) != 0 {
				t.Errorf("another's agent is told %q", got)
			}
			w.leavesNothing()
		})
	}
}

// TestAuthErrorLimit has a server refuse the password that it took before: so
// often the user is not asked for another one.
func TestAuthErrorLimit(t *testing.T) {
	const limit = 2
	for _, kind := range userKinds {
		t.Run(kind.typ, func(t *testing.T) {
			w := newWorld(t)
			server := kind.serve(w)
			settings := merge(server.settings, "AuthErrorLimit", fmt.Sprint(limit))
			for key, value := range kind.saved(password) {
				settings[key] = value
			}
			path := w.create(kind.typ, settings)
			w.agent.will()
			must(t, w.connect(path))
			must(t, w.call(path, "Connection.Disconnect").Err)
			w.untilState(path, "idle")
			server.change("jabberwock")
			for try := range limit {
				if err := w.connect(path); !isError(err, "PermissionDenied") {
					t.Errorf("try %d: %v", try+1, err)
				}
				w.untilState(path, "failure")
				w.leavesNothing()
				if asked := w.agent.questions(); len(asked) != 0 {
					t.Fatalf("try %d: asked %v", try+1, asked)
				}
			}
			w.agent.will(kind.login("jabberwock"))
			w.agent.retry(1)
			must(t, w.connect(path))
			if asked := w.agent.questions(); len(asked) != 1 || asked[0]["VpnAgent.AuthFailure"] == nil {
				t.Errorf("asked %v", asked)
			}
			w.secretsKept(password)
		})
	}
}

// TestAgentGoes has the user say no, the agent leave while it is asked, and the
// user disconnect meanwhile: nothing stays, nobody waits.
func TestAgentGoes(t *testing.T) {
	for _, kind := range userKinds {
		t.Run(kind.typ, func(t *testing.T) {
			w := newWorld(t)
			path := w.create(kind.typ, kind.serve(w).settings)
			w.agent.will() // he does not want to
			if err := w.connect(path); !isError(err, "OperationCanceled") {
				t.Errorf("the user says no: %v", err)
			}
			w.untilState(path, "idle")
			w.leavesNothing()

			for what, leave := range map[string]struct {
				away func()
				err  string
			}{
				"the agent unregisters": {func() { must(t, w.call(managerPath, "Manager.UnregisterAgent", agentPath).Err) }, "NotRegistered"},
				"the user disconnects":  {func() { must(t, w.call(path, "Connection.Disconnect").Err) }, "OperationAborted"},
			} {
				release := w.agent.hesitate()
				reply := w.conn.Object(vpnName, path).Go(vpnName+".Connection.Connect", 0, make(chan *dbus.Call, 1))
				w.agent.isAsked(t)
				leave.away()
				if err := (<-reply.Done).Err; !isError(err, leave.err) {
					t.Errorf("%s: %v", what, err)
				}
				must(t, lab.Eventually(patience, func() error {
					if state := w.properties(path)["State"].Value(); state != "idle" && state != "failure" {
						return fmt.Errorf("%s: the connection is %v", what, state)
					}
					return nil
				}))
				w.leavesNothing()
				release()
				_ = w.call(managerPath, "Manager.RegisterAgent", agentPath)
			}

			// An agent whose program dies.
			other, err := w.bus.Connect()
			must(t, err)
			defer other.Close()
			quiet := &agent{}
			release := quiet.hesitate()
			defer release()
			must(t, other.Export(quiet, agentPath, vpnName+".Agent"))
			must(t, other.Object(vpnName, managerPath).Call(vpnName+".Manager.RegisterAgent", 0, agentPath).Err)
			reply := w.conn.Object(vpnName, path).Go(vpnName+".Connection.Connect2", 0, make(chan *dbus.Call, 1), other.Names()[0])
			quiet.isAsked(t)
			other.Close()
			if err := (<-reply.Done).Err; err == nil {
				t.Error("connected without an agent")
			}
			w.leavesNothing()
			w.agent.will(kind.login(password))
			must(t, w.connect(path))
		})
	}
}
