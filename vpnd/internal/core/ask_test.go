package core

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"net.connman/pkg/logx"
)

var login = Question{
	Fields: []Field{
		{Name: "Username", Type: "string", Requirement: "mandatory", Key: "Scripted.User"},
		{Name: "Password", Type: "password", Requirement: "mandatory", Key: "Scripted.Password"},
	},
	Save: true,
}

// asking is what becomes of a question.
type asking struct {
	answer Answer
	err    error
	times  int
	cancel func()
}

func (w *world) ask(a *scriptedAttempt, q Question) *asking {
	got := &asking{}
	w.do(func() {
		got.cancel = a.req.Ask.Ask(q, func(answer Answer, err error) {
			got.answer, got.err = answer, err
			got.times++
		})
	})
	return got
}

// attempt connects a new connection.
func (w *world) attempt(d Description) *scriptedAttempt {
	w.t.Helper()
	w.connect(w.create(d))
	return w.provider.last()
}

// What agents are told and asked, as vpn-agent-api.txt has it.
func TestFields(t *testing.T) {
	host := Field{Name: "Host", Type: "string", Requirement: "informational", Value: "vpn.test"}
	name := Field{Name: "Name", Type: "string", Requirement: "informational", Value: "VPN"}
	save := Field{Name: "SaveCredentials", Type: "boolean", Requirement: "optional"}
	noStore := Field{Name: "AllowStoreCredentials", Type: "boolean", Requirement: "control", Value: "false"}
	noLookup := Field{Name: "AllowRetrieveCredentials", Type: "boolean", Requirement: "control", Value: "false"}
	keep := Field{Name: "KeepCredentials", Type: "boolean", Requirement: "control", Value: "true"}
	failure := Field{Name: "VpnAgent.AuthFailure", Type: "string", Requirement: "informational", Value: "no such user"}
	own := login.Fields
	for label, tt := range map[string]struct {
		q    Question
		want []Field
	}{
		"login":      {login, []Field{own[0], own[1], save, host, name}},
		"again":      {Question{Fields: own, Save: true, Failure: "no such user"}, []Field{failure, own[0], own[1], save, host, name}},
		"one time":   {Question{Fields: own[1:]}, []Field{own[1], host, name, noStore, noLookup}},
		"passphrase": {Question{Fields: own[1:], Keep: true}, []Field{own[1], host, name, noStore, noLookup, keep}},
	} {
		t.Run(label, func(t *testing.T) {
			run(t, nil, func(w *world) {
				w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.1", "/a"}) })
				w.ask(w.attempt(Description{}), tt.q)
				if diff := cmp.Diff(tt.want, w.agents.fields[0]); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		answer Answer
		err    error // of the agent
		want   Answer
		wrong  error
	}{
		"good":         {answer: Answer{"Username": "u", "Password": "p", "Other": "o"}, want: Answer{"Username": "u", "Password": "p"}},
		"not all":      {answer: Answer{"Username": "u"}, wrong: ErrAnswer},
		"empty":        {answer: Answer{"Username": "u", "Password": ""}, wrong: ErrAnswer},
		"two lines":    {answer: Answer{"Username": "u", "Password": "p\nq"}, wrong: ErrAnswer},
		"not a choice": {answer: Answer{"Username": "u", "Password": "p", "Remember": "perhaps"}, wrong: ErrAnswer},
		"canceled":     {err: ErrCanceled, wrong: ErrCanceled},
		"silent":       {err: ErrTimeout, wrong: ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(w *world) {
				w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.1", "/a"}) })
				q := login
				q.Fields = append(slices.Clone(q.Fields), Field{Name: "Remember", Type: "boolean", Requirement: "optional"})
				got := w.ask(w.attempt(Description{}), q)
				w.do(func() { w.agents.open[0](tt.answer, tt.err) })
				if !errors.Is(got.err, tt.wrong) || got.times != 1 {
					t.Errorf("%v, want %v; %d times", got.err, tt.wrong, got.times)
				}
				if diff := cmp.Diff(reveal(tt.want), reveal(got.answer)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func reveal(a Answer) map[string]string {
	out := map[string]string{}
	for k, v := range a {
		out[k] = v.Reveal()
	}
	return out
}

func TestAlternates(t *testing.T) {
	run(t, nil, func(w *world) {
		w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.1", "/a"}) })
		q := Question{Fields: []Field{
			{Name: "Password", Type: "password", Requirement: "mandatory", Alternates: []string{"Token"}},
			{Name: "Token", Type: "password", Requirement: "alternate"},
		}}
		got := w.ask(w.attempt(Description{}), q)
		w.do(func() { w.agents.open[0](Answer{"Token": "t"}, nil) })
		if got.err != nil || got.answer["Token"] != "t" {
			t.Errorf("%v, %v", reveal(got.answer), got.err)
		}
	})
}

// What the user said is saved if he wants that, once it has served.
func TestSaveCredentials(t *testing.T) {
	for name, tt := range map[string]struct {
		answer Answer
		want   logx.Secret
	}{
		"wanted":     {Answer{"Username": "u", "Password": "p", "SaveCredentials": "true"}, "p"},
		"not wanted": {Answer{"Username": "u", "Password": "p", "SaveCredentials": "false"}, ""},
		"not said":   {Answer{"Username": "u", "Password": "p"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(w *world) {
				w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.1", "/a"}) })
				a := w.attempt(Description{})
				w.ask(a, login)
				w.do(func() { w.agents.open[0](tt.answer, nil) })
				if w.store.value("vpn_test", "Scripted.Password") != "" {
					t.Error("saved before it has served")
				}
				w.do(func() { a.report(Up{tunnel}) })
				if got := w.store.value("vpn_test", "Scripted.Password"); got != tt.want {
					t.Errorf("saved %q, want %q", got.Reveal(), tt.want.Reveal())
				}
				w.do(func() { a.report(Ended{}) })
				w.connect(w.m.Connections()[0])
				if got := w.provider.last().req.Settings.Secrets["Scripted.Password"]; got != tt.want {
					t.Errorf("next time it is %q", got.Reveal())
				}
			})
		})
	}
}

func TestWhoIsAsked(t *testing.T) {
	run(t, nil, func(w *world) {
		a := w.attempt(Description{})
		got := w.ask(a, login)
		if !errors.Is(got.err, ErrNoAgent) {
			t.Errorf("nobody to ask: %v", got.err)
		}
		w.do(func() {
			for _, owner := range []string{":1.1", ":1.9"} {
				if err := w.m.RegisterAgent(AgentID{owner, "/a"}); err != nil {
					t.Error(err)
				}
			}
			if err := w.m.RegisterAgent(AgentID{":1.1", "/b"}); !errors.Is(err, ErrAlreadyExists) {
				t.Errorf("a second agent of a program: %v", err)
			}
		})
		w.ask(a, login) // who connected, see world.connect, is :1.9
		w.do(func() { _ = w.m.UnregisterAgent(":1.9") })
		w.ask(a, login) // the first one
		if want := []string{":1.9 vpn_test", ":1.1 vpn_test"}; !slices.Equal(w.agents.asked, want) {
			t.Errorf("asked %q, want %q", w.agents.asked, want)
		}
		w.do(func() {
			if err := w.m.UnregisterAgent(":1.9"); !errors.Is(err, ErrNotRegistered) {
				t.Errorf("unregistered twice: %v", err)
			}
		})
	})
}

// An agent is asked one thing at a time, whatever becomes of the others.
func TestOneAtATime(t *testing.T) {
	run(t, nil, func(w *world) {
		w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.1", "/a"}) })
		one, two := w.attempt(Description{Host: "one.test"}), w.attempt(Description{Host: "two.test"})
		first, second, third := w.ask(one, login), w.ask(two, login), w.ask(one, login)
		if len(w.agents.asked) != 1 {
			t.Fatalf("asked %q at a time", w.agents.asked)
		}
		w.do(second.cancel) // was never asked
		if w.agents.canceled != 0 {
			t.Error("the agent hears of a question it was not asked")
		}
		w.do(first.cancel)
		if w.agents.canceled != 1 || len(w.agents.asked) != 2 {
			t.Errorf("canceled %d, asked %q", w.agents.canceled, w.agents.asked)
		}
		w.do(func() { w.agents.open[1](Answer{"Username": "u", "Password": "p"}, nil) })
		if third.err != nil || third.times != 1 {
			t.Errorf("%d answers, %v", third.times, third.err)
		}
		if first.times+second.times != 0 {
			t.Error("canceled questions are answered")
		}
	})
}

func TestAgentLeaves(t *testing.T) {
	run(t, nil, func(w *world) {
		w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.1", "/a"}) })
		a := w.attempt(Description{})
		first, second := w.ask(a, login), w.ask(a, login)
		w.do(func() { _ = w.m.UnregisterAgent(":1.1") })
		for _, got := range []*asking{first, second} {
			if !errors.Is(got.err, ErrNoAgent) || got.times != 1 {
				t.Errorf("%d answers, %v", got.times, got.err)
			}
		}
		if w.agents.canceled != 1 {
			t.Errorf("canceled %d, want the one that was under way", w.agents.canceled)
		}
	})
}
