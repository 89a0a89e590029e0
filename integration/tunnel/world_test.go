//go:build netns || vm

package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(puppetSocket); socket != "" {
		fmt.Println("the puppet ends:", play(socket))
		return
	}
	goleak.VerifyTestMain(m)
}

// patience is how long anything may take before it counts as failed.
var patience = 60 * time.Second

const (
	vpnName     = "net.connman.vpn"
	serverIP    = "10.98.0.1"
	machineIP   = "10.98.0.2"
	managerPath = dbus.ObjectPath("/")

	// Who the servers let in.
	userName = "alice"
	password = "wonderland-7"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// peer is a program that the tests bring with them.
func peer(path string) string { return filepath.Join(os.Getenv("CONNMAN_REFERENCE"), path) }

// world is a machine with connman-vpnd and a server.
type world struct {
	t       testing.TB
	lab     *lab.Lab
	machine *lab.Host
	server  *lab.Host
	far     lab.End // the server's end of the cable
	bus     *lab.Bus
	conn    *dbus.Conn
	daemon  *lab.Process
	// connmand runs beside it in some tests, else it is nil.
	connmand *lab.Process
	agent    *agent
	before   traces // of the machine without a tunnel
	path     string // where the daemon looks for programs first, if it is to
}

// newWorld builds the hosts and starts the daemon, with an agent registered.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := newHosts(t)
	w.begin()
	return w
}

// newStage is newWorld with puppets for programs.
func newStage(t *testing.T, programs ...string) (*world, *stage) {
	t.Helper()
	w := newHosts(t)
	s := w.setStage(t, programs...)
	w.begin()
	return w, s
}

// begin starts the daemon and registers the agent.
func (w *world) begin() {
	w.t.Helper()
	w.start()
	w.agent = newAgent(w)
	w.before = w.traces()
}

// newHosts builds the hosts and the bus.
func newHosts(t *testing.T) *world {
	t.Helper()
	t.Parallel() // most of the time they wait
	w := &world{t: t, lab: lab.ForTest(t)}
	var err error
	w.machine, err = w.lab.Host("machine")
	must(t, err)
	w.server, err = w.lab.Host("server")
	must(t, err)
	near, far, err := w.lab.Cable(w.machine, "eth0", nil, w.server, "eth0")
	must(t, err)
	must(t, near.AddAddr(machineIP+"/24"))
	must(t, far.AddAddr(serverIP+"/24"))
	must(t, near.Up())
	must(t, far.Up())
	w.far = far
	w.bus, err = w.machine.StartBus()
	must(t, err)
	w.conn, err = w.bus.Connect()
	must(t, err)
	t.Cleanup(func() { w.conn.Close() })
	return w
}

// start runs the daemon until the test ends, or stop.
func (w *world) start() {
	w.t.Helper()
	cmd := exec.Command(filepath.Join(os.Getenv("CONNMAN_BIN"), "connman-vpnd"), "-n", "-d")
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.bus.Address)
	if w.path != "" {
		cmd.Env = append(cmd.Env, "PATH="+w.path+":"+os.Getenv("PATH"))
	}
	var err error
	w.daemon, err = w.machine.Start(cmd)
	must(w.t, err)
	w.await(true)
}

// await waits until the daemon has its name, or has it no more.
func (w *world) await(owned bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(w.t, w.bus.WaitName(ctx, vpnName, owned))
}

func (w *world) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.conn.Object(vpnName, path).CallWithContext(ctx, vpnName+"."+method, 0, args...)
}

// create makes a connection of the server's.
func (w *world) create(typ string, settings map[string]string) dbus.ObjectPath {
	w.t.Helper()
	all := map[string]dbus.Variant{
		"Type": dbus.MakeVariant(typ), "Name": dbus.MakeVariant("test"),
		"Host": dbus.MakeVariant(serverIP), "Domain": dbus.MakeVariant("corp.test"),
	}
	for key, value := range settings {
		all[key] = dbus.MakeVariant(value)
	}
	var path dbus.ObjectPath
	must(w.t, w.call(managerPath, "Manager.Create", all).Store(&path))
	return path
}

// connect connects, and waits until the tunnel is up or is not.
func (w *world) connect(path dbus.ObjectPath) error {
	return w.call(path, "Connection.Connect").Err
}

// remove ends a connection and takes it away. When nothing of it is left, another
// one may have its place.
func (w *world) remove(path dbus.ObjectPath) {
	w.t.Helper()
	must(w.t, w.call(path, "Connection.Disconnect").Err)
	must(w.t, lab.Eventually(patience, func() error {
		if now := w.properties(path)["State"].Value(); now != "idle" && now != "failure" {
			return fmt.Errorf("the connection is %v", now)
		}
		return nil
	}))
	must(w.t, w.call(managerPath, "Manager.Remove", path).Err)
	w.leavesNothing()
}

// properties are a connection's.
func (w *world) properties(path dbus.ObjectPath) map[string]dbus.Variant {
	w.t.Helper()
	var p map[string]dbus.Variant
	must(w.t, w.call(path, "Connection.GetProperties").Store(&p))
	return p
}

// untilState waits until a connection is in a state.
func (w *world) untilState(path dbus.ObjectPath, state string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		if now := w.properties(path)["State"].Value(); now != state {
			return fmt.Errorf("the connection is %v, want %s", now, state)
		}
		return nil
	}))
}

// configure does what connmand would: it gives the tunnel's link its address.
func (w *world) configure(path dbus.ObjectPath) {
	w.t.Helper()
	p := w.properties(path)
	link, err := w.machine.Netlink.LinkByIndex(int(p["Index"].Value().(int32)))
	must(w.t, err)
	four := p["IPv4"].Value().(map[string]dbus.Variant)
	addr, err := netlink.ParseAddr(four["Address"].Value().(string) + "/32")
	must(w.t, err)
	must(w.t, w.machine.Netlink.AddrReplace(link, addr))
}

// route sends what is for a network through the tunnel.
func (w *world) route(path dbus.ObjectPath, network string) {
	w.t.Helper()
	_, dst, err := net.ParseCIDR(network)
	must(w.t, err)
	must(w.t, w.machine.Netlink.RouteReplace(&netlink.Route{
		LinkIndex: int(w.properties(path)["Index"].Value().(int32)), Dst: dst, Scope: netlink.SCOPE_LINK,
	}))
}

// passes sends a datagram to an echo on the server's side of the tunnel and waits
// for it to come back.
func (w *world) passes(to string) {
	w.t.Helper()
	out, err := w.machine.Output(exec.Command("ping", "-n", "-c", "3", "-i", "0.2", "-W", "10", to))
	if err != nil {
		w.t.Fatalf("nothing passes the tunnel: %v\n%s", err, out)
	}
}

// leavesNothing waits until nothing of a tunnel is left: no link, no address, no
// route, no program, no file of a task and no secret where others could read it.
func (w *world) leavesNothing() {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		if now := w.traces(); now != w.before {
			return fmt.Errorf("before the tunnel there was\n%s\nnow there is\n%s", w.before, now)
		}
		if left, err := os.ReadDir(w.machine.Path("/run/connman-vpn")); err == nil && len(left) > 0 {
			return fmt.Errorf("%s is left", left[0].Name())
		}
		return w.noneRuns()
	}))
	w.secretsKept(w.agent.secrets()...)
}

// traces are what a tunnel adds to a machine: its links, with their addresses,
// and the destinations of all routes that the kernel didn't make by itself.
type traces struct{ links, routes string }

func (w *world) traces() (found traces) {
	w.t.Helper()
	links, err := w.machine.Netlink.LinkList()
	must(w.t, err)
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
		found.links += l.Attrs().Name + " "
	}
	addresses, err := w.machine.Netlink.AddrList(nil, unix.AF_INET)
	must(w.t, err)
	for _, a := range addresses {
		found.links += names[a.LinkIndex] + "/" + a.IP.String() + " "
	}
	routes, err := w.machine.Netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	must(w.t, err)
	var all []string
	for _, r := range routes {
		if r.Protocol != unix.RTPROT_KERNEL && r.Protocol != unix.RTPROT_RA {
			all = append(all, r.Dst.String())
		}
	}
	slices.Sort(all)
	found.routes = strings.Join(all, " ")
	return found
}

// noneRuns objects to programs in the machine's network that neither the test nor
// connmand has started.
func (w *world) noneRuns() error {
	here, err := w.machine.Output(exec.Command("readlink", "/proc/self/ns/net"))
	if err != nil {
		return err
	}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, path := range all {
		there, err := os.Readlink(filepath.Join(filepath.Dir(path), "ns/net"))
		if err != nil || there != strings.TrimSpace(string(here)) {
			continue // it is another's, or has ended
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		stat := string(text)
		var state byte
		var parent int
		end := strings.LastIndexByte(stat, ')')
		if _, err := fmt.Sscanf(stat[end+1:], " %c %d", &state, &parent); err != nil {
			return err
		}
		// The test's own first thread may be the one that lives on the machine.
		own := strings.HasPrefix(stat, fmt.Sprint(os.Getpid(), " "))
		if !own && parent != os.Getpid() && (w.connmand == nil || parent != w.connmand.Pid()) {
			return fmt.Errorf("%s still runs", stat[:end+1])
		}
	}
	return nil
}

// secretsKept fails if a secret is in any program's arguments or environment, or
// in the daemon's log.
func (w *world) secretsKept(secrets ...string) {
	w.t.Helper()
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
		all, err := filepath.Glob(pattern)
		must(w.t, err)
		for _, path := range all {
			text, _ := os.ReadFile(path) // what has ended has no secrets
			for _, s := range secrets {
				if strings.Contains(string(text), s) {
					w.t.Errorf("a secret is in %s", path)
				}
			}
		}
	}
	log, err := os.ReadFile(w.daemon.Log)
	must(w.t, err)
	for _, s := range secrets {
		if strings.Contains(string(log), s) {
			w.t.Error("a secret is in the log")
		}
	}
}

// isError reports whether err is the error of that name of net.connman.
func isError(err error, name string) bool {
	var e dbus.Error
	return errors.As(err, &e) && e.Name == "net.connman.Error."+name
}

// bindMount shows a directory at another place, for the host that calls it.
func bindMount(from, to string) error { return unix.Mount(from, to, "", unix.MS_BIND, "") }
