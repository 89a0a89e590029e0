package core

import (
	"net/netip"
	"slices"
	"time"

	"net.connman/pkg/logx"
	"net.connman/pkg/netcfg"
)

// What core needs from outside. Every function here is called on the loop,
// returns at once and reports on the loop; after a Stop or cancel no report
// arrives any more.

// HardwareAddr is a link-layer address in its binary form, comparable unlike
// net.HardwareAddr.
type HardwareAddr string

// Links configures the kernel's links.
type Links interface {
	// Apply makes the configuration that core owns on the link equal to want:
	// only the difference touches the kernel, and addresses and routes that
	// neither Apply nor an earlier run of the daemon put there stay. A newer
	// Apply replaces one still under way. done, which may be nil, hears what
	// IPv4 lacks; for IPv6 addresses see AwaitAddress.
	Apply(index int, want netcfg.LinkConfig, done func(error))
	// Observed returns what the kernel has on the link now.
	Observed(index int) netcfg.LinkConfig
	// SetIPv6 has the kernel treat IPv6 on the link as want says; done, which
	// may be nil, hears an error where there is no IPv6 to be had, and one that
	// heard none also when IPv6 is switched off later.
	SetIPv6(index int, want netcfg.IPv6Link, done func(error))
	// AwaitAddress tells once whether an address of the link can be used, when
	// the kernel knows: unique is false when another machine has it.
	AwaitAddress(index int, addr netip.Addr, done func(unique bool)) (cancel func())
	// Open6to4 brings up a link that carries IPv6 in IPv4 packets from local, in
	// the place of the one there was (RFC 3056); done hears which, unless close
	// comes before. close takes it away.
	Open6to4(local netip.Addr, done func(Link, error)) (close func())
	// SetUp brings the link administratively up or down; done may be nil.
	SetUp(index int, up bool, done func(error))
}

// Link says which interface a protocol runs on.
type Link struct {
	Index int
	Name  string
	Addr  HardwareAddr
}

// Lease is what DHCP gave. It holds values that were checked: see the dhcp4
// package for what is refused.
type Lease struct {
	IP          netcfg.IPConfig
	DNS         netcfg.DNSConfig
	Timeservers []string
	Hostname    string        // option 12, a valid host name or empty
	Domainname  string        // option 15, a valid domain name or empty
	WPAD        string        // option 252, URL of a PAC file
	Portal      string        // option 114, URL of a captive portal's API (RFC 8910)
	Server      netip.Addr    // who gave it
	Lifetime    time.Duration // from the moment of the report; 0 is for ever
}

// DHCPEvent is one of the events below.
type DHCPEvent interface{ dhcpEvent() }

type (
	// DHCPBound reports a lease, new, renewed or changed.
	DHCPBound struct{ Lease Lease }
	// DHCPLost says that the lease is gone: expired, refused by its server
	// or, with Conflict valid, found to be in use by another machine. The
	// client tries on by itself.
	DHCPLost struct{ Conflict Conflict }
	// DHCPNoAnswer says that no server answered a whole round of attempts.
	// The client tries on by itself, more and more slowly.
	DHCPNoAnswer struct{}
)

func (DHCPBound) dhcpEvent()    {}
func (DHCPLost) dhcpEvent()     {}
func (DHCPNoAnswer) dhcpEvent() {}

// Conflict says who else uses an address. It is valid when Address is.
type Conflict struct {
	Address netip.Addr
	Holder  HardwareAddr // "" when the kernel found it, which does not say
}

// DHCPRequest says what a client should ask for.
type DHCPRequest struct {
	Link           Link
	Network        string     // names the network, "" where only the cable does
	Last           netip.Addr // address of an earlier lease; invalid: none
	Hostname       string     // sent as option 12 unless empty
	VendorClass    string     // sent as option 60 unless empty
	CheckConflicts bool       // probe an offered address before using it (RFC 5227)
}

// DHCP4 runs DHCPv4 clients.
type DHCP4 interface {
	Start(req DHCPRequest, report func(DHCPEvent)) DHCP4Client
}

// DHCP4Client is one running client.
type DHCP4Client interface {
	// Stop ends the client; release gives the lease back to its server.
	Stop(release bool)
}

// ConflictWatch is a running address conflict detection (RFC 5227).
type ConflictWatch interface{ Stop() }

// ConflictEvent is one of the events below.
type ConflictEvent interface{ conflictEvent() }

type (
	// AddressFree says that nobody answered the probes: the address may be
	// used and is announced and defended from now on.
	AddressFree struct{}
	// AddressTaken says that another machine has the address: before its use
	// or, having been defended in vain, during it. The watch has ended.
	AddressTaken struct{ Conflict Conflict }
)

func (AddressFree) conflictEvent()  {}
func (AddressTaken) conflictEvent() {}

// ConflictDetector probes addresses before their use and defends them during
// it.
type ConflictDetector interface {
	Watch(link Link, address netip.Addr, report func(ConflictEvent)) ConflictWatch
}

// LinkLocalEvent is one of the events below.
type LinkLocalEvent interface{ linkLocalEvent() }

type (
	// LinkLocalBound reports the address that was claimed.
	LinkLocalBound struct{ Address netip.Addr }
	// LinkLocalLost says that it was lost to another machine; the next one is
	// being looked for.
	LinkLocalLost struct{ Conflict Conflict }
)

func (LinkLocalBound) linkLocalEvent() {}
func (LinkLocalLost) linkLocalEvent()  {}

// LinkLocal claims IPv4 link-local addresses (RFC 3927).
type LinkLocal interface {
	// Start claims an address, last if that is one and is free.
	Start(link Link, last netip.Addr, report func(LinkLocalEvent)) LinkLocalClient
}

// LinkLocalClient is one running claim.
type LinkLocalClient interface{ Stop() }

// ProbeRequest asks whether the Internet can be reached through one link.
type ProbeRequest struct {
	Link           Link
	URL            string        // http://…
	Source         netip.Addr    // the link's own address; also says the family
	Nameservers    []netip.Addr  // to resolve the URL's host, through the link
	ConnectTimeout time.Duration // 0 leaves it to the system
}

// ProbeResult is what came of a probe.
type ProbeResult struct {
	Online bool
	// Portal is where a captive portal wants the user to go, "" if none.
	Portal string
	// Err says why the service is not online.
	Err error
}

// Prober checks for the Internet.
type Prober interface {
	Probe(req ProbeRequest, done func(ProbeResult)) (cancel func())
}

// LinkDNS is what one connected service contributes to name resolution.
type LinkDNS struct {
	Link  Link
	DNS   netcfg.DNSConfig
	Split bool     // only for its own domains (a VPN beside the default route)
	Hosts []string // asked here with all below them, but not searched
	MDNS  bool     // multicast DNS is wanted (RFC 6762)
}

// Equal reports whether both say the same.
func (l LinkDNS) Equal(o LinkDNS) bool {
	return l.Link == o.Link && l.DNS.Equal(o.DNS) && l.Split == o.Split && l.MDNS == o.MDNS && slices.Equal(l.Hosts, o.Hosts)
}

// Resolver makes the machine resolve names.
type Resolver interface {
	// Set replaces all that was set before. links are in service order, the
	// default service first; fallback are servers for when they have none.
	Set(links []LinkDNS, fallback []netip.Addr)
}

// Hostnames sets the machine's names. An empty name restores the one the
// machine had.
type Hostnames interface {
	// Hostname is the machine's own name, which servers are told.
	Hostname() string
	SetHostname(name string)
	SetDomainname(name string)
}

// GlobalSettings are the settings that belong to no service.
type GlobalSettings struct {
	OfflineMode  bool
	Technologies map[Type]TechnologySettings
}

// TechnologySettings are what is remembered of a technology.
type TechnologySettings struct {
	Enable              bool
	Tethering           bool
	TetheringIdentifier string
	TetheringPassphrase logx.Secret
	TetheringFreq       int // MHz; 0 is the default, 2412
}

// ServiceSettings are what is remembered of a service.
type ServiceSettings struct {
	Name        string
	AutoConnect *bool // nil: never said
	Favorite    bool
	Modified    time.Time // zero: never connected by the user

	IPv4 IPv4Settings
	IPv6 IPv6Settings

	DUID         DUID       // this machine to DHCPv6 servers; "": never asked one
	LastAddress6 netip.Addr // of the last DHCPv6 lease

	Nameservers []string
	Timeservers []string
	Domains     []string
	Proxy       netcfg.ProxyConfig
	MDNS        bool

	// Of VPNs.
	SplitRouting bool // only what is routed into it goes through it

	// Of wireless services.
	SSID       string        // as it is on the air
	Hidden     bool          // the network does not tell its SSID
	Frequency  int           // where it was last, MHz; 0: not known
	Address    AddressPolicy // "": as the configuration says
	Identity   string        // for 802.1X, as the user said
	Passphrase logx.Secret

	ConfigFile  string // provisioning file and group that made the service
	ConfigEntry string
}

// IPv4Settings are a service's IPv4 settings. Address, Netmask's prefix length
// and Gateway belong to the manual method.
type IPv4Settings struct {
	Method      IPv4Method // "" is the default, dhcp
	Address     netip.Prefix
	Gateway     netip.Addr
	LastAddress netip.Addr // of the last lease
}

// IPv6Settings are a service's IPv6 settings.
type IPv6Settings struct {
	Method  IPv6Method // "" is the default, auto
	Privacy IPv6Privacy
	Address netip.Prefix
	Gateway netip.Addr
}

// KnownNetwork is what helps to find a wireless network.
type KnownNetwork struct {
	SSID      string
	Hidden    bool
	Frequency int // MHz; 0: not known
}

// Storage keeps settings over restarts. Writes are coalesced and durable; they
// happen off the loop.
type Storage interface {
	// LoadService reads the settings of the service called id; found is false
	// when there are none.
	LoadService(id string, done func(s ServiceSettings, found bool))
	SaveService(id string, s ServiceSettings)
	RemoveService(id string)
	// LoadTwin reads the settings of the same wireless network as id's, as the
	// user last changed them with another adapter.
	LoadTwin(id string, done func(s ServiceSettings, found bool))
	// RemoveTwins removes the settings of the same wireless network as id's with
	// other adapters.
	RemoveTwins(id string)
	// LoadKnown reads what helps to find the favourites among wireless networks,
	// those first that the user changed last.
	LoadKnown(done func([]KnownNetwork))
	SaveGlobal(GlobalSettings)
	// Sync writes what was saved without delay; done runs when it is on the
	// disk, or could not be written.
	Sync(done func())
}

// AgentID names an agent: a bus client and its object.
type AgentID struct {
	Owner string // unique bus name
	Path  string
}

// AgentCaller talks to agents. Each call is answered once: by the agent, by an
// error when it says no, fails, leaves the bus or stays silent beyond the
// timeout, or not at all after cancel, which also sends the agent a Cancel.
type AgentCaller interface {
	// ReportError tells the user that connecting service failed; retry is the
	// user's wish to try again.
	ReportError(a AgentID, service string, reason string, timeout time.Duration, done func(retry bool, err error)) (cancel func())
	// RequestInput asks the user for fields that are missing for service. The
	// error is ErrAborted when the user does not want to say, ErrTimeout when
	// there is no answer that can be used.
	RequestInput(a AgentID, service string, fields []InputField, timeout time.Duration, done func(Input, error)) (cancel func())
	// Release tells the agent that it is no longer registered.
	Release(a AgentID)
}

// ServiceSpec is one [service_*] group of a provisioning file.
type ServiceSpec struct {
	File  string // file name without its .config ending
	Entry string // group name without its service_ prefix

	Type       Type
	MAC        HardwareAddr // "": any
	DeviceName string       // "": any; MAC takes preference

	IPv4 *IPv4Settings // nil: not said
	IPv6 *IPv6Settings // nil: not said

	Nameservers   []string
	ServerNames   map[netip.Addr]string // what certificates of Nameservers are for
	DNSOverTLS    netcfg.DNSOverTLS     // "": not said
	SearchDomains []string
	Timeservers   []string
	Domain        string
	MDNS          *bool

	Wifi *WifiSpec // for Type wifi
}

// WifiSpec are the keys of a provisioned Wi-Fi network.
type WifiSpec struct {
	SSID       string
	Hidden     bool
	Address    AddressPolicy // "": as the configuration says
	Security   string        // "none", "wep", "psk", "ieee8021x"
	Passphrase logx.Secret

	EAP                      string
	CACertFile               string
	ClientCertFile           string
	PrivateKeyFile           string
	PrivateKeyPassphrase     logx.Secret
	PrivateKeyPassphraseType string
	Identity                 string
	AnonymousIdentity        string
	SubjectMatch             string
	AltSubjectMatch          string
	DomainSuffixMatch        string
	DomainMatch              string
	Phase2                   string
}
