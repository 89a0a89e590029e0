//go:build netns

package client

import (
	"fmt"
	"slices"
	"strings"
)

// step is a command line and what it does to the world. S0 and S1 stand for the
// identifiers of the services, a bar for an empty argument.
type step struct {
	line  string
	until condition // waited for before the next step; nil for nothing
}

// property wants an entry of a service's dictionary property to be a text.
func property(service int, name, key, want string) condition {
	return func(w *world) error {
		p, err := w.service(service)
		if err != nil {
			return err
		}
		value := p[name].Value()
		if d, ok := value.(dict); ok {
			value = d[key].Value()
		}
		if got := fmt.Sprint(value); got != want {
			return fmt.Errorf("%s %s is %s, want %s", name, key, got, want)
		}
		return nil
	}
}

// plain are steps that change nothing.
func plain(lines string) []step {
	var steps []step
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			steps = append(steps, step{line: line})
		}
	}
	return steps
}

// tour leads through every command with good and bad arguments, and back to where
// it began.
var tour = slices.Concat(queries, wrong, changes)

var queries = plain(`
	state
	state x
	technologies
	technologies x
	clock x
	services
	services S0
	services S1
	services none
	services a-b
	services |
	services S0 S1
	services S0 x y
	services --properties
	services --properties S0
	services properties S0
	services --properties a-b
	services --bogus S0
	peers
	peers peer_1
	peers none
	peers a-b
	peers a b
	tethering_clients
	tethering_clients x
	vpnconnections
	vpnconnections 192_0_2_77_office_example
	vpnconnections none
	vpnconnections a-b
	vpnconnections a b
	help
	help me
	--help
	-h
	exit
	quit
	exit now
	bogus
	--bogus
	|
	monitor bogus
	monitor a b c
	monitor services off
	monitor tech off
	monitor manager off
	monitor vpnmanager off
	monitor vpnconnection off
	agent
	agent on
	agent off
	agent maybe
	agent on x
	vpnagent
	vpnagent on
	vpnagent off x
	session
	session off
	session disconnect
	session config
	session config --type any
	session bogus
`)

// wrong are refused: by the client or by the daemon.
var wrong = plain(`
	enable
	enable a-b
	enable |
	enable nowhere
	enable ethernet
	enable ethernet x
	disable
	disable wi-fi
	disable nowhere
	disable offline
	disable ethernet x
	tether
	tether ethernet
	tether ethernet maybe
	tether ethernet on x
	tether gad-get on
	tether nowhere on
	tether nowhere off
	tether wifi ssid pass
	tether wifi on ssid pass
	tether wifi off ssid pass
	tether wifi maybe ssid pass
	tether wifi on ssid pass 2412
	tether wifi on ssid pass 2412 x
	tether ethernet off
	scan
	scan ethernet
	scan nowhere
	scan a-b
	scan ethernet x
	connect
	connect none
	connect peer_1
	connect a-b
	connect S0
	connect S0 S1
	connect |
	disconnect
	disconnect none
	disconnect peer_1
	disconnect a-b
	disconnect S0 S1
	move-before
	move-before S0
	move-before S0 S0
	move-before none S1
	move-before S0 none
	move-before a-b S1
	move-before S0 S1 x
	move-after
	move-after S1 S1
	move-after none S1
	move-after S0 S1 x
	config
	config none
	config none --autoconnect yes
	config a-b
	config S0
	config S0 --bogus
	config S0 bogus extra
	config S0 --autoconnect
	config S0 --autoconnect maybe
	config S0 --mdns
	config S0 --mdns 7
	config S0 --ipv4
	config S0 --ipv4 bogus
	config S0 --ipv4 manual a b c
	config S0 --ipv6
	config S0 --ipv6 bogus
	config S0 --ipv6 auto never
	config S0 --ipv6 manual
	config S0 --ipv6 manual nonsense 64 fe80::1
	config S0 --ipv6 manual 2001:db8::5 129 fe80::1
	config S0 --nameservers nonsense
	peer_service
	peer_service register
	peer_service register wfd_ies 0a1B
	peer_service unregister wfd_ies 0a1b
	peer_service register wfd_ies 0a1
	peer_service x wfd_ies 0a
	peer_service register upnp_service urn:x upnp_version 10
	peer_service register upnp_service urn:x upnp_version 0
	peer_service register bjr_query 0a bjr_response 0b0c
	peer_service unregister bjr_query 0a bjr_response 0b0c
	peer_service register bogus 0a bogus 0b
`)

// manyCalls are lines of more than one call. The reference leaves with the first
// answer and what else has come by then; ours prints them all.
var manyCalls = []string{
	"tether wifi ssid pass",
	"tether wifi on ssid pass",
	"tether wifi off ssid pass",
	"tether wifi on ssid pass 2412",
	"config S0 --autoconnect no --mdns yes",
	"config S0 --autoconnect yes --mdns no",
}

// telling are texts that lines have to print, so that two clients that see
// nothing are not taken for equal.
var telling = map[string]string{
	"technologies":   "/net/connman/technology/ethernet",
	"services S1":    "02:77:02:00:00:01",
	"vpnconnections": "Office",
	"vpnconnections 192_0_2_77_office_example": "Type = wireguard",
	"help": "tethering_clients",
}

// changes do something, and undo it.
var changes = []step{
	{line: "enable offline", until: off},
	{line: "enable offline"},
	{line: "state"},
	{line: "technologies"},
	{line: "disable offline", until: restored},
	{line: "disable ethernet", until: off},
	{line: "disable ethernet"},
	{line: "services"},
	{line: "state"},
	{line: "scan ethernet"},
	{line: "enable ethernet", until: restored},
	{line: "disconnect S1", until: states("online", "idle")},
	{line: "disconnect S1"},
	{line: "services S1"},
	{line: "services"},
	{line: "connect S1", until: restored},
	{line: "connect S1"},
	{line: "move-before S1 S0", until: states("ready", "online")},
	{line: "services"},
	{line: "move-before S1 S0"},
	{line: "move-after S1 S0", until: settled},
	{line: "move-after S1 S0"},
	{line: "config S0 --autoconnect no"},
	{line: "services S0"},
	{line: "services"},
	{line: "config S0 autoconnect ON", until: settled},
	{line: "config S0 --mdns yes"},
	{line: "services S0"},
	{line: "config S0 --mdns no", until: settled},
	{line: "config S0 --ipv4 off", until: property(0, "IPv4.Configuration", "Method", "off")},
	{line: "config S0 --ipv4 manual 10.77.0.200 255.255.240.0 10.77.0.1", until: property(0, "IPv4", "Address", "10.77.0.200")},
	{line: "config S0 --ipv4 dhcp", until: restored},
	{line: "config S0 --ipv6 off", until: property(0, "IPv6.Configuration", "Method", "off")},
	{line: "services S0"},
	{line: "config S0 --ipv6 manual 2001:db8::5 64 fe80::1", until: property(0, "IPv6.Configuration", "Method", "manual")},
	{line: "config S0 --ipv6 auto preferred", until: property(0, "IPv6.Configuration", "Privacy", "prefered")},
	{line: "config S0 --ipv6 auto disable", until: settled},
	{line: "config S0 --nameservers 192.0.2.1 192.0.2.2"},
	{line: "services S0"},
	{line: "config S0 --nameservers", until: settled},
	{line: "config S0 --timeservers ntp.example 192.0.2.3"},
	{line: "services S0"},
	{line: "config S0 --timeservers", until: settled},
	{line: "config S0 --domains a.example b.example"},
	{line: "services S0"},
	{line: "config S0 --domains", until: settled},
	{line: "config S0 --proxy manual proxy.example:3128 other.example --excludes localhost"},
	{line: "services S0"},
	{line: "config S0 --proxy auto http://proxy.example/"},
	{line: "services S0"},
	{line: "config S0 --proxy auto"},
	{line: "config S0 --proxy"},
	{line: "config S0 --proxy bogus"},
	{line: "config S0 --proxy manual"},
	{line: "services S0"},
	{line: "config S0 --proxy direct", until: settled},
	{line: "config S0 --remove"},
	{line: "services"},
	{line: "connect S0", until: restored},
	{line: "config S0 --autoconnect no --mdns yes"},
	{line: "config S0 --autoconnect yes --mdns no", until: settled},
}
