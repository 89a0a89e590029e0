//go:build netns || vm

package tunnel

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

const agentPath = dbus.ObjectPath("/agent")

// agent answers questions as the test wants.
type agent struct {
	mu      sync.Mutex
	answers []map[string]string // one for each question; the last one stays
	asked   []map[string]map[string]dbus.Variant
	errors  []string
	retries int           // how often the user wants to try again
	busy    chan struct{} // questions wait until it is closed
	said    []string      // the secrets that were ever told
}

func newAgent(w *world) *agent {
	a := &agent{}
	must(w.t, w.conn.Export(a, agentPath, vpnName+".Agent"))
	w.register()
	return a
}

// register makes the agent known, also to a daemon that was restarted.
func (w *world) register() {
	w.t.Helper()
	must(w.t, w.call(managerPath, "Manager.RegisterAgent", agentPath).Err)
}

// will has the agent give these answers, one after the other.
func (a *agent) will(answers ...map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers, a.asked, a.errors = answers, nil, nil
}

// hesitate has the agent think about its answers until release.
func (a *agent) hesitate() (release func()) {
	a.will()
	a.mu.Lock()
	defer a.mu.Unlock()
	busy := make(chan struct{})
	a.busy = busy
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.busy = nil
		close(busy)
	}
}

// isAsked waits until there is a question.
func (a *agent) isAsked(t testing.TB) {
	t.Helper()
	must(t, lab.Eventually(patience, func() error {
		if len(a.questions()) == 0 {
			return errors.New("no question")
		}
		return nil
	}))
}

// questions are what was asked since will.
func (a *agent) questions() []map[string]map[string]dbus.Variant {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// retry has the user try again so often when something went wrong.
func (a *agent) retry(times int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.retries = times
}

// reported is what went wrong since will.
func (a *agent) reported() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.errors
}

// secrets are all that were told, but for those so short that they could be part
// of anything.
func (a *agent) secrets() (long []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.said {
		if len(s) >= 6 {
			long = append(long, s)
		}
	}
	return long
}

// RequestInput is net.connman.vpn.Agent's.
func (a *agent) RequestInput(_ dbus.ObjectPath, fields map[string]dbus.Variant) (map[string]dbus.Variant, *dbus.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	about := make(map[string]map[string]dbus.Variant)
	for name, field := range fields {
		about[name], _ = field.Value().(map[string]dbus.Variant)
	}
	a.asked = append(a.asked, about)
	if busy := a.busy; busy != nil {
		a.mu.Unlock()
		<-busy
		a.mu.Lock()
	}
	if len(a.answers) == 0 {
		return nil, dbus.NewError(vpnName+".Agent.Error.Canceled", nil)
	}
	answer := make(map[string]dbus.Variant)
	for key, value := range a.answers[0] {
		if key == "SaveCredentials" {
			answer[key] = dbus.MakeVariant(value == "true")
		} else {
			answer[key] = dbus.MakeVariant(value)
		}
		if strings.HasSuffix(key, "assword") || strings.HasSuffix(key, "Secret") || strings.HasSuffix(key, "Response") {
			a.said = append(a.said, value)
		}
	}
	if len(a.answers) > 1 {
		a.answers = a.answers[1:]
	}
	return answer, nil
}

// ReportError is net.connman.vpn.Agent's.
func (a *agent) ReportError(_ dbus.ObjectPath, reason string) *dbus.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.errors = append(a.errors, reason)
	if a.retries > 0 {
		a.retries--
		return dbus.NewError(vpnName+".Agent.Error.Retry", nil)
	}
	return nil
}

// Cancel is net.connman.vpn.Agent's.
func (a *agent) Cancel() *dbus.Error { return nil }

// Release is net.connman.vpn.Agent's.
func (a *agent) Release() *dbus.Error { return nil }
