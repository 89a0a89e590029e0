package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
)

// world is a domain whose surroundings follow the test's script. It lives in a
// bubble of synctest.
type world struct {
	t        *testing.T
	loop     *loop.Loop
	m        *Manager
	provider *scripted
	agents   *agentScript
	store    *memory
	log      strings.Builder
}

// run runs a test in a world with providers of the types "scripted" and "other".
func run(t *testing.T, kept []Saved, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, provider: &scripted{typ: "scripted"}, agents: &agentScript{}, store: &memory{saved: map[string]Saved{}}}
		log := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		w.loop = loop.New(log)
		w.m = New(w.loop, log, Config{InputRequestTimeout: time.Minute}, Ports{Storage: w.store, Agents: w.agents},
			[]Provider{w.provider, &scripted{typ: "other"}}, kept)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.loop.Run(ctx); close(ended) }()
		w.m.Begin()
		defer func() { cancel(); <-ended }()
		synctest.Wait()
		test(w)
	})
}

// do runs fn on the loop and waits until nothing moves any more.
func (w *world) do(fn func()) {
	w.t.Helper()
	w.loop.Post("test", fn)
	synctest.Wait()
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// changes lists what clients are told, as text.
func (w *world) changes() []string {
	var list []string
	w.do(func() {
		for _, c := range w.m.TakeChanges() {
			switch {
			case c.Kind == ConnectionAdded:
				list = append(list, "added "+c.Connection.id)
			case c.Kind == ConnectionRemoved:
				list = append(list, "removed "+c.Connection.id)
			case c.Property == PropState:
				list = append(list, string(c.State))
			default:
				list = append(list, c.Property)
			}
		}
	})
	return list
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	if got := w.changes(); !slices.Equal(got, want) {
		w.t.Errorf("clients are told %q, want %q", got, want)
	}
}

// create makes a connection and forgets the news.
func (w *world) create(d Description) *Connection {
	w.t.Helper()
	if d.Type == "" {
		d.Type = "scripted"
	}
	if d.Host == "" {
		d.Host = "vpn.test"
	}
	if d.Name == "" {
		d.Name = "VPN"
	}
	var c *Connection
	w.do(func() {
		var err error
		if c, err = w.m.Create(d); err != nil {
			w.t.Error(err)
		}
	})
	w.changes()
	return c
}

// connect has c connect and returns where the answer will be.
func (w *world) connect(c *Connection) *answer {
	a := &answer{}
	w.do(func() {
		c.Connect(":1.9", func(err error) {
			a.times++
			a.err = err
		})
	})
	return a
}

type answer struct {
	times int
	err   error
}

func (a *answer) is(t *testing.T, want error) {
	t.Helper()
	if a.times != 1 || !errors.Is(a.err, want) {
		t.Errorf("answered %d times, %v; want once, %v", a.times, a.err, want)
	}
}

// scripted is a provider that does what the test says.
type scripted struct {
	typ       string
	missing   error
	attempts  []*scriptedAttempt
	stopsSlow bool // Ended is the test's to say after Stop
}

type scriptedAttempt struct {
	p       *scripted
	req     Request
	report  func(Event)
	stopped bool
}

func (p *scripted) Type() string   { return p.typ }
func (p *scripted) Missing() error { return p.missing }

func (p *scripted) Keys() []Key {
	return []Key{
		{Name: "Scripted.User"},
		{Name: "Scripted.Password", Secret: true},
		{Name: "Scripted.Port", Check: func(v string) error {
			if strings.Trim(v, "0123456789") != "" {
				return errors.New("is no number")
			}
			return nil
		}},
	}
}

func (p *scripted) Check(s Settings) error {
	if s.Text["Scripted.Port"] == "0" {
		return errors.New("there is no port 0")
	}
	return nil
}

func (p *scripted) Connect(req Request, report func(Event)) Attempt {
	a := &scriptedAttempt{p: p, req: req, report: report}
	p.attempts = append(p.attempts, a)
	return a
}

func (p *scripted) last() *scriptedAttempt { return p.attempts[len(p.attempts)-1] }

func (a *scriptedAttempt) Stop() {
	a.stopped = true
	if !a.p.stopsSlow {
		a.report(Ended{})
	}
}

// agentScript answers as the test says.
type agentScript struct {
	asked    []string
	fields   [][]Field
	open     []func(Answer, error)
	canceled int
	released []string
}

func (s *agentScript) RequestInput(a AgentID, id string, fields []Field, _ time.Duration, done func(Answer, error)) func() {
	s.asked = append(s.asked, a.Owner+" "+id)
	s.fields = append(s.fields, fields)
	s.open = append(s.open, done)
	return func() { s.canceled++ }
}

func (s *agentScript) ReportError(a AgentID, id, reason string, _ time.Duration, done func(bool)) func() {
	s.asked = append(s.asked, fmt.Sprintf("%s %s: %s", a.Owner, id, reason))
	s.open = append(s.open, func(_ Answer, err error) { done(err == nil) })
	return func() { s.canceled++ }
}

func (s *agentScript) Release(a AgentID) { s.released = append(s.released, a.Owner) }

// memory keeps connections as long as the test lasts.
type memory struct {
	saved map[string]Saved
	saves int
}

func (m *memory) Save(s Saved)     { m.saved[s.ID] = s; m.saves++ }
func (m *memory) Remove(id string) { delete(m.saved, id) }
func (m *memory) Sync(done func()) { done() }

// value is a setting that was saved.
func (m *memory) value(id, key string) logx.Secret {
	for _, v := range m.saved[id].Values {
		if v.Key == key {
			return v.Text
		}
	}
	return ""
}

func ids(m *Manager) []string {
	var list []string
	for _, c := range m.Connections() {
		list = append(list, c.id)
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
