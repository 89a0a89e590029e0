package netcfg

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// DNSConfig names the servers to ask and the domains to search.
type DNSConfig struct {
	Servers []netip.Addr // in order of preference; link-local ones carry a zone
	Domains []string     // search domains
	// TLS says how the servers are asked; "" leaves it to the configuration.
	TLS DNSOverTLS
	// Names are the host names that the certificates of servers must be for,
	// nil if none is known.
	Names map[netip.Addr]string
}

// Equal reports whether both say the same in the same order.
func (c DNSConfig) Equal(o DNSConfig) bool {
	return slices.Equal(c.Servers, o.Servers) && slices.Equal(c.Domains, o.Domains) && c.TLS == o.TLS && maps.Equal(c.Names, o.Names)
}

// DNSOverTLS says whether name servers are asked over TLS (RFC 7858), spelt as
// in files.
type DNSOverTLS string

// The modes.
const (
	// ClearText never encrypts.
	ClearText DNSOverTLS = "no"
	// Opportunistic encrypts where the server can, whoever it is.
	Opportunistic DNSOverTLS = "opportunistic"
	// Strict asks only servers that prove who they are.
	Strict DNSOverTLS = "strict"
)

// ParseNameServer reads the address of a server, behind which there may be a #
// and the host name that its certificate is for: 9.9.9.9#dns.example.
func ParseNameServer(text string) (addr netip.Addr, name string, err error) {
	address, name, named := strings.Cut(text, "#")
	addr, err = netip.ParseAddr(address)
	if err != nil || addr.IsUnspecified() {
		return netip.Addr{}, "", fmt.Errorf("%q is not the address of a server", text)
	}
	if named && !isHostName(name) {
		return netip.Addr{}, "", fmt.Errorf("%q does not end in a host name", text)
	}
	return addr, name, nil
}

// isHostName reports whether s is a name by RFC 1123, section 2.1.
func isHostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
		}) {
			return false
		}
	}
	return true
}
