package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The reference client's outcomes, recorded; see TestReference.
const recordings = "testdata/reference.json"

var update = flag.Bool("update", false, "record the reference client's outcomes again")

// commandLines are run by both clients.
var commandLines = []string{
	"state", "state x",
	"technologies", "technologies x",
	"clock", "clock x",
	"enable", "enable wifi", "enable offline", "enable done", "enable undone", "enable odd", "enable nowhere",
	"enable silent", "enable locked", "enable wi-fi", "enable wifi x", "enable |",
	"disable", "disable wifi", "disable offline", "disable done", "disable undone", "disable odd", "disable nowhere",
	"disable locked", "disable wi-fi", "disable wifi x",
	"tether", "tether wifi", "tether wifi on", "tether wifi off", "tether wifi maybe", "tether bluetooth on",
	"tether bluetooth off x", "tether gad-get on", "tether locked on", "tether locked off",
	"tether wifi ssid pass", "tether wifi on off", "tether wifi on ssid pass", "tether wifi off ssid pass",
	"tether wifi maybe ssid pass", "tether wifi on ssid pass 2412", "tether wifi on ssid pass 24x",
	"tether wifi on ssid pass x", "tether wifi on ssid pass 2412 x",
	"tethering_clients", "tethering_clients x",
	"services", "services wifi_1", "services wifi_6", "services wifi_7", "services ethernet_027702000002_cable",
	"services none", "services a-b", "services |", "services a b", "services a b c", "services --properties",
	"services --properties wifi_1", "services properties wifi_1", "services --properties a-b", "services --bogus wifi_1",
	"peers", "peers peer_1", "peers none", "peers a-b", "peers a b",
	"scan", "scan wifi", "scan locked", "scan a-b", "scan wifi x",
	"connect", "connect wifi_1", "connect locked", "connect peer_1", "connect peer_locked", "connect a-b", "connect a b",
	"disconnect", "disconnect wifi_1", "disconnect locked", "disconnect peer_1", "disconnect a-b", "disconnect a b",
	"move-before", "move-before wifi_1", "move-before wifi_1 wifi_2", "move-before locked wifi_2", "move-before a-b c",
	"move-before a b c", "move-after wifi_1 wifi_2", "move-after locked wifi_2", "move-after a b c",
	"config", "config a-b", "config wifi_1", "config wifi_1 --bogus", "config wifi_1 bogus extra",
	"config wifi_1 --autoconnect yes", "config wifi_1 autoconnect OFF", "config wifi_1 --autoconnect",
	"config wifi_1 --autoconnect maybe", "config wifi_1 --mdns on", "config wifi_1 --mdns", "config wifi_1 --mdns 7",
	"config wifi_1 --ipv4", "config wifi_1 --ipv4 dhcp", "config wifi_1 --ipv4 off",
	"config wifi_1 ipv4 manual 192.0.2.5 255.255.255.0 192.0.2.1", "config wifi_1 --ipv4 manual 192.0.2.5",
	"config wifi_1 --ipv4 manual a b c --bogus", "config locked --ipv4 dhcp",
	"config wifi_1 --ipv6", "config wifi_1 --ipv6 off", "config wifi_1 --ipv6 auto", "config wifi_1 --ipv6 auto enable",
	"config wifi_1 --ipv6 auto disable", "config wifi_1 --ipv6 auto preferred", "config wifi_1 --ipv6 auto prefered",
	"config wifi_1 --ipv6 auto never", "config wifi_1 --ipv6 bogus", "config wifi_1 --ipv6 manual 2001:db8::1 64 fe80::1",
	"config wifi_1 --ipv6 manual 2001:db8::1", "config wifi_1 --ipv6 manual",
	"config wifi_1 --nameservers", "config wifi_1 --nameservers 192.0.2.1 192.0.2.2", "config locked --nameservers 192.0.2.1",
	"config wifi_1 --nameservers 192.0.2.1 --domains x", "config wifi_1 --timeservers a b", "config wifi_1 --domains",
	"config wifi_1 --domains a.example b.example",
	"config wifi_1 --proxy", "config wifi_1 --proxy direct", "config wifi_1 --proxy auto",
	"config wifi_1 --proxy auto http://p.example/", "config wifi_1 --proxy manual a b", "config wifi_1 --proxy manual",
	"config wifi_1 --proxy manual a --excludes b c", "config wifi_1 --proxy manual --excludes", "config wifi_1 --proxy bogus",
	"config wifi_1 --remove", "config wifi_1 --remove x", "config locked remove",
	"config wifi_1 --bogus --autoconnect yes",
	"monitor bogus", "monitor a b c", "monitor services off", "monitor tech off", "monitor manager off",
	"monitor vpnmanager off", "monitor vpnconnection off",
	"vpnconnections", "vpnconnections a", "vpnconnections none", "vpnconnections a-b", "vpnconnections a b",
	"peer_service", "peer_service register", "peer_service register wfd_ies 0a1B", "peer_service unregister wfd_ies 0a1b",
	"peer_service register wfd_ies 0a1", "peer_service register wfd_ies zz", "peer_service x wfd_ies 0a",
	"peer_service register upnp_service urn:x upnp_version 10", "peer_service register upnp_service urn:x upnp_version 10 yes",
	"peer_service register upnp_service urn:x upnp_version 10 maybe", "peer_service register upnp_service urn:x upnp_version x",
	"peer_service register upnp_service urn:x upnp_version 0", "peer_service register upnp_service urn:x version 10",
	"peer_service register bjr_query 0a bjr_response 0b0c", "peer_service unregister bjr_query 0a bjr_response 0b0c",
	"peer_service register bjr_query 0a bjr_response 0b yes", "peer_service register bogus 0a bogus 0b",
	"session", "session off", "session disconnect", "session config", "session config --type any", "session bogus",
	"session on --type local", "session connect --bearers wifi ethernet --type internet --srciprule on --ctxid x",
	"session on --bogus", "session on --type", "session on --ifname",
	"agent", "agent on", "agent off", "agent maybe", "agent on x", "vpnagent", "vpnagent on", "vpnagent off x",
	"help", "help me", "--help", "-h", "exit", "quit", "exit now", "bogus", "--bogus", "|",
}

// words splits a command line; a bar stands for an empty argument.
func words(line string) []string {
	args := strings.Fields(line)
	for i := range args {
		args[i] = strings.TrimSuffix(args[i], "|")
	}
	return args
}

// TestSameAsReference compares our client's text and calls with the reference's.
func TestSameAsReference(t *testing.T) {
	want := readRecordings(t)
	w := newWorld(t)
	for _, line := range commandLines {
		t.Run(line, func(t *testing.T) {
			recorded, ok := want[line]
			if !ok {
				t.Fatal("no recording: run with -update and the reference client at hand")
			}
			got := finish(t, client(deadline(t), w.Bus, words(line)...))
			got.Calls = withoutLookups(anyProcess(w.Calls()), recorded.Calls)
			got.Stderr = withoutHints(got.Stderr)
			recorded.Stderr = asNewer(recorded.Stderr)
			if diff := cmp.Diff(recorded, got, cmp.FilterPath(hidden, cmp.Ignore())); diff != "" {
				t.Errorf("differs from the reference (-reference +ours):\n%s", diff)
			}
		})
	}
}

// withoutLookups drops the questions that turn names into identifiers, which
// the reference does not take, unless it asks them too.
func withoutLookups(calls, recorded []string) []string {
	var kept []string
	for _, call := range calls {
		lookup := strings.HasSuffix(call, ".GetServices") || strings.HasSuffix(call, ".GetPeers") ||
			strings.HasSuffix(call, ".GetConnections") || strings.HasSuffix(call, ".GetTechnologies")
		if !lookup || slices.Contains(recorded, call) {
			kept = append(kept, call)
		}
	}
	return kept
}

// withoutHints drops what is said behind the reference's errors.
func withoutHints(stderr string) string {
	var kept strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "Hint: ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// asNewer turns an error of the recorded release into that of later ones, which
// end every line.
func asNewer(stderr string) string {
	if strings.HasPrefix(stderr, "Error creating session: ") && !strings.HasSuffix(stderr, "\n") {
		return stderr + "\n"
	}
	return stderr
}

var ownPath = regexp.MustCompile(`/connmanctl[0-9]+`)

// anyProcess takes the client's process out of the paths it hands over.
func anyProcess(calls []string) []string {
	for i := range calls {
		calls[i] = ownPath.ReplaceAllString(calls[i], "/connmanctlPID")
	}
	return calls
}

func hidden(path cmp.Path) bool { return path.Last().String() == ".status" }

// TestReference runs the reference client itself, where there is one, and
// compares it with what was recorded of it, or with -update records it.
func TestReference(t *testing.T) {
	path := referenceClient()
	if path == "" {
		t.Skip("no reference client: CONNMAN_REFERENCE names no directory with connman/usr/bin/connmanctl")
	}
	w := newWorld(t)
	got := map[string]outcome{}
	for _, line := range commandLines {
		run := finish(t, program(deadline(t), w.Bus, path, words(line)...))
		run.Calls, run.status = anyProcess(w.Calls()), 0
		got[line] = run
	}
	if *update {
		writeRecordings(t, got)
	}
	if diff := cmp.Diff(readRecordings(t), got, cmp.FilterPath(hidden, cmp.Ignore())); diff != "" {
		t.Errorf("the reference differs from its recording (-recorded +now):\n%s", diff)
	}
}

func referenceClient() string {
	path := filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "connman/usr/bin/connmanctl")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func readRecordings(t *testing.T) map[string]outcome {
	t.Helper()
	data, err := os.ReadFile(recordings)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]outcome
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func writeRecordings(t *testing.T, all map[string]outcome) {
	t.Helper()
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recordings, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
