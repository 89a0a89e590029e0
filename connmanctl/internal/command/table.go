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
}

var serviceOptions = []option{{"properties", "[<service>]      (obsolete)"}}

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
			list(manager, "GetProperties", view.Properties), nil},
		{"technologies", "", nil, "Display technologies",
			list(manager, "GetTechnologies", view.Objects), nil},
		{"clock", "", nil, "Get System Clock Properties",
			list(target{daemon, managerPath, clockIface}, "GetProperties", view.Properties), nil},
		{"enable", "<technology>|offline", nil, "Enables given technology or offline mode", enable, technologyOrOffline},
		{"disable", "<technology>|offline", nil, "Disables given technology or offline mode", disable, technologyOrOffline},
		{"tether", "<technology> on|off\n            wifi [on|off] <ssid> <passphrase> [<freq>] ", nil,
			"Enable, disable tethering, set SSID and passphrase for wifi", tether, technologyThenSwitch},
		{"tethering_clients", "", nil, "Display tethering clients",
			list(manager, "GetTetheringClients", view.TetheringClients), nil},
		{"services", "[<service>]", serviceOptions, "Display services", showServices, serviceWord},
		{"peers", "[peer]", nil, "Display peers",
			listOr(list(manager, "GetPeers", view.Peers), peer), peerWord},
		{"scan", "<technology>", nil, "Scans for new services for given technology", scan, technologyWord},
		{"connect", "<service/peer>", nil, "Connect a given service or peer", connect, serviceOrPeer},
		{"disconnect", "<service/peer>", nil, "Disconnect a given service or peer", disconnect, serviceOrPeer},
		{"move-before", "<service> <target service>\t", nil, "Move <service> before <target service>",
			move("MoveBefore", "before"), twoServices},
		{"move-after", "<service> <target service>\t", nil, "Move <service> after <target service>",
			move("MoveAfter", "after"), twoServices},
		{"config", "<service>", configOptions, "Set service configuration options", config, configWord},
		{"monitor", "[off]", monitorOptions, "Monitor signals from interfaces", monitor, monitorWord},
		{"agent", "on|off", nil, "Agent mode", networkAgent, switchFirst},
		{"vpnconnections", "[<connection>]", nil, "Display VPN connections",
			listOr(list(vpnManager, "GetConnections", view.VPNConnections), vpnConnection), connectionWord},
		{"vpnagent", "on|off", nil, "VPN Agent mode", vpnAgent, switchFirst},
		{"session", "on|off|connect|disconnect|config", sessionOptions, "Enable or disable a session",
			liveSession, sessionWord},
		{"peer_service", "register|unregister <specs> <master>\n" +
			"Where specs are:\n" +
			"\tbjr_query <query> bjr_response <response>\n" +
			"\tupnp_service <service> upnp_version <version>\n" +
			"\twfd_ies <ies>\n", nil,
			"(Un)Register a Peer Service", peerService, nil},
		{"help", "", nil, "Show help", help, nil},
		{"exit", "", nil, "Exit", leave, nil},
		{"quit", "", nil, "Quit", leave, nil},
	}
}
