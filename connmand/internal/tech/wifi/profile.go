package wifi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
)

// Whether management frames are to be protected (IEEE 802.11w).
const (
	protectOptional = uint32(1)
	protectRequired = uint32(2)
)

var errRawKey = errors.New("a network of WPA3 alone needs the passphrase, not a key made of it")

// profile describes the network to the supplicant, with what lets us in.
func (n *network) profile(c core.Credentials) (bus.Dict, error) {
	var p profile
	p.add(supplicant.NetworkSsid, []byte(n.ssid))
	if c.Hidden {
		p.add(supplicant.NetworkScanSsid, uint32(1))
	}
	if b := n.a.b; b.BackgroundScan {
		p.add(supplicant.NetworkBgscan, backgroundScan(b.Roaming))
	}
	switch n.security {
	case core.SecurityPSK:
		if err := p.psk(c, n.offers(waysPSK...)); err != nil {
			return nil, err
		}
	case core.SecurityWEP:
		p.wep(c)
	case core.SecurityEAP:
		if err := p.eap(c); err != nil {
			return nil, err
		}
	default:
		if n.offers(wayOWE) {
			p.add(supplicant.NetworkKeyMgmt, "OWE")
			p.add(supplicant.NetworkIeee80211w, protectRequired)
			break
		}
		p.add(supplicant.NetworkKeyMgmt, "NONE")
		p.add(supplicant.NetworkAuthAlg, "OPEN")
	}
	return p.dict, nil
}

// backgroundScan has the supplicant look for better access points (its module
// "simple").
func backgroundScan(r core.RoamingScan) string {
	return fmt.Sprintf("simple:%d:%d:%d", int(r.Short.Seconds()), r.Threshold, int(r.Long.Seconds()))
}

type profile struct{ dict bus.Dict }

func (p *profile) add(key string, value any) {
	p.dict = append(p.dict, bus.Entry{Key: key, Value: value})
}

// text adds a text that may be missing.
func (p *profile) text(key, value string) {
	if value != "" {
		p.add(key, value)
	}
}

// rawKey is the length of a key in hexadecimal digits.
const rawKey = 64

// psk takes WPA, WPA2 and WPA3 all together: whichever the access point prefers.
// A raw key is of use to the first two only.
func (p *profile) psk(c core.Credentials, older bool) error {
	p.add(supplicant.NetworkIeee80211w, protectOptional)
	secret := c.Passphrase.Reveal()
	if len(secret) != rawKey {
		p.add(supplicant.NetworkKeyMgmt, "SAE WPA-PSK WPA-PSK-SHA256")
		p.add(supplicant.NetworkPsk, secret)
		return nil
	}
	key, err := hex.DecodeString(secret)
	switch {
	case err != nil:
		return errors.New("not a key in hexadecimal digits")
	case !older:
		return errRawKey
	}
	p.add(supplicant.NetworkKeyMgmt, "WPA-PSK WPA-PSK-SHA256")
	p.add(supplicant.NetworkPsk, key)
	return nil
}

// wep takes a key of 5 or 13 bytes, which may be written in hexadecimal digits.
func (p *profile) wep(c core.Credentials) {
	key := []byte(c.Passphrase.Reveal())
	if n := len(key); n == 10 || n == 26 {
		if decoded, err := hex.DecodeString(string(key)); err == nil {
			key = decoded
		}
	}
	p.add(supplicant.NetworkKeyMgmt, "NONE")
	p.add(supplicant.NetworkAuthAlg, "OPEN SHARED")
	p.add(supplicant.NetworkWepKey0, key)
	p.add(supplicant.NetworkWepTxKeyidx, uint32(0))
}

// eap takes what a provisioning file says of 802.1X.
func (p *profile) eap(c core.Credentials) error {
	s := c.Spec
	if s == nil {
		return errors.New("a network of 802.1X needs a provisioning file")
	}
	p.add(supplicant.NetworkKeyMgmt, "WPA-EAP WPA-EAP-SHA256")
	p.add(supplicant.NetworkIeee80211w, protectOptional)
	p.add(supplicant.NetworkEap, strings.ToUpper(s.EAP))
	p.text(supplicant.NetworkIdentity, c.Identity)
	p.text(supplicant.NetworkAnonymousIdentity, s.AnonymousIdentity)
	p.text(supplicant.NetworkCaCert, s.CACertFile)
	p.text(supplicant.NetworkClientCert, s.ClientCertFile)
	p.text(supplicant.NetworkPrivateKey, s.PrivateKeyFile)
	p.text(supplicant.NetworkPrivateKeyPasswd, s.PrivateKeyPassphrase.Reveal())
	p.text(supplicant.NetworkSubjectMatch, s.SubjectMatch)
	p.text(supplicant.NetworkAltsubjectMatch, s.AltSubjectMatch)
	p.text(supplicant.NetworkDomainSuffixMatch, s.DomainSuffixMatch)
	p.text(supplicant.NetworkDomainMatch, s.DomainMatch)
	if s.EAP != "tls" {
		p.text(supplicant.NetworkPassword, c.Passphrase.Reveal())
		p.text(supplicant.NetworkPhase2, phase2(s.EAP, s.Phase2))
	}
	return nil
}

// phase2 names the inner method as the supplicant knows it. EAP- before it makes
// it one of EAP; GTC within TTLS always is.
func phase2(outer, inner string) string {
	switch method, isEAP := strings.CutPrefix(inner, "EAP-"); {
	case inner == "":
		return ""
	case isEAP, outer == "ttls" && inner == "GTC":
		return "autheap=" + method
	}
	return "auth=" + inner
}
