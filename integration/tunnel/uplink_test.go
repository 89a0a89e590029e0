//go:build netns

package tunnel

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/home"
	"net.connman/integration/lab"
)

// house is a machine with both daemons and two cables to a router, beyond which
// the server is.
type house struct {
	*world
	*home.Home
}

// newHouse builds it, with puppets for programs if there are any, and connects the
// machine.
func newHouse(t *testing.T, puppets ...string) (*house, *stage) {
	t.Helper()
	t.Parallel()
	h := &house{world: &world{t: t, lab: lab.ForTest(t)}}
	var err error
	h.Home, err = home.New(h.lab, 2, nil)
	must(t, err)
	t.Cleanup(func() {
		if err := h.Home.Close(); err != nil {
			t.Error(err)
		}
	})
	h.machine, h.server, h.bus = h.Machine, h.Gateway, h.Bus
	lo, err := h.server.Netlink.LinkByName("lo")
	must(t, err)
	must(t, lab.End{Host: h.server, Link: lo}.AddAddr(serverIP+"/32"))
	h.conn, err = h.bus.Connect()
	must(t, err)
	t.Cleanup(func() { h.conn.Close() })
	var s *stage
	if len(puppets) > 0 {
		s = h.setStage(t, puppets...)
	}
	h.start()
	h.agent = newAgent(h.world)
	h.connmand, err = lab.Ours().Run(h.machine, h.bus)
	must(t, err)
	must(t, h.Plug())
	for i := range h.Links {
		h.untilService(h.cable(i), "ready", "online")
	}
	h.before = h.traces()
	return h, s
}

// cable is the service of link i.
func (h *house) cable(i int) string {
	mac := strings.ReplaceAll(h.Links[i].Link.Attrs().HardwareAddr.String(), ":", "")
	return "ethernet_" + mac + "_cable"
}

// service calls a method of a service's.
func (h *house) service(id, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return h.conn.Object("net.connman", dbus.ObjectPath("/net/connman/service/"+id)).CallWithContext(ctx, "net.connman.Service."+method, 0, args...)
}

// untilService waits until a service is in one of the states.
func (h *house) untilService(id string, states ...any) {
	h.t.Helper()
	must(h.t, lab.Eventually(patience, func() error {
		var p map[string]dbus.Variant
		err := h.service(id, "GetProperties").Store(&p)
		if err == nil && !slices.Contains(states, p["State"].Value()) {
			err = fmt.Errorf("%s is %v, want %v", id, p["State"], states)
		}
		return err
	}))
}

// routes are the machine's routes of connmand's.
func (h *house) routes() string {
	h.t.Helper()
	out, err := h.machine.Output(exec.Command("ip", "-4", "route", "show", "proto", "67"))
	must(h.t, err)
	return string(out)
}

// untilWay waits until the only way to the server is by cable i.
func (h *house) untilWay(i int) {
	h.t.Helper()
	must(h.t, lab.Eventually(patience, func() error {
		routes, ways := h.routes(), 0
		for line := range strings.Lines(routes) {
			if strings.HasPrefix(line, serverIP+" ") {
				ways++
			}
		}
		want := fmt.Sprintf("%s via 10.77.0.1 dev eth%d", serverIP, i)
		if ways != 1 || !strings.Contains(routes, want) {
			return fmt.Errorf("want %s, the routes are\n%s", want, routes)
		}
		return nil
	}))
}

// crosses waits until something passes the tunnel again and says how long it took.
// Without the tunnel the same address could be reached by the cables.
func (h *house) crosses(to, what string) {
	h.t.Helper()
	began := time.Now()
	must(h.t, lab.Eventually(patience, func() error {
		_, err := h.machine.Output(exec.Command("ping", "-n", "-c", "1", "-W", "0.2", "-I", "vpn0", to))
		return err
	}))
	h.t.Logf("%s: traffic crosses after %v", what, time.Since(began).Round(time.Millisecond))
}

// TestUplinkChanges loses the uplink of a tunnel, once there is another, once
// there is none: the tunnel comes back by itself as soon as there is a way, and
// leaves nothing of the former one.
func TestUplinkChanges(t *testing.T) {
	for _, kind := range []struct {
		typ, inside string
		serve       func(*house) map[string]string // and the settings for it
	}{
		{"openvpn", insideServer, func(h *house) map[string]string {
			pki := newAuthority(h.t)
			h.serveOpenVPN(pki, nil, "--local", serverIP, "--push", "route 10.50.0.0 255.255.0.0")
			return withCertificate(pki)
		}},
		{"openconnect", "192.168.99.1", func(h *house) map[string]string {
			s := h.startOcserv(byPassword)
			h.agent.will(map[string]string{"Username": userName, "Password": password, "SaveCredentials": "true"})
			return map[string]string{"OpenConnect.AuthType": "userpass", "OpenConnect.CACert": s.authority.CA}
		}},
	} {
		t.Run(kind.typ, func(t *testing.T) {
			h, _ := newHouse(t)
			id := "vpn_" + filepath.Base(string(h.create(kind.typ, kind.serve(h))))
			h.untilService(id, "idle")
			must(t, h.service(id, "Connect").Err)
			h.untilService(id, "ready", "online")
			h.crosses(kind.inside, "connected")
			first := 0
			if !strings.Contains(h.routes(), serverIP+" via 10.77.0.1 dev eth0") {
				first = 1
			}
			second := 1 - first
			h.untilWay(first)

			must(t, h.Ports[first].Down())
			h.crosses(kind.inside, "the uplink is lost, there is another")
			h.untilWay(second)
			h.untilService(id, "ready", "online")

			must(t, h.Ports[first].Up())
			h.untilService(h.cable(first), "ready", "online")
			h.crosses(kind.inside, "the first one is back")
			h.untilService(id, "ready", "online")

			must(t, h.Ports[first].Down())
			must(t, h.Ports[second].Down())
			h.untilService(id, "idle")
			must(t, lab.Eventually(patience, func() error {
				if routes := h.routes(); strings.Contains(routes, "dev ") {
					return fmt.Errorf("without a cable there are the routes\n%s", routes)
				}
				return h.noneRuns()
			}))
			must(t, h.Ports[second].Up())
			h.crosses(kind.inside, "both are lost, one is back")
			h.untilWay(second)
			h.untilService(id, "ready", "online")

			must(t, h.Ports[first].Up())
			h.untilService(h.cable(first), "ready", "online")
			must(t, h.service(id, "Disconnect").Err)
			h.untilService(id, "idle")
			h.leavesNothing()
		})
	}
}
