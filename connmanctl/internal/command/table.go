package command

import "net.connman/connmanctl/internal/view"

// option is a word that a command knows, and its help.
type option struct{ name, help string }

// command is an entry of the help. The texts are the reference client's.
type command struct {
	name    string
	args    string
	options []option
	help    string
	run     func(*Session, []string) error // starts the command
	words   candidates                     // may be nil
	json    bool                           // takes --json
}

var serviceOptions = []option{{"properties", "[<service>]      (obsolete)"}}

// connectOptions are those of a single command; the reference client has none,
// so they are not in the help.
var connectOptions = []string{"--passphrase-file", "--passphrase-fd", "--identity", "--hidden"}

var configOptions = []option{
	{"nameservers", "<dns1> [<dns2>] [<dns3>]"},
	{"timeservers", "<ntp1> [<ntp2>] [...]"},
	{"domains", "<domain1> [<domain2>] [...]"},
	{"mdns", "yes|no"},
	{"ipv6", "off|auto [enable|disable|preferred]|\n\t\t\tmanual <address> <prefixlength> <gateway>"},
	{"proxy", "direct|auto <URL>|manual <URL1> [<URL2>] [...]\n\t\t\t[exclude <exclude1> [<exclude2>] [...]]"},
	{"autoconnect", "yes|no"},
	{"ipv4", "off|dhcp|manual <address> <netmask> <gateway>"},
	{"remove", "                 Remove service"},
}

var monitorOptions = []option{
	{"services", "[off]            Monitor only services"},
	{"tech", "[off]            Monitor only technologies"},
	{"manager", "[off]            Monitor only manager interface"},
	{"vpnmanager", "[off]            Monitor only VPN manager interface"},
	{"vpnconnection", "[off]            Monitor only VPN connections"},
}

var sessionOptions = []option{
	{"bearers", "<technology1> [<technology2> [...]]"},
	{"type", "local|internet|any"},
	{"ifname", "[<interface_name>]"},
	{"srciprule", "yes|no"},
	{"ctxid", "<context_identifier>"},
}

// table is set up in init because help prints it.
var table []command

func init() {
	table = []command{
		{"state", "", nil, "Shows if the system is online or offline",
			list(manager, "GetProperties", properties(view.KindManager)), nil, true},
		{"technologies", "", nil, "Display technologies",
			list(manager, "GetTechnologies", objects(view.KindTechnology, view.Objects, nil)), nil, true},
		{"clock", "", nil, "Get System Clock Properties",
			list(target{daemon, managerPath, clockIface}, "GetProperties", properties(view.KindClock)), nil, true},
		{"enable", "<technology>|offline", nil, "Enables given technology or offline mode", enable, technologyOrOffline, false},
		{"disable", "<technology>|offline", nil, "Disables given technology or offline mode", disable, technologyOrOffline, false},
		{"tether", "<technology> on|off\n            wifi [on|off] <ssid> <passphrase> [<freq>] ", nil,
			"Enable, disable tethering, set SSID and passphrase for wifi", tether, technologyThenSwitch, false},
		{"tethering_clients", "", nil, "Display tethering clients",
			list(manager, "GetTetheringClients", look{view.TetheringClients, view.JSONClients, nil}), nil, true},
		{"services", "[<service>]", serviceOptions, "Display services", showServices, serviceWord, true},
		{"peers", "[peer]", nil, "Display peers",
			listOr(list(manager, "GetPeers", objects(view.KindPeer, view.Peers, view.PeerShown)), "peers", peerList, peer, view.KindPeer), peerWord, true},
		{"scan", "<technology>", nil, "Scans for new services for given technology", scan, technologyWord, false},
		{"connect", "<service/peer>", nil, "Connect a given service or peer", connect, connectWord, false},
		{"disconnect", "<service/peer>", nil, "Disconnect a given service or peer", disconnect, serviceOrPeer, false},
		{"move-before", "<service> <target service>\t", nil, "Move <service> before <target service>",
			move("move-before", "MoveBefore", "before"), twoServices, false},
		{"move-after", "<service> <target service>\t", nil, "Move <service> after <target service>",
			move("move-after", "MoveAfter", "after"), twoServices, false},
		{"config", "<service>", configOptions, "Set service configuration options", config, configWord, false},
		{"monitor", "[off]", monitorOptions, "Monitor signals from interfaces", monitor, monitorWord, true},
		{"agent", "on|off", nil, "Agent mode", networkAgent, switchFirst, false},
		{"vpnconnections", "[<connection>]", nil, "Display VPN connections",
			listOr(list(vpnManager, "GetConnections", objects(view.KindVPN, view.VPNConnections, view.VPNShown)),
				"vpnconnections", connectionList, vpnConnection, view.KindVPN), connectionWord, true},
		{"vpnagent", "on|off", nil, "VPN Agent mode", vpnAgent, switchFirst, false},
		{"session", "on|off|connect|disconnect|config", sessionOptions, "Enable or disable a session",
			liveSession, sessionWord, true},
		{"peer_service", "register|unregister <specs> <master>\n" +
			"Where specs are:\n" +
			"\tbjr_query <query> bjr_response <response>\n" +
			"\tupnp_service <service> upnp_version <version>\n" +
			"\twfd_ies <ies>\n", nil,
			"(Un)Register a Peer Service", peerService, nil, false},
		{"help", "", nil, "Show help", help, nil, false},
		{"exit", "", nil, "Exit", leave, nil, false},
		{"quit", "", nil, "Quit", leave, nil, false},
	}
}

// additions are commands that the reference client hasn't; they are not in the
// help.
var additions = []command{
	{name: "vpn", args: "import <file>", help: "Import a VPN profile", run: vpnCommand, words: vpnWord},
}

// lookup returns the command of a name, nil when there is none.
func lookup(name string) *command {
	for _, list := range [][]command{table, additions} {
		for i := range list {
			if list[i].name == name {
				return &list[i]
			}
		}
	}
	return nil
}
