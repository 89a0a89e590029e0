package provision

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/logx"
	"net.connman/pkg/netcfg"
)

var serviceKeys = []string{
	"Type", "Name", "SSID", "EAP", "CACertFile", "ClientCertFile", "PrivateKeyFile", "PrivateKeyPassphrase",
	"PrivateKeyPassphraseType", "Identity", "AnonymousIdentity", "SubjectMatch", "AltSubjectMatch",
	"DomainSuffixMatch", "DomainMatch", "Phase2", "Passphrase", "Security", "Hidden", "MACAddressPolicy", "IPv4", "IPv6",
	"IPv6.Privacy", "MAC", "DeviceName", "mDNS", "Nameservers", "DNSOverTLS", "SearchDomains", "Timeservers", "Domain",
}

func (g *groupReader) service() core.ServiceSpec {
	g.unknown(serviceKeys...)
	spec := core.ServiceSpec{
		Type:          core.Type(g.text("Type")),
		MAC:           g.mac(),
		DeviceName:    g.device(),
		IPv4:          g.ipv4(),
		IPv6:          g.ipv6(),
		DNSOverTLS:    g.dnsOverTLS(),
		SearchDomains: g.list("SearchDomains", "a domain", isName),
		Timeservers:   g.list("Timeservers", "a host", isName),
		Domain:        g.text("Domain"),
	}
	spec.Nameservers, spec.ServerNames = g.nameServers()
	if g.has("mDNS") {
		mdns := g.flag("mDNS")
		spec.MDNS = &mdns
	}
	switch spec.Type {
	case core.Ethernet, core.Gadget:
	case core.Wifi:
		spec.Wifi = g.wifi()
	case "":
		g.drop("", "has no Type")
	default:
		g.drop("Type", "neither ethernet nor wifi nor gadget")
	}
	return spec
}

// nameServers are addresses, behind each of which there may be the name that
// the server's certificate is for.
func (g *groupReader) nameServers() (servers []string, names map[netip.Addr]string) {
	for _, text := range g.list("Nameservers", "the address of a server", isNameServer) {
		addr, name, _ := netcfg.ParseNameServer(text) // isNameServer
		servers = append(servers, addr.String())
		if name != "" {
			if names == nil {
				names = map[netip.Addr]string{}
			}
			names[addr] = name
		}
	}
	return servers, names
}

func isNameServer(s string) bool {
	_, _, err := netcfg.ParseNameServer(s)
	return err == nil
}

func (g *groupReader) dnsOverTLS() netcfg.DNSOverTLS {
	mode := netcfg.DNSOverTLS(g.text("DNSOverTLS"))
	switch mode {
	case "", netcfg.ClearText, netcfg.Opportunistic, netcfg.Strict:
		return mode
	}
	// Who asks for the strict mode in vain must not be left without any.
	g.drop("DNSOverTLS", "neither no nor opportunistic nor strict")
	return ""
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

func (g *groupReader) mac() core.HardwareAddr {
	if !g.has("MAC") {
		return ""
	}
	a, err := net.ParseMAC(g.text("MAC"))
	if err != nil || len(a) != 6 {
		g.drop("MAC", "not six bytes such as 01:23:45:67:89:ab")
		return ""
	}
	return core.HardwareAddr(a)
}

func (g *groupReader) device() string {
	name := g.text("DeviceName")
	if g.has("DeviceName") && (len(name) > 15 || !isName(name) || strings.Contains(name, "/")) {
		g.drop("DeviceName", "not the name of an interface")
	}
	return name
}

func (g *groupReader) ipv4() *core.IPv4Settings {
	if !g.has("IPv4") {
		return nil
	}
	value := g.text("IPv4")
	switch strings.ToLower(value) {
	case "off":
		return &core.IPv4Settings{Method: core.IPv4Off}
	case "dhcp", "auto":
		return &core.IPv4Settings{Method: core.IPv4DHCP}
	}
	address, gateway, ok := parseStatic(value, false)
	if !ok {
		g.drop("IPv4", "neither off nor dhcp nor address/netmask or address/netmask/gateway")
	}
	return &core.IPv4Settings{Method: core.IPv4Fixed, Address: address, Gateway: gateway}
}

func (g *groupReader) ipv6() *core.IPv6Settings {
	if !g.has("IPv6") && !g.has("IPv6.Privacy") {
		return nil
	}
	settings := &core.IPv6Settings{Method: core.IPv6Auto, Privacy: g.privacy()}
	value := g.text("IPv6")
	switch strings.ToLower(value) {
	case "off":
		settings.Method = core.IPv6Off
		return settings
	case "dhcp", "auto":
		return settings
	case "":
		if !g.has("IPv6") {
			return settings
		}
	}
	address, gateway, ok := parseStatic(value, true)
	if !ok {
		g.drop("IPv6", "neither off nor auto nor address/prefixlength or address/prefixlength/gateway")
	}
	settings.Method, settings.Address, settings.Gateway = core.IPv6Fixed, address, gateway
	return settings
}

func (g *groupReader) privacy() core.IPv6Privacy {
	switch value := g.text("IPv6.Privacy"); value {
	case "enabled":
		return core.PrivacyEnabled
	case "preferred", "prefered":
		return core.PrivacyPrefered
	case "disabled":
	default:
		if g.has("IPv6.Privacy") {
			g.wrong("IPv6.Privacy", "none of disabled, enabled, preferred; taken as disabled")
		}
	}
	return core.PrivacyDisabled
}

// parseStatic reads address/length or address/length/gateway; IPv4 also takes
// a netmask for the length.
func parseStatic(value string, is6 bool) (address netip.Prefix, gateway netip.Addr, ok bool) {
	parts := strings.Split(value, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return address, gateway, false
	}
	ip, ok := parseIP(parts[0], is6)
	if !ok || ip.IsUnspecified() || ip.IsMulticast() {
		return address, gateway, false
	}
	bits, err := strconv.Atoi(strings.TrimSpace(parts[1]))
	if err != nil {
		if bits, ok = maskBits(parts[1]); !ok || is6 {
			return address, gateway, false
		}
	}
	if bits < 1 || bits > ip.BitLen() {
		return address, gateway, false
	}
	if len(parts) == 3 && strings.TrimSpace(parts[2]) != "" {
		if gateway, ok = parseIP(parts[2], is6); !ok {
			return address, gateway, false
		}
	}
	return netip.PrefixFrom(ip, bits), gateway, true
}

func parseIP(s string, is6 bool) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
	return a, err == nil && a.Is6() == is6 && !a.Is4In6() && a.Zone() == ""
}

func maskBits(s string) (int, bool) {
	a, ok := parseIP(s, false)
	if !ok {
		return 0, false
	}
	ones, bits := net.IPMask(a.AsSlice()).Size()
	return ones, bits == 32
}

// wifi reads what says which wireless network and how to join it.
func (g *groupReader) wifi() *core.WifiSpec {
	security := g.security()
	return &core.WifiSpec{
		SSID:                     g.ssid(),
		Hidden:                   g.flag("Hidden"),
		Address:                  g.addressPolicy(),
		Security:                 security,
		Passphrase:               g.passphrase(core.Security(security)),
		EAP:                      strings.ToLower(g.text("EAP")),
		CACertFile:               g.text("CACertFile"),
		ClientCertFile:           g.text("ClientCertFile"),
		PrivateKeyFile:           g.text("PrivateKeyFile"),
		PrivateKeyPassphrase:     logx.Secret(g.verbatim("PrivateKeyPassphrase")),
		PrivateKeyPassphraseType: g.text("PrivateKeyPassphraseType"),
		Identity:                 g.text("Identity"),
		AnonymousIdentity:        g.text("AnonymousIdentity"),
		SubjectMatch:             g.text("SubjectMatch"),
		AltSubjectMatch:          g.text("AltSubjectMatch"),
		DomainSuffixMatch:        g.text("DomainSuffixMatch"),
		DomainMatch:              g.text("DomainMatch"),
		Phase2:                   g.text("Phase2"),
	}
}

// passphrase is what lets machines in, "" for what no network of that security
// takes: then the user is asked.
func (g *groupReader) passphrase(security core.Security) logx.Secret {
	const key = "Passphrase"
	p := logx.Secret(g.verbatim(key))
	if err := core.CheckPassphrase(security, p); err != nil && g.has(key) {
		g.wrong(key, "%v", err)
		return ""
	}
	return p
}

// addressPolicy is which hardware address the network gets to see. One that cannot
// be read must not have the network see more than is wanted.
func (g *groupReader) addressPolicy() core.AddressPolicy {
	const key = "MACAddressPolicy"
	switch p := core.AddressPolicy(g.text(key)); p {
	case "", core.AddressPermanent, core.AddressStable, core.AddressRandom:
		return p
	}
	g.drop(key, "none of permanent, stable-random, random")
	return ""
}

// ssid is what SSID says in hexadecimal, or Name as it is.
func (g *groupReader) ssid() string {
	key, ssid := "Name", g.text("Name")
	if g.has("SSID") {
		key = "SSID"
		decoded, err := hex.DecodeString(g.text("SSID"))
		if err != nil {
			g.drop(key, "not hexadecimal")
			return ""
		}
		ssid = string(decoded)
	}
	if ssid == "" || len(ssid) > 32 {
		if !g.has(key) {
			key = ""
		}
		g.drop(key, "needs an SSID or Name of 1 to 32 bytes")
		return ""
	}
	return ssid
}

// security is what the keys together say; Security itself only chooses between
// psk and wep, and is reported when the other keys say something else.
func (g *groupReader) security() string {
	said := g.text("Security")
	switch said {
	case "8021x":
		said = "ieee8021x"
	case "open":
		said = "none"
	}
	is := "none"
	switch {
	case g.has("EAP"):
		is = "ieee8021x"
	case g.has("Passphrase"):
		is = "psk"
		if said == "wep" {
			is = "wep"
		}
	}
	if said != "" && said != is {
		g.wrong("Security", "does not fit the other keys, taken as %s", is)
	}
	return is
}
