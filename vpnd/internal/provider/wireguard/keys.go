package wireguard

import (
	"strconv"

	"net.connman/vpnd/internal/core"
)

// The settings, see vpn-config-format.txt.
const (
	keyHost       = "Host"
	keyAddress    = "WireGuard.Address"
	keyListenPort = "WireGuard.ListenPort"
	keyDNS        = "WireGuard.DNS"
	keyPrivate    = "WireGuard.PrivateKey"
	keyPublic     = "WireGuard.PublicKey"
	keyPreshared  = "WireGuard.PresharedKey"
	keyAllowed    = "WireGuard.AllowedIPs"
	keyPort       = "WireGuard.EndpointPort"
	keyKeepalive  = "WireGuard.PersistentKeepalive"
	keyMTU        = "VPN.MTU"
	keyEndpoint   = "Endpoint" // of further peers, behind their prefix
	maxPeers      = 32
	defaultPort   = 51820
	firstPrefix   = "WireGuard."
	furtherPrefix = "WireGuard.Peer"
)

// prefix is what the keys of a peer begin with; the first is 1.
func prefix(peer int) string {
	if peer == 1 {
		return firstPrefix
	}
	return furtherPrefix + strconv.Itoa(peer) + "."
}

// publicKeys are the settings that say which peers there are.
var publicKeys = func() (names [maxPeers]string) {
	for i := range names {
		names[i] = prefix(i+1) + "PublicKey"
	}
	return names
}()

// keys declares the settings. Each is checked by what reads it in the end.
func keys() []core.Key {
	list := []core.Key{
		{Name: keyAddress, Check: ignoring(parseAddresses)},
		{Name: keyListenPort, Check: ignoring(parsePort)},
		{Name: keyDNS, Check: ignoring(parseDNS)},
		{Name: keyPrivate, Secret: true, Check: ignoring(parseKey)},
	}
	for n := 1; n <= maxPeers; n++ {
		p := prefix(n)
		list = append(list,
			core.Key{Name: publicKeys[n-1], Check: ignoring(parseKey)},
			core.Key{Name: p + "PresharedKey", Secret: true, Check: ignoring(parseKey)},
			core.Key{Name: p + "AllowedIPs", Check: ignoring(parseAllowed)},
			core.Key{Name: p + "PersistentKeepalive", Check: ignoring(parseKeepalive)},
		)
		if n == 1 {
			list = append(list, core.Key{Name: keyPort, Check: ignoring(parsePort)})
		} else {
			list = append(list, core.Key{Name: p + keyEndpoint, Check: ignoring(parseEndpoint)})
		}
	}
	return append(list, core.Key{Name: keyMTU, Check: ignoring(parseMTU)})
}

// ignoring makes a check of a parser.
func ignoring[T any](parse func(string) (T, error)) func(string) error {
	return func(value string) error {
		_, err := parse(value)
		return err
	}
}
