package core

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// crowd is a world with three protected networks and an agent.
func crowd(t *testing.T, test func(w *world, nets []*Network)) {
	inWorld(t, defaults(), func(w *world) {
		a := w.radio()
		w.withAgent()
		var nets []*Network
		for i := range 3 {
			nets = append(nets, a.hear(fmt.Sprint("net ", i), SecurityPSK))
		}
		test(w, nets)
	})
}

// asked lists what the agents were asked since the last time.
func (w *world) asked() string {
	all := strings.Join(w.agent.asked, ", ")
	w.agent.asked = nil
	return all
}

// An agent is asked one thing at a time; what is not wanted any more is never
// asked.
func TestOneQuestionAtATime(t *testing.T) {
	crowd(t, func(w *world, nets []*Network) {
		results := []*error{w.connect(nets[0]), w.connect(nets[1]), w.connect(nets[2])}
		if got, want := w.asked(), nets[0].ServiceID()+" input"; got != want {
			t.Fatalf("asked %s, want %s", got, want)
		}
		w.do(nets[1].Remove)
		if !errors.Is(*results[1], ErrAborted) || w.agent.input == nil {
			t.Errorf("network gone: answer %v, question withdrawn %t", *results[1], w.agent.input == nil)
		}
		w.say(Input{}, ErrAborted)
		if got, want := w.asked(), nets[2].ServiceID()+" input"; got != want {
			t.Errorf("then asked %s, want %s", got, want)
		}
		w.do(func() { nets[2].service.Disconnect(func(error) {}) })
		if w.agent.input != nil || !errors.Is(*results[2], ErrAborted) {
			t.Errorf("withdrawn %t, answer %v", w.agent.input == nil, *results[2])
		}
		w.connect(nets[0])
		if got, want := w.asked(), nets[0].ServiceID()+" input"; got != want {
			t.Errorf("at last asked %s, want %s", got, want)
		}
	})
}

// With their agent all questions go, those included that it never heard.
func TestAgentGoesWithQuestions(t *testing.T) {
	for name, leave := range map[string]func(*Manager){
		"unregistered":    func(m *Manager) { _ = m.UnregisterAgent(":1.9") },
		"gone":            func(m *Manager) { m.AgentGone(":1.9") },
		"somebody's gone": func(m *Manager) { m.AgentGone(":1.10") },
	} {
		crowd(t, func(w *world, nets []*Network) {
			first, second := w.connect(nets[0]), w.connect(nets[1])
			w.do(func() { leave(w.m) })
			stays := name == "somebody's gone"
			if errors.Is(*second, ErrAborted) == stays {
				t.Errorf("%s: answer to the one in wait %v", name, *second)
			}
			w.say(Input{}, ErrTimeout) // as the bus has it
			if !errors.Is(*first, ErrTimeout) || (w.agent.input != nil) != stays {
				t.Errorf("%s: answer %v, asked on: %t", name, *first, w.agent.input != nil)
			}
		})
	}
}

// Who connects a service is asked about it, if he can be; other agents have
// questions of their own meanwhile.
func TestCallersAgentIsAsked(t *testing.T) {
	crowd(t, func(w *world, nets []*Network) {
		w.do(func() { _ = w.m.RegisterAgent(AgentID{Owner: ":1.10", Path: "/other"}) })
		for i, caller := range []string{":1.10", ":1.9", ":1.11"} {
			w.do(func() { nets[i].service.Connect(caller, func(error) {}) })
		}
		if got, want := fmt.Sprint(w.agent.agents), "[:1.10 :1.9]"; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
	})
}
