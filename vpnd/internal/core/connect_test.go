package core

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"net.connman/pkg/netcfg"
)

var tunnel = Tunnel{
	Index:  7,
	IPv4:   Address{Prefix: netip.MustParsePrefix("10.8.0.2/24"), Gateway: netip.MustParseAddr("192.0.2.1")},
	DNS:    netcfg.DNSConfig{Servers: []netip.Addr{netip.MustParseAddr("10.8.0.1")}, Domains: []string{"inside.test", "lab.test"}},
	Routes: []Route{{Dst: netip.MustParsePrefix("10.9.0.0/16")}},
}

// news is what clients are told when it comes up.
var news = []string{"Index", "IPv4", "Nameservers", "Domain", "ServerRoutes", "ready"}

func TestConnect(t *testing.T) {
	run(t, nil, func(w *world) {
		c := w.create(Description{Domain: "outside.test"})
		reply := w.connect(c)
		w.expect("configuration")
		if reply.times != 0 {
			t.Error("Connect is answered before the tunnel is up")
		}
		w.do(func() { w.provider.last().report(Up{tunnel}) })
		w.expect(news...)
		reply.is(t, nil)
		if c.Index() != 7 || c.Domain() != "inside.test lab.test" || len(c.Tunnel().Routes) != 1 {
			t.Errorf("the tunnel is not shown: %d, %s", c.Index(), c.Domain())
		}
		w.connect(c).is(t, ErrAlreadyConnected)

		w.do(func() { w.provider.last().report(Reconnecting{}) })
		w.expect("configuration")
		w.connect(c).is(t, ErrInProgress)
		w.do(func() { w.provider.last().report(Up{tunnel}) })
		w.expect(news...)
		w.do(func() { w.provider.last().report(Up{tunnel}) })
		w.expect(append([]string{"configuration"}, news...)...)

		w.do(c.Disconnect)
		w.expect("disconnect", "idle")
		if c.Index() != -1 || c.Domain() != "outside.test" || c.Tunnel().Index != 0 {
			t.Error("the tunnel is shown when it is gone")
		}
		w.do(c.Disconnect)
		w.expect()
		w.connect(c)
		w.expect("configuration")
	})
}

// Clients are told what a tunnel has, and what it lacks that the last one had.
func TestLesserTunnel(t *testing.T) {
	run(t, nil, func(w *world) {
		c := w.create(Description{})
		bare := Tunnel{Index: 8, IPv6: Address{Prefix: netip.MustParsePrefix("2001:db8::2/64")}}
		for _, step := range []struct {
			tunnel Tunnel
			news   []string
		}{
			{tunnel, news},
			{bare, []string{"Index", "IPv4", "IPv6", "Nameservers", "Domain", "ServerRoutes", "ready"}},
			{bare, []string{"Index", "IPv6", "ready"}},
			{Tunnel{Index: 9, IPv4: tunnel.IPv4, MTU: 1300, PAC: "http://pac.test/"}, []string{"Index", "IPv4", "IPv6", "MTU", "PAC", "ready"}},
		} {
			w.connect(c)
			w.changes()
			w.do(func() { w.provider.last().report(Up{step.tunnel}) })
			w.expect(step.news...)
			w.do(c.Disconnect)
			w.changes()
		}
	})
}

// How a tunnel ends decides the state and what whoever connects is told.
func TestEnded(t *testing.T) {
	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		ended  Ended
		wasUp  bool
		states []string
		err    error
	}{
		"unreachable":     {Ended{ConnectFailed, boom}, false, []string{"failure"}, boom},
		"unreachable, up": {Ended{ConnectFailed, boom}, true, []string{"disconnect", "idle"}, nil},
		"wrong password":  {Ended{AuthFailed, boom}, false, []string{"failure"}, ErrPermissionDenied},
		"not let in":      {Ended{LoginFailed, boom}, false, []string{"failure"}, ErrPermissionDenied},
		"password, up":    {Ended{AuthFailed, boom}, true, []string{"failure"}, nil},
		"closed":          {Ended{Stopped, nil}, false, []string{"disconnect", "idle"}, ErrAborted},
		"closed, up":      {Ended{Stopped, nil}, true, []string{"disconnect", "idle"}, nil},
		"user canceled":   {Ended{ConnectFailed, ErrCanceled}, false, []string{"disconnect", "idle"}, ErrCanceled},
		"nobody answered": {Ended{ConnectFailed, ErrTimeout}, false, []string{"disconnect", "idle"}, ErrTimeout},
		"no agent":        {Ended{ConnectFailed, ErrNoAgent}, false, []string{"failure"}, ErrNoAgent},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(w *world) {
				c := w.create(Description{})
				reply := w.connect(c)
				if tt.wasUp {
					w.do(func() { w.provider.last().report(Up{tunnel}) })
				}
				w.changes()
				w.do(func() { w.provider.last().report(tt.ended) })
				w.expect(tt.states...)
				reply.is(t, tt.err)

				again := w.connect(c) // also from failure
				w.do(func() { w.provider.last().report(Up{tunnel}) })
				again.is(t, nil)
			})
		})
	}
}

func TestDisconnectWhileConnecting(t *testing.T) {
	run(t, nil, func(w *world) {
		w.provider.stopsSlow = true
		c := w.create(Description{})
		reply := w.connect(c)
		w.do(c.Disconnect)
		w.expect("configuration", "disconnect")
		reply.is(t, ErrAborted)
		w.connect(c).is(t, ErrInProgress)
		w.do(func() { w.provider.last().report(Up{tunnel}) }) // it was faster than Stop
		w.expect()
		w.do(func() { w.provider.last().report(Ended{ConnectFailed, errors.New("killed")}) })
		w.expect("idle")
	})
}

// After its end nothing that an attempt reports counts.
func TestReportsAfterTheEnd(t *testing.T) {
	run(t, nil, func(w *world) {
		c := w.create(Description{})
		reply := w.connect(c)
		old := w.provider.last()
		w.do(func() { old.report(Ended{ConnectFailed, errors.New("no")}) })
		w.changes()
		for _, e := range []Event{Up{tunnel}, Reconnecting{}, Ended{AuthFailed, nil}} {
			w.do(func() { old.report(e) })
		}
		w.expect()
		reply.is(t, reply.err)
		w.connect(c)
		w.do(func() { old.report(Up{tunnel}) })
		w.expect("configuration")
	})
}

func TestRefusesToConnect(t *testing.T) {
	run(t, nil, func(w *world) {
		c := w.create(Description{Values: []Value{{"Scripted.Port", "0"}}})
		w.connect(c).is(t, ErrInvalidArguments)
		w.provider.missing = errors.New("the program is not installed")
		w.connect(c).is(t, ErrNotSupported)
		w.expect()
	})
}

// What is removed is gone at once for clients, but its tunnel must have ended
// before another of its name is made.
func TestRemoveWhileUp(t *testing.T) {
	run(t, nil, func(w *world) {
		w.provider.stopsSlow = true
		c := w.create(Description{})
		w.connect(c)
		old := w.provider.last()
		w.do(func() { old.report(Up{tunnel}) })
		w.changes()
		w.do(func() {
			if err := w.m.Remove(c.id); err != nil {
				t.Error(err)
			}
		})
		if got := w.changes(); got[0] != "removed vpn_test" || !old.stopped || len(w.store.saved) != 0 {
			t.Errorf("told %q, stopped %v, kept %v", got, old.stopped, w.store.saved)
		}
		if !w.m.Busy() {
			t.Error("a tunnel ends, and the daemon is idle")
		}
		again := w.create(Description{})
		w.connect(again).is(t, ErrInProgress)
		w.do(func() { old.report(Ended{}) })
		w.changes()
		w.connect(again)
		w.expect("configuration")
	})
}

// The daemon may go when it has nothing to show and nobody to speak with.
func TestBusy(t *testing.T) {
	run(t, nil, func(w *world) {
		busy := func(want bool, why string) {
			t.Helper()
			w.do(func() {
				if w.m.Busy() != want {
					t.Errorf("busy: %v, %s", !want, why)
				}
			})
		}
		busy(false, "at the beginning")
		c := w.create(Description{})
		busy(true, "though there is a connection")
		w.do(func() { _ = w.m.Remove(c.id) })
		busy(false, "behind the last connection")
		w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.1", "/a"}) })
		busy(true, "though there is an agent")
		w.do(func() { _ = w.m.UnregisterAgent(":1.1") })
		busy(false, "behind the last agent")
	})
}

// Who connects before the machine is ours to change waits.
func TestConnectsEarly(t *testing.T) {
	for name, tt := range map[string]struct {
		then func(w *world)
		want error
	}{
		"begins": {func(w *world) { w.m.Begin(); w.provider.last().report(Up{tunnel}) }, nil},
		"ends":   {func(w *world) { w.m.Stop(func() {}) }, ErrAborted},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(w *world) {
				w.m.begun = false
				reply := w.connect(w.create(Description{}))
				w.expect()
				if reply.times != 0 {
					t.Fatal(reply.err)
				}
				w.do(func() { tt.then(w) })
				reply.is(t, tt.want)
			})
		})
	}
}

func TestStop(t *testing.T) {
	run(t, nil, func(w *world) {
		w.provider.stopsSlow = true
		w.connect(w.create(Description{}))
		stopped := 0
		w.do(func() {
			_ = w.m.RegisterAgent(AgentID{":1.1", "/a"})
			w.m.Stop(func() { stopped++ })
		})
		if stopped != 0 || !w.provider.last().stopped || !slices.Equal(w.agents.released, []string{":1.1"}) {
			t.Errorf("stopped %d, released %v", stopped, w.agents.released)
		}
		w.do(func() { w.provider.last().report(Ended{}) })
		if stopped != 1 {
			t.Errorf("stopped %d times", stopped)
		}
		w.connect(w.m.Connections()[0]).is(t, ErrAborted)
	})
}

// Refusals soon after a success don't speak against the credentials.
func TestAuthErrorLimit(t *testing.T) {
	for name, tt := range map[string]struct {
		limit   string
		success bool
		after   time.Duration
		want    []int // Refused of the attempts
	}{
		"never connected":  {"", false, 0, []int{0, 1, 2, 3}},
		"default":          {"", true, 0, []int{0, 0, 2, 3}},
		"more":             {"2", true, 0, []int{0, 0, 0, 3}},
		"leading zero":     {"010", true, 0, []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11}},
		"none":             {"0", true, 0, []int{0, 1, 2, 3}},
		"success long ago": {"2", true, time.Hour + time.Second, []int{0, 1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(w *world) {
				c := w.create(Description{Values: []Value{{PropAuthErrorLimit, ""}}})
				if tt.limit != "" {
					w.do(func() { _ = c.Change(func() (bool, error) { return c.SetText(PropAuthErrorLimit, tt.limit) }) })
				}
				if tt.success {
					w.connect(c)
					w.do(func() { w.provider.last().report(Up{tunnel}) })
					w.do(c.Disconnect)
					w.pass(tt.after)
				}
				var got []int
				forgives := false
				for i := range tt.want {
					w.connect(c)
					req := w.provider.last().req
					if i > 0 && forgives != (req.Refused == 0) {
						t.Errorf("attempt %d: Forgives was %v, Refused is %d", i, forgives, req.Refused)
					}
					forgives = req.Forgives
					got = append(got, req.Refused)
					w.do(func() { w.provider.last().report(Ended{AuthFailed, errors.New("no")}) })
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("Refused is %v, want %v", got, tt.want)
				}
				// Whoever changes a setting wants another try.
				w.do(func() { _ = c.Change(func() (bool, error) { return c.SetText("Scripted.User", "other") }) })
				w.connect(c)
				if n := w.provider.last().req.Refused; n != 0 {
					t.Errorf("Refused is %d after a change", n)
				}
			})
		})
	}
}

func TestTooManyServerRoutes(t *testing.T) {
	run(t, nil, func(w *world) {
		c := w.create(Description{})
		w.connect(c)
		up := tunnel
		up.Routes = slices.Repeat(tunnel.Routes, 10*MaxRoutes)
		w.do(func() { w.provider.last().report(Up{up}) })
		if n := len(c.Tunnel().Routes); n != MaxRoutes {
			t.Errorf("%d routes", n)
		}
	})
}

// The agent of who connects is told why it failed, and whoever connects waits for
// what the user makes of it.
func TestTriesAgain(t *testing.T) {
	run(t, nil, func(w *world) {
		c := w.create(Description{})
		w.do(func() {
			for _, owner := range []string{":1.1", ":1.9"} { // world.connect is :1.9
				_ = w.m.RegisterAgent(AgentID{owner, "/a"})
			}
		})
		reply := w.connect(c)
		for _, cause := range []Cause{ConnectFailed, LoginFailed, AuthFailed} {
			attempt := w.provider.last()
			w.do(func() { attempt.report(Ended{cause, errors.New("no")}) })
			w.do(func() { attempt.report(Up{tunnel}) }) // nobody listens any more
			w.connect(c).is(t, ErrInProgress)
			w.do(func() { w.agents.open[len(w.agents.open)-1](nil, nil) })
			if w.provider.last() == attempt {
				t.Error("no other attempt behind", cause)
			}
		}
		want := []string{":1.9 vpn_test: connect-failed", ":1.9 vpn_test: login-failed", ":1.9 vpn_test: auth-failed"}
		if !slices.Equal(w.agents.asked, want) {
			t.Errorf("told %q, want %q", w.agents.asked, want)
		}
		if n := w.provider.last().req.Refused; n != 2 {
			t.Errorf("%d refusals are counted", n)
		}
		w.expect("configuration")
		if reply.times != 0 {
			t.Error("Connect is answered while it is tried again:", reply.err)
		}
		w.do(func() { w.provider.last().report(Up{tunnel}) })
		reply.is(t, nil)
		w.expect(news...)
		w.do(func() { w.provider.last().report(Ended{ConnectFailed, errors.New("lost")}) })
		if len(w.agents.asked) != len(want) {
			t.Error("a tunnel that was up is a matter of whoever wants it up")
		}
	})
}

// How the wait for the user ends.
func TestTriesNoMore(t *testing.T) {
	no := errors.New("no")
	for name, tt := range map[string]struct {
		then   func(w *world, c *Connection)
		want   error
		states []string
	}{
		"user":    {func(w *world, _ *Connection) { w.agents.open[0](nil, ErrCanceled) }, no, []string{"configuration", "failure"}},
		"agent":   {func(w *world, _ *Connection) { _ = w.m.UnregisterAgent(":1.9") }, no, []string{"configuration", "failure"}},
		"caller":  {func(_ *world, c *Connection) { c.Disconnect() }, ErrAborted, []string{"configuration", "disconnect", "idle"}},
		"removed": {func(w *world, c *Connection) { _ = w.m.Remove(c.id) }, ErrAborted, []string{"configuration", "removed vpn_test", "disconnect", "idle"}},
		"lacking": {func(w *world, _ *Connection) { w.provider.missing = no; w.agents.open[0](nil, nil) }, no, []string{"configuration", "failure"}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(w *world) {
				w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.9", "/a"}) })
				c := w.create(Description{})
				reply := w.connect(c)
				w.do(func() { w.provider.last().report(Ended{ConnectFailed, no}) })
				w.do(func() { tt.then(w, c) })
				reply.is(t, tt.want)
				w.expect(tt.states...)
				if len(w.provider.attempts) != 1 || len(w.m.ending) > 0 {
					t.Errorf("%d attempts, %d that end", len(w.provider.attempts), len(w.m.ending))
				}
				w.provider.missing = nil
				if name != "removed" {
					w.connect(c)
					w.expect("configuration")
				}
			})
		})
	}
}

// Nobody is told of what he did himself, or does not know of.
func TestFailsWithoutAWord(t *testing.T) {
	for name, ended := range map[string]Ended{
		"canceled": {LoginFailed, ErrCanceled}, "no answer": {LoginFailed, ErrTimeout}, "closed": {Stopped, nil},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(w *world) {
				w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.9", "/a"}) })
				reply := w.connect(w.create(Description{}))
				w.do(func() { w.provider.last().report(ended) })
				if reply.times != 1 || len(w.agents.asked) > 0 {
					t.Errorf("%d answers, told %q", reply.times, w.agents.asked)
				}
			})
		})
	}
	run(t, nil, func(w *world) { // another program's agent
		w.do(func() { _ = w.m.RegisterAgent(AgentID{":1.1", "/a"}) })
		reply := w.connect(w.create(Description{}))
		w.do(func() { w.provider.last().report(Ended{AuthFailed, errors.New("no")}) })
		if reply.times != 1 || len(w.agents.asked) > 0 {
			t.Errorf("%d answers, told %q", reply.times, w.agents.asked)
		}
	})
}
