package settings

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/logx"
	"net.connman/pkg/netcfg"
)

// serviceKeys are a service's keys in the order of the C implementation, those
// included that are only kept.
var serviceKeys = []string{
	"Name", "SplitRouting", "SSID", "Frequency", "Favorite", "AutoConnect", "Modified", "Identity", "Passphrase",
	"IPv4.method", "IPv4.DHCP.LastAddress", "IPv4.netmask_prefixlen", "IPv4.local_address",
	"IPv4.peer_address", "IPv4.broadcast_address", "IPv4.gateway",
	"IPv6.method", "IPv6.privacy", "IPv6.DHCP.LastAddress", "IPv6.DHCP.LastPrefixes",
	"IPv6.netmask_prefixlen", "IPv6.local_address", "IPv6.peer_address", "IPv6.broadcast_address", "IPv6.gateway",
	"Nameservers", "Timeservers", "Domains",
	"Proxy.Method", "Proxy.Servers", "Proxy.Excludes", "Proxy.URL",
	"mDNS", "Hidden", "Config.file", "Config.ident", "IPv6.DHCP.DUID",
}

// timeFormat is that of Modified. The Z notwithstanding it is local time: so the
// C implementation writes and reads it.
const timeFormat = "2006-01-02T15:04:05Z"

// entryPrefix belongs to a provisioning file's groups, which Config.ident names
// in full.
const entryPrefix = "service_"

// kind is the type of the service called id.
func kind(id string) core.Type {
	prefix, _, _ := strings.Cut(id, "_")
	return core.Type(prefix)
}

// favourites reports whether the type's services say of themselves if they are
// favourites; those of the others are when they have AutoConnect.
func favourites(id string) bool {
	switch kind(id) {
	case core.Wifi, core.Gadget, core.Bluetooth, core.Cellular:
		return true
	}
	return false
}

func (s *Store) readService(path, id string, data []byte) (core.ServiceSettings, bool) {
	file, ok := s.parse(path, data)
	if !ok || !file.HasGroup(id) {
		return core.ServiceSettings{}, false
	}
	r := reader{file: file, group: id}
	settings := core.ServiceSettings{
		Name:     r.text("Name"),
		Modified: r.time("Modified"),
		IPv4:     r.ipv4(),
		IPv6:     r.ipv6(),

		LastAddress6: r.address("IPv6.DHCP.LastAddress", true),
		DUID:         r.duid(),

		Nameservers: r.addresses("Nameservers"),
		Timeservers: r.names("Timeservers"),
		Domains:     r.names("Domains"),
		Proxy: netcfg.ProxyConfig{
			Method:   netcfg.ProxyMethod(r.choice("Proxy.Method", string(netcfg.ProxyDirect), string(netcfg.ProxyManual), string(netcfg.ProxyAuto))),
			URL:      r.text("Proxy.URL"),
			Servers:  r.names("Proxy.Servers"),
			Excludes: r.names("Proxy.Excludes"),
		},
		MDNS: r.bool("mDNS"),

		SplitRouting: r.bool("SplitRouting"),
		SSID:         r.ssid(),
		Hidden:       r.bool("Hidden"),
		Frequency:    r.number("Frequency", 0, maxFreq),
		Address:      core.AddressPolicy(r.choice("MACAddressPolicy", string(core.AddressPermanent), string(core.AddressStable), string(core.AddressRandom))),
		Identity:     r.text("Identity"),
		Passphrase:   logx.Secret(unescapeC(r.text("Passphrase"))),
		ConfigFile:   r.text("Config.file"),
		ConfigEntry:  strings.TrimPrefix(r.text("Config.ident"), entryPrefix),
	}
	if auto, err := file.Bool(id, "AutoConnect"); r.ok(err) {
		settings.AutoConnect = &auto
	}
	settings.Favorite = settings.AutoConnect != nil
	if favourites(id) {
		settings.Favorite = r.bool("Favorite")
	}
	s.logProblems(path, r.problems)
	return settings, true
}

func writeService(file *keyfile.File, id string, s core.ServiceSettings) {
	file.Order(serviceKeys)
	setText(file, id, "Name", s.Name)
	if favourites(id) {
		file.SetBool(id, "Favorite", s.Favorite)
	}
	if kind(id) == core.VPN {
		file.SetBool(id, "SplitRouting", s.SplitRouting)
	}
	if s.AutoConnect != nil {
		file.SetBool(id, "AutoConnect", *s.AutoConnect)
	} else {
		file.Remove(id, "AutoConnect")
	}
	modified := s.Modified
	if modified.IsZero() {
		modified = time.Unix(0, 0)
	}
	file.SetString(id, "Modified", modified.Local().Format(timeFormat))

	if kind(id) != core.VPN { // whose addresses are its tunnel's
		writeIPv4(file, id, s.IPv4)
		writeIPv6(file, id, s.IPv6)
	}
	setText(file, id, "IPv6.DHCP.LastAddress", text(s.LastAddress6))
	setText(file, id, "IPv6.DHCP.DUID", s.DUID.String())

	setList(file, id, "Nameservers", s.Nameservers)
	setList(file, id, "Timeservers", s.Timeservers)
	setList(file, id, "Domains", s.Domains)
	setText(file, id, "Proxy.Method", string(s.Proxy.Method))
	setList(file, id, "Proxy.Servers", s.Proxy.Servers)
	setList(file, id, "Proxy.Excludes", s.Proxy.Excludes)
	setText(file, id, "Proxy.URL", s.Proxy.URL)
	if s.MDNS {
		file.SetBool(id, "mDNS", true)
	} else {
		file.Remove(id, "mDNS")
	}
	setText(file, id, "SSID", hex.EncodeToString([]byte(s.SSID)))
	setText(file, id, "MACAddressPolicy", string(s.Address))
	if s.Frequency != 0 {
		file.SetInt(id, "Frequency", s.Frequency)
	}
	if s.Hidden {
		file.SetBool(id, "Hidden", true)
	} else {
		file.Remove(id, "Hidden")
	}
	setText(file, id, "Identity", s.Identity)
	setText(file, id, "Passphrase", escapeC(s.Passphrase.Reveal()))
	setText(file, id, "Config.file", s.ConfigFile)
	entry := s.ConfigEntry
	if entry != "" {
		entry = entryPrefix + entry
	}
	setText(file, id, "Config.ident", entry)
}

func writeIPv4(file *keyfile.File, id string, s core.IPv4Settings) {
	method := s.Method
	if method == "" {
		method = core.IPv4DHCP
	}
	file.SetString(id, "IPv4.method", string(method))
	last := ""
	if method == core.IPv4DHCP {
		last = text(s.LastAddress)
	}
	setText(file, id, "IPv4.DHCP.LastAddress", last)
	static := method == core.IPv4Manual || method == core.IPv4Fixed
	writeStatic(file, id, "IPv4.", static, s.Address, s.Gateway)
}

func writeIPv6(file *keyfile.File, id string, s core.IPv6Settings) {
	method, privacy := s.Method, s.Privacy
	if method == "" {
		method = core.IPv6Auto
	}
	if privacy == "" {
		privacy = core.PrivacyDisabled
	}
	file.SetString(id, "IPv6.method", string(method))
	file.SetString(id, "IPv6.privacy", string(privacy))
	static := method == core.IPv6Manual || method == core.IPv6Fixed
	writeStatic(file, id, "IPv6.", static, s.Address, s.Gateway)
}

func writeStatic(file *keyfile.File, id, prefix string, static bool, address netip.Prefix, gateway netip.Addr) {
	if old, _ := file.String(id, prefix+"local_address"); !static || old != text(address.Addr()) {
		// These two belonged to another address.
		file.Remove(id, prefix+"peer_address")
		file.Remove(id, prefix+"broadcast_address")
	}
	if !static || !address.IsValid() {
		file.Remove(id, prefix+"netmask_prefixlen")
		file.Remove(id, prefix+"local_address")
		file.Remove(id, prefix+"gateway")
		return
	}
	file.SetInt(id, prefix+"netmask_prefixlen", address.Bits())
	file.SetString(id, prefix+"local_address", text(address.Addr()))
	setText(file, id, prefix+"gateway", text(gateway))
}

// text spells an address, an invalid one as nothing.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func setList(file *keyfile.File, group, key string, values []string) {
	if len(values) == 0 {
		file.Remove(group, key)
		return
	}
	file.SetList(group, key, values)
}
