//go:build netns

package tunnel

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

// puppetKinds are all types whose programs may be puppets: with settings with which
// nobody is asked, and what is reported of a tunnel.
var puppetKinds = []struct {
	typ      string
	programs []string
	settings func(*testing.T) map[string]string
	up       []string
}{
	{"openvpn", []string{"openvpn"}, func(t *testing.T) map[string]string { return withCertificate(newAuthority(t)) },
		[]string{"script_type=up", "ifconfig_local=10.99.0.2", "ifconfig_netmask=255.255.255.0", "trusted_ip=" + serverIP}},
	{"openconnect", []string{"openconnect"}, func(*testing.T) map[string]string {
		return map[string]string{"OpenConnect.AuthType": "userpass", "OpenConnect.Username": userName, "OpenConnect.Password": password}
	}, tunnelled},
	{"vpnc", []string{"vpnc"}, func(*testing.T) map[string]string { return vpncLogin }, tunnelled},
	{"l2tp", []string{"xl2tpd", "pppd"}, func(*testing.T) map[string]string {
		return map[string]string{"L2TP.User": userName, "L2TP.Password": password}
	}, nil},
	{"pptp", []string{"pppd", "pptp"}, func(*testing.T) map[string]string {
		return map[string]string{"PPTP.User": userName, "PPTP.Password": password}
	}, nil},
}

// TestFloods has programs of each type write as much as they can: many lines, and
// one line without an end. They have to wait, the daemon has not.
func TestFloods(t *testing.T) {
	for _, kind := range puppetKinds {
		t.Run(kind.typ, func(t *testing.T) {
			w, stage := newStage(t, kind.programs...)
			path := w.create(kind.typ, kind.settings(t))
			w.agent.will(map[string]string{"Username": userName, "Password": password}) // the flood may speak of a refusal
			for what, text := range map[string]string{
				"lines":    strings.Repeat("Password: of alice is not known here, says 10.98.0.1\n", 1000),
				"prompts":  strings.Repeat("Password:\n", 1000),
				"one line": strings.Repeat("x", 100_000),
			} {
				reply := w.connecting(path)
				p := stage.enter()
				before, began := w.processor(), time.Now()
				p.obey(order{What: floodWith, Text: text})
				for tick := time.Tick(50 * time.Millisecond); len(reply.Done) == 0 && time.Since(began) < 5*time.Second; <-tick {
					must(t, w.call(managerPath, "Manager.GetConnections").Err)
				}
				used, took := w.processor()-before, time.Since(began)
				t.Logf("%s: %v of processor in %v, Rss %.1f MB", what, used, took.Round(time.Millisecond), w.rss())
				if used > took/4 {
					t.Errorf("%s: the daemon needs %v of processor in %v", what, used, took)
				}
				must(t, w.call(path, "Connection.Disconnect").Err)
				<-reply.Done
				must(t, w.atRest(path))
				w.leavesNothing()
			}
			w.boundedMemory()
			info, err := os.Stat(w.daemon.Log)
			must(t, err)
			if info.Size() > 8<<20 {
				t.Errorf("the log has %d bytes", info.Size())
			}
		})
	}
}

// atRest waits until a connection is as good as never connected.
func (w *world) atRest(path dbus.ObjectPath) error {
	return lab.Eventually(patience, func() error {
		if state := w.properties(path)["State"].Value(); state != "idle" && state != "failure" {
			return fmt.Errorf("the connection is %v", state)
		}
		return nil
	})
}

// processor is the time of the processor that the daemon has had.
func (w *world) processor() time.Duration {
	w.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.daemon.Pid()))
	must(w.t, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system int
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system) // proc(5): in hundredths of a second
	must(w.t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestProgramsDie kills programs of each type before and after their tunnel is
// there, and stops them so that they hang: nothing stays, and what hangs is given up.
func TestProgramsDie(t *testing.T) {
	for _, kind := range puppetKinds {
		t.Run(kind.typ, func(t *testing.T) {
			w, stage := newStage(t, kind.programs...)
			path := w.create(kind.typ, kind.settings(t))
			kill := func(signal syscall.Signal, p *puppet) { must(t, syscall.Kill(p.Pid, signal)) }

			reply := w.connecting(path)
			kill(syscall.SIGKILL, stage.enter())
			if err := (<-reply.Done).Err; err == nil {
				t.Error("connected without a program")
			}
			w.untilState(path, "failure")
			w.leavesNothing()

			if kind.up != nil {
				reply = w.connecting(path)
				p := stage.enter()
				if said := p.report(kind.up...); said != "" {
					t.Fatal(said)
				}
				must(t, (<-reply.Done).Err)
				kill(syscall.SIGKILL, p)
				must(t, w.atRest(path))
				w.leavesNothing()

				// One that hangs with a tunnel does not keep anybody from disconnecting.
				reply = w.connecting(path)
				p = stage.enter()
				p.report(kind.up...)
				must(t, (<-reply.Done).Err)
				kill(syscall.SIGSTOP, p)
				must(t, w.call(path, "Connection.Disconnect").Err)
				w.untilState(path, "idle")
				w.leavesNothing()
			}

			// One that hangs before is given up after two minutes.
			began := time.Now()
			late := make(chan *dbus.Call, 1)
			w.conn.Object(vpnName, path).Go(vpnName+".Connection.Connect", 0, late)
			kill(syscall.SIGSTOP, stage.enter())
			select {
			case call := <-late:
				if call.Err == nil || !strings.Contains(call.Err.Error(), "does not answer") {
					t.Errorf("a program that hangs: %v", call.Err)
				}
				t.Logf("given up after %v", time.Since(began).Round(time.Second))
			case <-time.After(2*time.Minute + patience):
				t.Error("nobody gives up a program that hangs")
			}
			w.untilState(path, "failure")
			w.leavesNothing()
		})
	}
}
