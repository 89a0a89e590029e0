package vpnimport

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// maxPeers is how many peers a connection has room for, see
// connman-vpn-provider.config(5).
const maxPeers = 32

// isWireGuard tells wg-quick's files from OpenVPN's, which have no sections.
func isWireGuard(text []byte) bool {
	for line := range strings.Lines(string(text)) {
		if section, _ := wgLine(line); strings.EqualFold(section, "[interface]") || strings.EqualFold(section, "[peer]") {
			return true
		}
	}
	return false
}

// wgLine takes a line of wg-quick's apart, which has no value if it begins a
// section.
func wgLine(line string) (key, value string) {
	line, _, _ = strings.Cut(line, "#")
	key, value, _ = strings.Cut(line, "=")
	return strings.TrimSpace(key), strings.TrimSpace(value)
}

// wgSection is a section of a file: each key's values, in order, and its line.
type wgSection struct {
	line   int
	values map[string][]string
}

func (s wgSection) first(key string) string {
	if v := s.values[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// joined is a list that may go over several lines.
func (s wgSection) joined(key string) string { return strings.Join(s.values[key], ", ") }

// The keys of wg-quick(8) and wg(8), in lower case, and what becomes of them.
var (
	wgInterfaceKeys = []string{"privatekey", "listenport", "address", "dns", "mtu"}
	wgPeerKeys      = []string{"publickey", "presharedkey", "allowedips", "endpoint", "persistentkeepalive"}
	wgPrograms      = []string{"preup", "postup", "predown", "postdown"}
)

// readWireGuard reads a file of wg-quick's.
func (p *profile) readWireGuard(title, text string) error {
	own, peers, err := p.wgSections(text)
	if err != nil {
		return err
	}
	main := slices.IndexFunc(peers, func(s wgSection) bool { return s.first("endpoint") != "" })
	if main < 0 {
		return fmt.Errorf("%s: no peer has an Endpoint to connect to", p.file)
	}
	if len(peers) > maxPeers {
		return fmt.Errorf("%s: %d peers, a connection has room for %d", p.file, len(peers), maxPeers)
	}
	first := peers[main]
	host, port, err := net.SplitHostPort(first.first("endpoint"))
	if err != nil || host == "" {
		return p.wrong(first.line, "the peer's Endpoint is not HOST:PORT")
	}
	p.begin("WireGuard", title)
	p.set("Host", host)
	if err := p.wgInterface(own); err != nil {
		return err
	}
	if err := p.wgPeer("WireGuard.", first); err != nil {
		return err
	}
	p.set("WireGuard.EndpointPort", port)
	for i, peer := range append(slices.Clone(peers[:main]), peers[main+1:]...) {
		prefix := fmt.Sprintf("WireGuard.Peer%d.", i+2)
		if err := p.wgPeer(prefix, peer); err != nil {
			return err
		}
		if endpoint := peer.first("endpoint"); endpoint != "" {
			p.set(prefix+"Endpoint", endpoint)
		}
	}
	return nil
}

// wgSections takes the file apart.
func (p *profile) wgSections(text string) (own wgSection, peers []wgSection, err error) {
	section, known := &wgSection{}, []string(nil)
	number := 0
	for line := range strings.Lines(text) {
		number++
		key, value := wgLine(line)
		switch lower := strings.ToLower(key); {
		case key == "":
		case lower == "[interface]":
			own.line, own.values = number, map[string][]string{}
			section, known = &own, wgInterfaceKeys
		case lower == "[peer]":
			peers = append(peers, wgSection{number, map[string][]string{}})
			section, known = &peers[len(peers)-1], wgPeerKeys
		case section.values == nil:
			return own, nil, p.wrong(number, "this is in no section")
		case value == "":
			return own, nil, p.wrong(number, "this says nothing")
		case slices.Contains(known, lower):
			if !oneLine(value) {
				return own, nil, p.wrong(number, "%s has control characters", key)
			}
			section.values[lower] = append(section.values[lower], value)
		case slices.Contains(wgPrograms, lower):
			p.warn(number, "%s runs a program: left out", key)
		default:
			p.warn(number, "%.64q is left out", key)
		}
	}
	if own.values == nil {
		return own, nil, fmt.Errorf("%s: there is no [Interface]", p.file)
	}
	return own, peers, nil
}

func (p *profile) wgInterface(own wgSection) error {
	if own.first("privatekey") == "" {
		return p.wrong(own.line, "the interface has no PrivateKey")
	}
	addresses := p.wgAddresses(own)
	if len(addresses) == 0 {
		return p.wrong(own.line, "the interface has no Address")
	}
	p.set("WireGuard.Address", strings.Join(addresses, ", "))
	p.set("WireGuard.PrivateKey", own.first("privatekey"))
	p.copy(own, "listenport", "WireGuard.ListenPort")
	if dns := own.joined("dns"); dns != "" {
		p.set("WireGuard.DNS", dns)
	}
	p.copy(own, "mtu", "VPN.MTU")
	return nil
}

// wgAddresses are the first of each family.
func (p *profile) wgAddresses(own wgSection) (addresses []string) {
	families := map[bool]bool{}
	for _, text := range strings.Split(own.joined("address"), ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		bare, _, _ := strings.Cut(text, "/")
		address, err := netip.ParseAddr(bare)
		if err == nil && families[address.Is4()] {
			p.warn(own.line, "a tunnel has one address of each family: %s is left out", text)
			continue
		}
		families[address.Is4()] = true
		addresses = append(addresses, text)
	}
	return addresses
}

func (p *profile) wgPeer(prefix string, peer wgSection) error {
	for _, key := range []string{"publickey", "allowedips"} {
		if peer.first(key) == "" {
			return p.wrong(peer.line, "the peer has no %s", map[string]string{"publickey": "PublicKey", "allowedips": "AllowedIPs"}[key])
		}
	}
	p.copy(peer, "publickey", prefix+"PublicKey")
	p.copy(peer, "presharedkey", prefix+"PresharedKey")
	p.set(prefix+"AllowedIPs", peer.joined("allowedips"))
	if peer.first("persistentkeepalive") != "off" {
		p.copy(peer, "persistentkeepalive", prefix+"PersistentKeepalive")
	}
	return nil
}

// copy sets key to the value that the section has, if it has one.
func (p *profile) copy(s wgSection, from, key string) {
	if value := s.first(from); value != "" {
		p.set(key, value)
	}
}
