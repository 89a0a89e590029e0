package wireguard

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/pkg/netcfg"
	"net.connman/vpnd/internal/core"
)

// config is what the settings say. It holds keys: it is never logged.
type config struct {
	private   wgtypes.Key
	port      int // 0: the kernel's choice
	addresses addresses
	dns       netcfg.DNSConfig
	mtu       int // 0: what fits
	peers     []peer
}

// peer is one far end. The first is the connection's Host.
type peer struct {
	public    wgtypes.Key
	preshared *wgtypes.Key
	endpoint  endpoint
	allowed   []netip.Prefix
	keepalive time.Duration // 0: none
}

// reader reads settings and remembers the first that is wrong.
type reader struct {
	settings core.Settings
	err      error
}

// text is the value of a key, "" if there is none.
func (r *reader) text(key string) string {
	if secret, ok := r.settings.Secrets[key]; ok {
		return secret.Reveal()
	}
	return r.settings.Text[key]
}

func (r *reader) fail(key string, err error) {
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("%s: %w", key, err)
	}
}

// read reads what must be there.
func read[T any](r *reader, key string, parse func(string) (T, error)) (value T) {
	text := r.text(key)
	if text == "" {
		r.fail(key, errors.New("is missing"))
		return value
	}
	value, err := parse(text)
	r.fail(key, err)
	return value
}

// readOr reads what may be missing.
func readOr[T any](r *reader, key string, parse func(string) (T, error), missing T) T {
	if r.text(key) == "" {
		return missing
	}
	return read(r, key, parse)
}

// parse reads the settings of a connection.
func parse(settings core.Settings) (config, error) {
	r := &reader{settings: settings}
	c := config{
		private:   read(r, keyPrivate, parseKey),
		port:      readOr(r, keyListenPort, parsePort, 0),
		addresses: read(r, keyAddress, parseAddresses),
		dns:       readOr(r, keyDNS, parseDNS, netcfg.DNSConfig{}),
		mtu:       readOr(r, keyMTU, parseMTU, 0),
	}
	if c.addresses.v6.IsValid() && c.mtu != 0 && c.mtu < minMTU6 {
		r.fail(keyMTU, fmt.Errorf("%d is too little for IPv6, which needs %d", c.mtu, minMTU6))
	}
	for i, key := range publicKeys {
		if i == 0 || r.text(key) != "" {
			c.peers = append(c.peers, r.peer(i+1))
		}
	}
	if r.err == nil {
		r.err = c.check()
	}
	return c, r.err
}

func (r *reader) peer(n int) peer {
	p := prefix(n)
	far := peer{
		public:    read(r, p+"PublicKey", parseKey),
		allowed:   read(r, p+"AllowedIPs", parseAllowed),
		keepalive: readOr(r, p+"PersistentKeepalive", parseKeepalive, 0),
	}
	if key := p + "PresharedKey"; r.text(key) != "" {
		preshared := read(r, key, parseKey)
		far.preshared = &preshared
	}
	if n > 1 {
		far.endpoint = readOr(r, p+keyEndpoint, parseEndpoint, endpoint{})
		return far
	}
	far.endpoint = endpoint{host: r.text(keyHost), port: readOr(r, keyPort, parsePort, defaultPort)}
	r.fail(keyHost, checkHost(far.endpoint.host))
	return far
}

// check finds what the kernel would pass over in silence: it takes the last of two
// that say the same of themselves.
func (c config) check() error {
	keys := map[wgtypes.Key]bool{}
	owner := map[netip.Prefix]int{}
	for i, p := range c.peers {
		if keys[p.public] {
			return fmt.Errorf("%sPublicKey: is another peer's", prefix(i+1))
		}
		keys[p.public] = true
		for _, network := range p.allowed {
			if other, taken := owner[network]; taken && other != i {
				return fmt.Errorf("%sAllowedIPs: %s is another peer's", prefix(i+1), network)
			}
			owner[network] = i
		}
	}
	return nil
}

// foreign says if a peer has our own public key: the kernel would leave it out in
// silence. The documentation's example has it, so it can be saved.
func (c config) foreign(own wgtypes.Key) error {
	for i, p := range c.peers {
		if p.public == own {
			return fmt.Errorf("%sPublicKey: is our own", prefix(i+1))
		}
	}
	return nil
}

// routes are what the tunnel takes, and whether that is less than everything.
// Everything needs no route: it is for the order of services to say which link
// has the default route.
func (c config) routes() (routes []core.Route, split bool) {
	var all []netip.Prefix
	for _, p := range c.peers {
		all = append(all, p.allowed...)
	}
	full := false
	for _, whole := range []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)} {
		lower, upper := halves(whole)
		if slices.Contains(all, lower) && slices.Contains(all, upper) {
			// The usual way around another default route.
			all = slices.DeleteFunc(all, func(p netip.Prefix) bool { return p == lower || p == upper })
			full = true
		}
		full = full || slices.Contains(all, whole)
	}
	for _, p := range all {
		if p.Bits() > 0 {
			routes = append(routes, core.Route{Dst: p})
		}
	}
	return routes, !full
}

// halves are the two networks that make up a family.
func halves(whole netip.Prefix) (lower, upper netip.Prefix) {
	raw := whole.Addr().AsSlice()
	raw[0] = 1 << 7
	high, _ := netip.AddrFromSlice(raw)
	return netip.PrefixFrom(whole.Addr(), 1), netip.PrefixFrom(high, 1)
}
