//go:build netns

package tunnel

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// vpncLogin are settings with which nobody is asked.
var vpncLogin = map[string]string{
	"VPNC.IPSec.ID": groupName, "VPNC.IPSec.Secret": groupSecret, "VPNC.Xauth.Username": userName, "VPNC.Xauth.Password": password,
}

// tunnelled is the least that vpnc's script is told of a tunnel.
var tunnelled = []string{"reason=connect", "INTERNAL_IP4_ADDRESS=10.99.0.2", "VPNGATEWAY=" + serverIP}

// routed is tunnelled with routes.
func routed(routes ...string) []string {
	env := append(slices.Clone(tunnelled), fmt.Sprint("CISCO_SPLIT_INC=", len(routes)))
	for i, r := range routes {
		network, length, _ := strings.Cut(r, "/")
		env = append(env, fmt.Sprintf("CISCO_SPLIT_INC_%d_ADDR=%s", i, network), fmt.Sprintf("CISCO_SPLIT_INC_%d_MASKLEN=%s", i, length))
	}
	return env
}

// crowd are so many networks.
func crowd(n int) (routes []string) {
	for i := range n {
		routes = append(routes, fmt.Sprintf("11.%d.%d.0/24", i/256, i%256))
	}
	return routes
}

// connecting has a connection connect, and returns where the answer will be.
func (w *world) connecting(path dbus.ObjectPath) *dbus.Call {
	return w.conn.Object(vpnName, path).Go(vpnName+".Connection.Connect", 0, make(chan *dbus.Call, 1))
}

// rss is the daemon's memory in MB of 10^6 bytes.
func (w *world) rss() float64 {
	w.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", w.daemon.Pid()))
	must(w.t, err)
	_, rest, _ := strings.Cut(string(text), "\nRss:")
	var kB float64
	_, err = fmt.Sscan(rest, &kB)
	must(w.t, err)
	return kB * 1024 / 1e6
}

// maxRss bounds the daemon's memory in MB whatever programs say: that of an idle
// one and some times the largest report, which is 4 MiB.
const maxRss = 32

// TestHostileReports has a program that was really started report what cannot be:
// the tunnel has what is valid of it, or is not made.
func TestHostileReports(t *testing.T) {
	w, stage := newStage(t, "vpnc", "openvpn")
	vpnc := w.create("vpnc", vpncLogin)
	openvpn := w.create("openvpn", merge(withCertificate(newAuthority(t)), "Domain", "other.test"))
	long := strings.Repeat("x", 100_000) // the longest that fits into one variable is little more
	const none = "no tunnel"
	for _, test := range []struct {
		name string
		path dbus.ObjectPath
		env  []string
		want string // the routes' networks, or none
	}{
		{"routes outside limits", vpnc, routed("127.0.0.0/8", "224.0.0.0/4", "169.254.0.0/16", "255.255.255.255/32", "0.0.0.0/8", "10.1.0.0/33",
			"10.1.0.0/-1", "fe80::/10", "ff00::/8", "::1/128", "::ffff:10.1.0.0/112", "10.2.0.0/16"), "10.2.0.0"},
		{"everything by other names", vpnc, routed("1.2.3.4/0", "0.0.0.0/0", "127.0.0.1/1", "128.0.0.0/1"), "0.0.0.0 0.0.0.0 0.0.0.0 128.0.0.0"},
		{"shell", vpnc, routed("$(touch /run/pwned)/16", "`touch /run/pwned`/16", "10.2.0.0/16; touch /run/pwned", "10.3.0.0/16"), "10.3.0.0"},
		{"many routes", vpnc, routed(crowd(10_000)...), "1000 of them"},
		{"fewer than it says", vpnc, append(slices.Clone(tunnelled), "CISCO_SPLIT_INC=2000000000", "CISCO_SPLIT_INC_0_ADDR=10.2.0.0", "CISCO_SPLIT_INC_0_MASKLEN=16"), "10.2.0.0"},
		{"less than nothing", vpnc, append(slices.Clone(tunnelled), "CISCO_SPLIT_INC=-5"), ""},
		{"not UTF-8", vpnc, append(slices.Clone(tunnelled), "CISCO_DEF_DOMAIN=\xff\xfe", "\xff=1", "INTERNAL_IP4_DNS=\xc0\x80"), ""},
		{"an address that is not UTF-8", vpnc, []string{"reason=connect", "INTERNAL_IP4_ADDRESS=10.99.0.\xff"}, none},
		{"long values", vpnc, append(slices.Clone(tunnelled), "CISCO_DEF_DOMAIN="+long, "INTERNAL_IP4_DNS="+long, "INTERNAL_IP4_MTU="+long, "CISCO_PROXY_PAC=http://"+long, "X="+long), ""},
		{"a loopback address", vpnc, []string{"reason=connect", "INTERNAL_IP4_ADDRESS=127.0.0.1"}, none},
		{"a netmask with holes", vpnc, append(slices.Clone(tunnelled), "INTERNAL_IP4_NETMASK=255.0.255.0"), none},
		{"nothing", vpnc, []string{"reason=connect"}, none},
		{"openvpn: no address", openvpn, []string{"script_type=up"}, none},
		{"openvpn: a multicast address", openvpn, []string{"script_type=up", "ifconfig_local=224.0.0.1", "ifconfig_netmask=255.255.255.0"}, none},
		{"openvpn: routes", openvpn, []string{"script_type=up", "ifconfig_local=10.99.0.2", "ifconfig_netmask=255.255.255.0", "trusted_ip=" + serverIP,
			"route_network_1=127.0.0.0", "route_netmask_1=255.0.0.0", "route_network_2=10.2.0.0", "route_netmask_2=255.255.0.0",
			"route_gateway_2=$(id)", "route_network_3=10.3.0.0", "route_netmask_3=255.255.0.0", "route_network_4=169.254.0.0", "route_netmask_4=255.255.0.0",
			"foreign_option_1=dhcp-option DNS 127.0.0.1", "foreign_option_2=dhcp-option DOMAIN ;reboot", "tun_mtu=-1"}, "10.3.0.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reply := w.connecting(test.path)
			p := stage.enter()
			said := p.report(test.env...)
			err := (<-reply.Done).Err
			if test.want == none {
				if said == "" || err == nil {
					t.Errorf("the script says %q, Connect %v", said, err)
				}
				w.untilState(test.path, "failure")
				w.leavesNothing()
				return
			}
			must(t, err)
			var networks []string
			properties := w.properties(test.path)
			for _, r := range serverRoutes(t, properties) {
				networks = append(networks, r["Network"].Value().(string))
			}
			got := strings.Join(networks, " ")
			if len(networks) > 10 {
				got = fmt.Sprintf("%d of them", len(networks))
			}
			if got != test.want {
				t.Errorf("the routes are %q, want %q", got, test.want)
			}
			if servers := properties["Nameservers"].Value().([]string); len(servers) != 0 {
				t.Errorf("the name servers are %q", servers)
			}
			must(t, w.call(test.path, "Connection.Disconnect").Err)
			w.untilState(test.path, "idle")
			w.leavesNothing()
		})
	}
	if _, err := os.Stat(w.machine.Path("/run/pwned")); err == nil {
		t.Error("a shell has read a report")
	}
	w.boundedMemory()
}

// boundedMemory looks at the daemon's, and that it is well.
func (w *world) boundedMemory() {
	w.t.Helper()
	rss := w.rss()
	w.t.Logf("the daemon's Rss is %.1f MB", rss)
	if rss > maxRss {
		w.t.Errorf("the daemon has %.1f MB, the limit is %d", rss, maxRss)
	}
	must(w.t, w.call(managerPath, "Manager.GetConnections").Err)
	select {
	case <-w.daemon.Done():
		w.t.Error("the daemon has ended")
	default:
	}
}

// TestHostileLinks has pppd say that links are its own which are not: the machine's,
// and another tunnel's.
func TestHostileLinks(t *testing.T) {
	w, stage := newStage(t, "xl2tpd", "pppd", "pptp", "vpnc")
	other := w.create("vpnc", vpncLogin)
	reply := w.connecting(other)
	stage.enter().report(tunnelled...)
	must(t, (<-reply.Done).Err)
	with := w.traces()
	for _, kind := range puppetKinds {
		if kind.up != nil {
			continue
		}
		path := w.create(kind.typ, merge(kind.settings(t), "Domain", kind.typ))
		for _, link := range []string{"eth0", "lo", "vpn0", "ppp0", "../eth0", "", strings.Repeat("e", 100)} {
			reply := w.connecting(path)
			said := stage.enter().report("CONNMAN_REASON=ppp", "IFNAME="+link, "IPLOCAL=10.99.0.3", "IPREMOTE=10.99.0.1")
			if err := (<-reply.Done).Err; err == nil {
				t.Errorf("%s: a tunnel on the link %q: %q", kind.typ, link, said)
			}
			must(t, w.atRest(path))
			if now := w.traces(); now != with {
				t.Errorf("%s on the link %q: there was %s and is %s", kind.typ, link, with, now)
			}
		}
	}
	must(t, w.call(other, "Connection.Disconnect").Err)
	w.untilState(other, "idle")
	w.leavesNothing()
}

// TestHostileCalls has a program that was really started, and others, call its
// task over the bus itself.
func TestHostileCalls(t *testing.T) {
	w, stage := newStage(t, "vpnc", "openvpn")
	path := w.create("vpnc", vpncLogin)
	reply := w.connecting(path)
	p := stage.enter()
	for i := range wrongCalls {
		if said := p.obey(order{What: callWrong, Args: i}); said == "" {
			t.Errorf("notify takes %#v", wrongCalls[i])
		}
	}
	for _, method := range []string{"notify", "getsec", "nonsense"} {
		if err := callTask(p.Task, method); err == nil {
			t.Errorf("a stranger may call %s", method)
		}
	}
	if said := p.obey(order{What: callGet}); said != "Permission denied" {
		t.Errorf("who has not shown the secret and asks for a password is told %q", said)
	}
	if state := w.properties(path)["State"].Value(); state != "configuration" {
		t.Fatalf("the connection is %v", state)
	}

	// The program of another tunnel, with its own secret and with the stolen one.
	other := w.create("openvpn", merge(withCertificate(newAuthority(t)), "Domain", "other.test"))
	w.connecting(other)
	thief := stage.enter()
	for whose, secret := range map[string]string{"its own": thief.Task["CONNMAN_SECRET"], "the other's": p.Task["CONNMAN_SECRET"]} {
		said := thief.report(append(slices.Clone(tunnelled), "CONNMAN_PATH="+p.Task["CONNMAN_PATH"], "CONNMAN_SECRET="+secret)...)
		if !strings.Contains(said, "Permission denied") {
			t.Errorf("with %s secret another's program is told %q", whose, said)
		}
	}
	must(t, w.call(other, "Connection.Disconnect").Err)

	// A megabyte as an address, then a tunnel, three times, and more than a report
	// may have.
	if said := p.obey(order{What: callRight, Text: strings.Repeat("1", 1_000_000)}); said == "" {
		t.Error("a megabyte is an address")
	}
	if err := (<-reply.Done).Err; err == nil {
		t.Error("connected to a megabyte")
	}
	w.untilState(path, "failure")
	w.leavesNothing()

	reply = w.connecting(path)
	p = stage.enter()
	for range 3 {
		if said := p.obey(order{What: callRight, Text: "10.99.0.2"}); said != "" {
			t.Error(said)
		}
	}
	must(t, (<-reply.Done).Err)
	w.untilState(path, "ready")
	for _, secret := range []string{"", "guess"} {
		err := callTask(p.Task, "notify", "connect", map[string]string{"CONNMAN_SECRET": secret, "INTERNAL_IP4_ADDRESS": "192.0.2.1"})
		if !isError(err, "PermissionDenied") {
			t.Errorf("a stranger with the secret %q: %v", secret, err)
		}
	}
	if said := p.obey(order{What: callRight, Text: strings.Repeat("1", 8<<20)}); said == "" {
		t.Error("8 MiB are taken")
	}

	must(t, w.call(path, "Connection.Disconnect").Err)
	w.untilState(path, "idle")
	w.leavesNothing()

	// What it reports when it was told to end does not count.
	reply = w.connecting(path)
	p = stage.enter()
	p.obey(order{What: stayAlive})
	must(t, w.call(path, "Connection.Disconnect").Err)
	_ = p.obey(order{What: callRight, Text: "10.99.0.2"})
	if state := w.properties(path)["State"].Value(); state != "disconnect" {
		t.Errorf("the connection is %v", state)
	}
	if err := (<-reply.Done).Err; !isError(err, "OperationAborted") {
		t.Error(err)
	}
	w.untilState(path, "idle")
	w.leavesNothing()
	w.boundedMemory()
}

// TestHostileRoutes has a tunnel's program report routes that would cut the machine
// off: connmand takes none of those.
func TestHostileRoutes(t *testing.T) {
	h, stage := newHouse(t, "vpnc")
	path := h.create("vpnc", vpncLogin)
	id := "vpn_" + filepath.Base(string(path))
	h.untilService(id, "idle")
	reply := h.conn.Object("net.connman", dbus.ObjectPath("/net/connman/service/"+id)).Go("net.connman.Service.Connect", 0, make(chan *dbus.Call, 1))
	p := stage.enter()
	own := h.ip("-4 route show proto kernel")
	routes := append([]string{"10.77.0.0/20", "10.77.0.0/30", "10.77.0.1/32", serverIP + "/32", "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"}, crowd(10_000)...)
	if said := p.report(routed(routes...)...); said != "" {
		t.Fatal(said)
	}
	must(t, (<-reply.Done).Err)
	h.untilService(id, "ready", "online")
	if now := h.ip("-4 route show proto kernel"); now != own {
		t.Errorf("the kernel's routes were\n%s\nand are\n%s", own, now)
	}
	for _, address := range []string{"10.77.0.1", serverIP} {
		if way := h.ip("-4 route get " + address); strings.Contains(way, "vpn0") {
			t.Errorf("the way to %s is %s", address, way)
		}
	}
	inside := strings.Split(strings.TrimSpace(h.ip("-4 route show dev vpn0 proto 67")), "\n")
	if n := len(inside); n < 900 || n > 1000 || slices.ContainsFunc(inside, func(line string) bool { return !strings.HasPrefix(line, "11.") }) {
		t.Errorf("%d routes lead into the tunnel, the first ones are %q", n, inside[:min(n, 5)])
	}
	must(t, h.service(id, "Disconnect").Err)
	h.untilService(id, "idle")
	h.leavesNothing()
	h.boundedMemory()
}

// ip is what ip(8) says on the machine.
func (w *world) ip(args string) string {
	w.t.Helper()
	out, err := w.machine.Output(exec.Command("ip", strings.Fields(args)...))
	must(w.t, err)
	return string(out)
}
