//go:build netns

package vpn

import (
	"fmt"
	"strings"
	"testing"

	"net.connman/integration/lab"
)

// Routes come exactly when they are needed and go exactly when they are not,
// whichever place the VPN has among the services.
func TestRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.connected()
	full := []string{toOffice, "default dev vpn0 scope link", w.low(0), toServer, refused}
	split := []string{toOffice, toServer, "default via 10.77.0.1 dev eth0"}
	plain := []string{"default via 10.77.0.1 dev eth0"}
	w.untilRoutes(full...)
	if got := w.vpnd.called()[0]; got != "Connect "+w.bus.Names()[0] {
		t.Errorf("the VPN daemon was called: %s", got)
	}

	eth, vpn := servicePath(w.cable(0)), servicePath(office)
	must(t, w.call(eth, "Service.MoveBefore", vpn).Err)
	w.untilRoutes(split...)
	must(t, w.call(vpn, "Service.MoveBefore", eth).Err)
	w.untilRoutes(full...)
	must(t, w.call(vpn, "Service.MoveAfter", eth).Err)
	w.untilRoutes(split...)
	must(t, w.call(eth, "Service.MoveAfter", vpn).Err)
	w.untilRoutes(full...)

	w.office.set("ServerRoutes", []route{routeTo("10.51.0.0", "255.255.0.0", ""), routeTo(serverAddress, "255.255.255.255", "")})
	w.office.set("UserRoutes", []route{routeTo("10.52.0.0", "16", "10.77.0.1")})
	w.untilRoutes("10.51.0.0/16 dev vpn0 scope link", "10.52.0.0/16 dev vpn0 scope link", "default dev vpn0 scope link", w.low(0), toServer, refused)
	w.office.set("SplitRouting", true)
	w.untilRoutes("10.51.0.0/16 dev vpn0 scope link", "10.52.0.0/16 dev vpn0 scope link", toServer, "default via 10.77.0.1 dev eth0")
	w.office.set("SplitRouting", false)
	w.office.set("UserRoutes", []route{})

	must(t, w.call(vpn, "Service.Disconnect").Err)
	w.untilRoutes(plain...)
	w.until(w.cable(0), "online")
	must(t, w.call(vpn, "Service.Connect").Err)
	w.untilRoutes(full...)

	w.office.end("failure") // and it connects again by itself
	w.until(office, "ready")
	w.untilRoutes(full...)
	must(t, w.daemon.Stop(patience))
	w.untilRoutes()
	if got := w.ip("-4 addr show dev lo"); !strings.Contains(got, "127.0.0.1") {
		t.Errorf("the loopback has %s", got)
	}
}

// The VPN connects anew when its way to the server changes, and waits for a way
// when there is none.
func TestUplinkChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	must(t, w.Ports[1].Down())
	w.connected()
	must(t, w.Ports[1].Up())
	w.until(w.cable(1), "ready")
	w.until(office, "ready")
	connects := func() (n int) {
		for _, call := range w.vpnd.called() {
			if strings.HasPrefix(call, "Connect") {
				n++
			}
		}
		return n
	}
	if n := connects(); n != 1 {
		t.Fatalf("connected %d times", n)
	}
	must(t, w.Ports[0].Down())
	w.untilRoutes(toOffice, "default dev vpn0 scope link", w.low(1), strings.Replace(toServer, "eth0", "eth1", 1), refused)
	w.until(office, "ready")
	if n := connects(); n != 2 {
		t.Errorf("connected %d times", n)
	}
	must(t, w.Ports[1].Down())
	w.until(office, "idle")
	w.untilRoutes(refused)
	must(t, w.Ports[0].Up())
	w.until(office, "ready")
	if n := connects(); n != 3 {
		t.Errorf("connected %d times", n)
	}
	must(t, w.call(servicePath(office), "Service.Disconnect").Err)
	w.untilRoutes("default via 10.77.0.1 dev eth0")
}

// Daemons die with a tunnel up: the VPN daemon's services go and come again, ours
// takes over what is there, and nothing is left at the end.
func TestDaemonsDie(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.connected()
	full := []string{toOffice, "default dev vpn0 scope link", w.low(0), toServer, refused}
	w.untilRoutes(full...)
	index := w.ip("-o link show dev vpn0")

	w.daemon.Kill()
	w.untilRoutes(full...)
	w.run(lab.Ours())
	w.until(office, "ready")
	w.untilRoutes(full...)
	if got := w.ip("-o link show dev vpn0"); got != index {
		t.Errorf("the tunnel was %s and is %s", index, got)
	}
	if calls := w.vpnd.called(); len(calls) != 1 {
		t.Errorf("the VPN daemon was called: %q", calls)
	}

	w.vpnd.close()
	must(t, lab.Eventually(patience, func() error {
		if _, err := w.service(office); err == nil {
			return fmt.Errorf("the service of a daemon that is gone is there")
		}
		return nil
	}))
	w.untilRoutes(refused, "default via 10.77.0.1 dev eth0", toServer)
	w.startVPN()
	w.until(office, "ready")
	w.untilRoutes(full...)

	w.daemon.Kill()
	w.vpnd.close()
	w.startVPN()
	w.run(lab.Ours())
	w.until(office, "idle")
	w.untilRoutes("default via 10.77.0.1 dev eth0")
}

// A VPN daemon out of its mind: routes by the thousand, and nothing of the type
// that it should have.
func TestHostile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.connected()
	many := make([]route, 10_000)
	for i := range many {
		many[i] = routeTo(fmt.Sprintf("11.%d.%d.0", i/256, i%256), "255.255.255.0", "10.9.0.1")
	}
	w.office.set("ServerRoutes", many)
	must(t, lab.Eventually(patience, func() error {
		if n := strings.Count(w.ip("-4 route show dev vpn0 proto 67"), "/24 via"); n != 1000 {
			return fmt.Errorf("%d routes", n)
		}
		return nil
	}))
	for _, name := range []string{"Index", "IPv4", "IPv6", "Nameservers", "ServerRoutes", "UserRoutes", "Domain", "Host", "Name", "MTU", "PAC", "SplitRouting", "Immutable"} {
		for _, value := range []any{"", int32(-1), []string{"x\n", "::"}, map[string]string{"Address": "10.9.0.2"}, []byte{0}, true, uint16(1), []route{{}}} {
			if name == "SplitRouting" && value == true {
				continue
			}
			w.office.set(name, value)
		}
	}
	w.office.set("State", uint64(1))
	must(t, w.call("/", "Manager.GetServices").Err)
	w.until(office, "failure", "association", "idle")
	must(t, w.call("/", "Manager.GetServices").Err)
	_ = w.call(servicePath(office), "Service.Disconnect")
	w.untilRoutes("default via 10.77.0.1 dev eth0")
	select {
	case <-w.daemon.Done():
		t.Error("the daemon is gone")
	default:
	}
}
