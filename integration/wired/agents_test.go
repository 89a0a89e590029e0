//go:build netns

package wired

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

const agentPath = dbus.ObjectPath("/agent")

// agent speaks with the user; here the test is the user.
type agent struct {
	reports  chan string
	answers  chan error
	cancels  chan struct{}
	releases chan struct{}
}

func (a *agent) ReportError(service dbus.ObjectPath, reason string) *dbus.Error {
	a.reports <- fmt.Sprint(service, " ", reason)
	if err := <-a.answers; err != nil {
		return dbus.NewError(err.Error(), nil)
	}
	return nil
}

func (a *agent) Cancel() *dbus.Error  { a.cancels <- struct{}{}; return nil }
func (a *agent) Release() *dbus.Error { a.releases <- struct{}{}; return nil }

// errRetry is how an agent asks for another try.
var errRetry = dbus.NewError("net.connman.Agent.Error.Retry", nil)

// newAgent registers an agent of a program of its own.
func (w *world) newAgent() (*agent, *dbus.Conn) {
	w.t.Helper()
	conn, err := w.Bus.Connect()
	must(w.t, err)
	w.t.Cleanup(func() { conn.Close() })
	a := &agent{
		reports: make(chan string, 1), answers: make(chan error, 1),
		cancels: make(chan struct{}, 1), releases: make(chan struct{}, 1),
	}
	w.t.Cleanup(func() { close(a.answers) }) // whoever still waits
	must(w.t, conn.Export(a, agentPath, "net.connman.Agent"))
	must(w.t, conn.Object("net.connman", managerPath).Call("net.connman.Manager.RegisterAgent", 0, agentPath).Err)
	return a, conn
}

// await returns what arrives within the deadline.
func await[T any](t *testing.T, what string, from <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(patience):
		t.Fatalf("%s did not come within %v", what, patience)
	}
	return got
}

// connectInVain lets the user connect a service whose router has the address of
// everyone, which the kernel refuses; the result is the answer to Connect.
func (w *world) connectInVain() (result chan error) {
	w.t.Helper()
	w.do(w.servicePath(0), "Service.Disconnect")
	w.set(0, "IPv4.Configuration", manual("10.77.3.3", "255.255.240.0", "10.77.15.255"))
	result = make(chan error, 1)
	go func() { result <- w.call(w.servicePath(0), "net.connman.Service.Connect").Err }()
	return result
}

// TestAgentsRegisterOnce holds for both daemons.
func TestAgentsRegisterOnce(t *testing.T) {
	t.Parallel()
	for _, m := range []lab.Manager{lab.Ours(), lab.Reference()} {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, nil)
			w.run(m)
			_, other := w.newAgent()
			register := func(want string, path dbus.ObjectPath) {
				t.Helper()
				err := w.call(managerPath, "net.connman.Manager.RegisterAgent", path).Err
				must(t, expect("RegisterAgent", strings.TrimPrefix(answerOf(err), "net.connman.Error."), want))
			}
			unregister := func(want string, path dbus.ObjectPath) {
				t.Helper()
				err := w.call(managerPath, "net.connman.Manager.UnregisterAgent", path).Err
				must(t, expect("UnregisterAgent", strings.TrimPrefix(answerOf(err), "net.connman.Error."), want))
			}
			unregister("NotRegistered", agentPath)
			register("", agentPath)
			register("AlreadyExists", agentPath)
			register("AlreadyExists", "/other")
			unregister("", "/other") // a program has one, whatever it calls it
			unregister("NotRegistered", agentPath)
			must(t, other.Object("net.connman", managerPath).Call("net.connman.Manager.UnregisterAgent", 0, agentPath).Err)
		})
	}
}

func TestAgentIsReleasedWhenTheDaemonEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	a, _ := w.newAgent()
	w.end()
	await(t, "Release", a.releases)
}

func TestUserRetriesThroughTheAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	a, _ := w.newAgent()
	result := w.connectInVain()
	must(t, expect("report", await(t, "ReportError", a.reports), string(w.servicePath(0))+" connect-failed"))
	p := w.service(0)
	must(t, expect("State", text(p["State"]), "failure"))
	must(t, expect("Error", text(p["Error"]), "connect-failed"))
	w.set(0, "IPv4.Configuration", manual("10.77.3.3", "255.255.240.0", "10.77.0.1"))
	a.answers <- errRetry
	must(t, await(t, "the answer to Connect", result))
	w.untilAddress(0, "10.77.3.3/20")
	must(t, expect("Error", text(w.service(0)["Error"]), ""))
}

func TestUserDeclinesToRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	a, _ := w.newAgent()
	result := w.connectInVain()
	await(t, "ReportError", a.reports)
	a.answers <- nil
	must(t, expect("answer", answerOf(await(t, "the answer to Connect", result)), "net.connman.Error.Failed"))
	w.untilState(0, "idle")
}

func TestSilentAgentIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.configure("[General]\nInputRequestTimeout=1\n")
	w.startOnline()
	a, _ := w.newAgent()
	result := w.connectInVain()
	await(t, "ReportError", a.reports)
	await(t, "Cancel", a.cancels)
	must(t, expect("answer", answerOf(await(t, "the answer to Connect", result)), "net.connman.Error.Failed"))
}

func TestAgentThatDiesLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	a, conn := w.newAgent()
	result := w.connectInVain()
	await(t, "ReportError", a.reports)
	must(t, conn.Close())
	must(t, expect("answer", answerOf(await(t, "the answer to Connect", result)), "net.connman.Error.Failed"))
	// Its place is free for the next.
	next, _ := w.newAgent()
	go func() { result <- w.call(w.servicePath(0), "net.connman.Service.Connect").Err }()
	await(t, "ReportError", next.reports)
	next.answers <- nil
	await(t, "the answer to Connect", result)
}

func TestConnectFailsAtOnceWithoutAnAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	result := w.connectInVain()
	must(t, expect("answer", answerOf(await(t, "the answer to Connect", result)), "net.connman.Error.Failed"))
	w.untilState(0, "failure")
	w.untilLogged("cannot configure link", "eth0")
	w.set(0, "AutoConnect", false) // or it would try again by itself
	w.do(w.servicePath(0), "Service.ClearProperty", "Error")
	must(t, expect("State", text(w.service(0)["State"]), "idle"))
	must(t, expect("Error", text(w.service(0)["Error"]), ""))
}
