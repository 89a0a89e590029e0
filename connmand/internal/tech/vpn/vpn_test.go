package vpn

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/tech/techtest"
	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	techtest.Suite(t, func(w *techtest.World) techtest.Hardware {
		f := newDaemon(w)
		return techtest.Hardware{
			Type: core.VPN, Lone: true,
			Appear: func(string) { f.bus.Revive() },
			Vanish: func(string) { f.kill() },
			SetNetwork: func(_ string, there bool) {
				if there {
					f.add("office")
				} else {
					f.remove("office")
				}
			},
			On: func(string) (on bool) {
				w.Do(func() { on = w.Manager.Technology(core.VPN).Powered() })
				return on
			},
			Kill: f.kill, Revive: f.bus.Revive,
		}
	})
}

// house is a world with an uplink and a VPN.
type house struct {
	*fakeDaemon
	t    *testing.T
	link int // that tunnels are on
}

// with runs a test in a world where the VPN called office can connect.
func with(t *testing.T, test func(h *house)) {
	techtest.Run(t, func(w *techtest.World) {
		h := &house{fakeDaemon: newDaemon(w), t: t}
		w.Uplink()
		h.bus.Revive()
		h.add("office")
		w.Sleep(time.Second)
		h.link = h.kernel.AddLink(kernel.Link{Name: "tun0", Type: 0xfffe, MTU: 1420}).Index
		test(h)
	})
}

func (h *house) service() (s *core.Service) {
	h.t.Helper()
	h.w.Do(func() { s = h.w.Manager.Service("vpn_office") })
	if s == nil {
		h.t.Fatal("the VPN has no service")
	}
	return s
}

func (h *house) want(state core.State) {
	h.t.Helper()
	s := h.service()
	h.w.Do(func() {
		if got := s.State(); got != state {
			h.t.Fatalf("the VPN is %s, want %s", got, state)
		}
	})
}

func (h *house) connects(err *error) {
	s := h.service()
	h.w.Do(func() { s.Connect(":1.77", func(e error) { *err = e }) })
}

// answered reads what a call was answered with.
func (h *house) answered(err *error, want error) {
	h.t.Helper()
	h.w.Do(func() {
		if !errors.Is(*err, want) {
			h.t.Errorf("answered %v, want %v", *err, want)
		}
	})
}

var errNone = errors.New("no answer yet")

func TestConnect(t *testing.T) {
	with(t, func(h *house) {
		h.connect = func(path bus.ObjectPath, answer func(error)) { h.ready(path, h.link); answer(nil) }
		err := errNone
		h.connects(&err)
		h.want(core.Ready)
		h.answered(&err, nil)
		if got := h.called(); got != "Connect2 :1.77" {
			t.Errorf("calls: %s", got)
		}
		s := h.service()
		h.w.Do(func() {
			if d := s.Device(); d.Link.Name != "tun0" || d.MTU != 1420 {
				t.Errorf("it is on %+v", d)
			}
			s.Disconnect(func(error) {})
		})
		h.want(core.Idle)
		if got := h.called(); got != "Disconnect" {
			t.Errorf("calls: %s", got)
		}
	})
}

// Whatever becomes of an attempt, its caller is answered once and the state is
// right.
func TestConnectFails(t *testing.T) {
	failed := func(name string) error { return &bus.Error{Name: "net.connman.Error." + name} }
	for name, c := range map[string]struct {
		connect func(h *house, path bus.ObjectPath, answer func(error))
		state   core.State
		err     error
	}{
		"refused":   {func(_ *house, _ bus.ObjectPath, answer func(error)) { answer(failed("InvalidArguments")) }, core.Failed, core.ErrFailed},
		"cancelled": {func(_ *house, _ bus.ObjectPath, answer func(error)) { answer(failed("OperationCanceled")) }, core.Idle, core.ErrAborted},
		"fails, then cancelled": {func(h *house, path bus.ObjectPath, answer func(error)) {
			h.set(path, vpn.ConnectionState, "configuration")
			h.set(path, vpn.ConnectionState, "failure")
			answer(failed("OperationCanceled"))
		}, core.Idle, core.ErrAborted},
		"fails without a word": {func(h *house, path bus.ObjectPath, _ func(error)) {
			h.set(path, vpn.ConnectionState, "configuration")
			h.set(path, vpn.ConnectionState, "failure")
		}, core.Failed, core.ErrFailed},
		"in progress": {func(h *house, path bus.ObjectPath, answer func(error)) {
			answer(failed("InProgress"))
			h.ready(path, h.link)
		}, core.Ready, nil},
		"silence": {func(*house, bus.ObjectPath, func(error)) {}, core.Association, errNone},
		"vanishes": {func(h *house, _ bus.ObjectPath, _ func(error)) {
			h.remove("office")
			h.add("office")
		}, core.Idle, core.ErrAborted},
		"no address": {func(h *house, path bus.ObjectPath, answer func(error)) {
			h.set(path, vpn.ConnectionIndex, int32(h.link))
			h.set(path, vpn.ConnectionState, "ready")
			answer(nil)
		}, core.Association, errNone},
		"no such link": {func(h *house, path bus.ObjectPath, answer func(error)) { h.ready(path, 999); answer(nil) }, core.Association, errNone},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(h *house) {
				h.connect = func(path bus.ObjectPath, answer func(error)) { c.connect(h, path, answer) }
				err := errNone
				h.connects(&err)
				h.w.Sleep(2 * time.Second)
				h.want(c.state)
				h.answered(&err, c.err)
				if c.state != core.Association {
					return
				}
				h.w.Sleep(3 * time.Minute)
				h.want(core.Failed)
				h.answered(&err, core.ErrTimeout)
				if got := h.called(); got != "Connect2 :1.77, Disconnect" {
					t.Errorf("calls: %s", got)
				}
			})
		})
	}
}

// Who does not want to say the password does not want to be asked again. That the
// daemon ends, or another program has it disconnect, is no wish of the user's.
func TestAutoConnectOutlives(t *testing.T) {
	for name, outlives := range map[string]bool{"OperationAborted": true, "OperationCanceled": false} {
		t.Run(name, func(t *testing.T) {
			with(t, func(h *house) {
				err := errNone
				h.connects(&err)
				s, path := h.service(), pathOf("office")
				h.w.Do(func() { s.Disconnect(func(error) {}) })
				h.connect = func(_ bus.ObjectPath, answer func(error)) {
					h.set(path, vpn.ConnectionState, "configuration")
					h.set(path, vpn.ConnectionState, "disconnect")
					h.set(path, vpn.ConnectionState, "idle")
					answer(&bus.Error{Name: "net.connman.Error." + name})
				}
				h.w.Do(func() {
					if err := s.SetAutoConnect(true); err != nil {
						t.Error(err)
					}
				})
				h.connects(&err)
				h.w.Sleep(100 * time.Millisecond)
				h.w.Do(func() { h.connect = func(bus.ObjectPath, func(error)) { h.ready(path, h.link) } })
				h.w.Sleep(time.Minute)
				h.w.Do(func() {
					if s.AutoConnect() != outlives || s.State().Connected() != outlives {
						t.Errorf("connects by itself: %v, is %s", s.AutoConnect(), s.State())
					}
				})
			})
		})
	}
}

// The daemon may tell of a link before the kernel does.
func TestLinkAppearsLater(t *testing.T) {
	with(t, func(h *house) {
		next := h.link + 1
		h.connect = func(path bus.ObjectPath, answer func(error)) { h.ready(path, next); answer(nil) }
		err := errNone
		h.connects(&err)
		h.want(core.Association)
		if got := h.kernel.AddLink(kernel.Link{Name: "tun1", Type: 0xfffe, MTU: 1400}).Index; got != next {
			t.Fatalf("link %d", got)
		}
		h.w.Sleep(time.Second)
		h.want(core.Ready)
		h.connect = func(bus.ObjectPath, func(error)) {}
		h.w.Sleep(time.Minute)
		h.kernel.RemoveLink(next) // and the daemon says nothing
		h.w.Sleep(time.Second)
		h.want(core.Association)
		if got := h.called(); got != "Connect2 :1.77, Disconnect, Connect" {
			t.Errorf("calls: %s", got)
		}
	})
}

// What a tunnel had and the next one lacks is gone: the daemon only says what is
// there.
func TestNextTunnelLacks(t *testing.T) {
	with(t, func(h *house) {
		path, s := pathOf("office"), h.service()
		h.set(path, vpn.ConnectionState, "configuration")
		h.set(path, vpn.ConnectionIPv6, bus.Dict{{Key: vpn.IPv6Address, Value: "2001:db8::2"}, {Key: vpn.IPv6PrefixLength, Value: byte(64)}})
		h.set(path, vpn.ConnectionPAC, "http://proxy.test/pac")
		for _, both := range []bool{true, false} {
			h.ready(path, h.link)
			h.w.Sleep(time.Second)
			h.want(core.Ready)
			h.w.Do(func() {
				_, config, _ := s.IPv6()
				if got := config.Address.IsValid(); got != both {
					t.Errorf("IPv6 is there: %v, want %v", got, both)
				}
				if got := s.Proxy().URL != ""; got != both {
					t.Errorf("a proxy is there: %v, want %v", got, both)
				}
			})
		}
	})
}

// A daemon that takes its time to disconnect is not asked to connect meanwhile.
func TestSlowDisconnect(t *testing.T) {
	with(t, func(h *house) {
		h.connect = func(path bus.ObjectPath, answer func(error)) { h.ready(path, h.link); answer(nil) }
		err := errNone
		h.connects(&err)
		h.want(core.Ready)
		h.disconnect = func(path bus.ObjectPath, answer func(error)) {
			h.set(path, vpn.ConnectionState, "disconnect")
			answer(nil)
		}
		s := h.service()
		left := errNone
		h.w.Do(func() { s.Disconnect(func(e error) { left = e }) })
		h.want(core.Disconnect)
		h.w.Do(func() { s.Connect("", func(e error) { err = e }) })
		h.answered(&err, core.ErrInProgress)
		h.w.Sleep(leaveTimeout)
		h.want(core.Idle)
		h.answered(&left, nil)
		h.connects(&err)
		h.want(core.Ready)
	})
}

// The daemon dies with a tunnel open. It is started again, ever more seldom, and
// the VPN connects anew.
func TestDaemonDies(t *testing.T) {
	with(t, func(h *house) {
		h.connect = func(path bus.ObjectPath, answer func(error)) { h.ready(path, h.link); answer(nil) }
		err := errNone
		h.connects(&err)
		h.want(core.Ready)
		h.kill()
		h.w.Sleep(time.Second)
		h.w.Do(func() {
			if h.w.Manager.Service("vpn_office") != nil {
				t.Error("the VPN of a daemon that is gone is still there")
			}
		})
		h.bus.Revive()
		h.add("office")
		h.w.Sleep(time.Second)
		h.want(core.Ready)
	})
}

// A connection that another program started or that was there before is followed.
func TestOthersConnect(t *testing.T) {
	with(t, func(h *house) {
		h.set(pathOf("office"), vpn.ConnectionState, "configuration")
		h.w.Sleep(time.Second)
		h.want(core.Association)
		h.ready(pathOf("office"), h.link)
		h.w.Sleep(time.Second)
		h.want(core.Ready)
		h.set(pathOf("office"), vpn.ConnectionState, "idle")
		h.w.Sleep(time.Second)
		if got := h.called(); got != "" && got != "Disconnect" {
			t.Errorf("calls: %s", got)
		}

		h.kill()
		h.bus.Revive()
		h.add("there", bus.Entry{Key: vpn.ConnectionIndex, Value: int32(h.link)}, bus.Entry{Key: vpn.ConnectionState, Value: "ready"},
			bus.Entry{Key: vpn.ConnectionIPv4, Value: address("10.9.0.2", "255.255.255.0")})
		h.w.Sleep(time.Second)
		h.w.Do(func() {
			if s := h.w.Manager.Service("vpn_there"); s == nil || !s.State().Connected() {
				t.Error("a tunnel that is open is not taken over")
			}
		})
	})
}

// Users say whether a VPN takes everything here, and by the daemon's settings.
func TestSplit(t *testing.T) {
	with(t, func(h *house) {
		s := h.service()
		h.set(pathOf("office"), vpn.ConnectionSplitRouting, true)
		h.w.Sleep(time.Second)
		h.w.Do(func() {
			if !s.SplitRouting() {
				t.Error("the daemon's setting is not followed")
			}
		})
		if got := h.called(); got != "" {
			t.Errorf("calls: %s", got)
		}
		h.set(pathOf("office"), vpn.ConnectionSplitRouting, "yes")
		h.w.Sleep(time.Second)
	})
}

// What the daemon says of an earlier word of ours, when we have taken it back, is
// not news.
func TestSplitEcho(t *testing.T) {
	with(t, func(h *house) {
		h.connect = func(path bus.ObjectPath, answer func(error)) { h.ready(path, h.link); answer(nil) }
		err := errNone
		h.connects(&err)
		h.want(core.Ready)
		h.set(pathOf("office"), vpn.ConnectionServerRoutes, list(routeOf("10.50.0.0", "255.255.0.0", "")))
		h.w.Sleep(time.Second)
		var replies []func()
		answer := h.bus.Answer
		h.bus.Answer = func(m bus.MethodCall, reply func([]any, error)) {
			if m.Member != "SetProperty" {
				answer(m, reply)
				return
			}
			replies = append(replies, func() { reply(nil, nil) })
		}
		s := h.service()
		for _, split := range []bool{true, false} {
			h.w.Do(func() {
				first, second := s, h.w.Manager.Service("ethernet_020000000001_cable")
				if split {
					first, second = second, first
				}
				if err := first.MoveBefore(second); err != nil {
					t.Error(split, err)
				}
			})
			h.w.Sleep(time.Second)
		}
		if len(replies) != 2 {
			t.Fatalf("%d words about split routing, want 2", len(replies))
		}
		for i, said := range []bool{true, false} {
			h.set(pathOf("office"), vpn.ConnectionSplitRouting, said)
			h.w.Sleep(time.Second)
			h.w.Do(func() {
				if s.SplitRouting() {
					t.Errorf("the VPN is split again as the daemon says %v", said)
				}
				replies[i]()
			})
		}
		if len(replies) != 2 {
			t.Errorf("%d words about split routing, want 2", len(replies))
		}
	})
}
