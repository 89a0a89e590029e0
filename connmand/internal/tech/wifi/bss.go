package wifi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
)

// maxSSID is the length of an SSID in bytes (IEEE 802.11, 9.4.2.2).
const maxSSID = 32

const modeInfrastructure = "infrastructure"

// bss is an access point as it was heard.
type bss struct {
	ssid    string
	mode    string
	privacy bool
	signal  int16 // dBm
	point   core.AccessPoint
	wpa     []string
	rsn     []string
	wps     bool // takes part in Wi-Fi Protected Setup
	button  bool // whose button is pressed
}

// newBSS returns the access point with all those properties. One that hides its
// SSID has an empty one; one without is none.
func newBSS(about bus.Dict) (*bss, error) {
	if _, ok := about.Get(supplicant.BSSSSID); !ok {
		return nil, errors.New("no SSID")
	}
	b := &bss{}
	return b, b.take(about)
}

// take takes in properties, all or those that changed. An error names what
// cannot be.
func (b *bss) take(about bus.Dict) error {
	for _, e := range about {
		ok := true
		switch e.Key {
		case supplicant.BSSSSID:
			var ssid []byte
			if ssid, ok = e.Value.([]byte); ok && len(ssid) > maxSSID {
				return fmt.Errorf("an SSID of %d bytes", len(ssid))
			}
			b.ssid = string(ssid)
			if strings.Trim(b.ssid, "\x00") == "" {
				b.ssid = "" // so do some hide theirs
			}
		case supplicant.BSSMode:
			b.mode, ok = e.Value.(string)
		case supplicant.BSSPrivacy:
			b.privacy, ok = e.Value.(bool)
		case supplicant.BSSSignal:
			b.signal, ok = e.Value.(int16)
		case supplicant.BSSBSSID:
			var address []byte
			if address, ok = e.Value.([]byte); ok && len(address) != 6 {
				return fmt.Errorf("a BSSID of %d bytes", len(address))
			}
			b.point.BSSID = core.HardwareAddr(address)
		case supplicant.BSSFrequency:
			var mhz uint16
			mhz, ok = e.Value.(uint16)
			b.point.Frequency = int(mhz)
		case supplicant.BSSWPA:
			b.wpa, ok = keyManagement(e.Value)
		case supplicant.BSSRSN:
			b.rsn, ok = keyManagement(e.Value)
		case supplicant.BSSIEs:
			var elements []byte
			elements, ok = e.Value.([]byte)
			b.wps = announcesSetup(elements)
		case supplicant.BSSWPS:
			var setup bus.Dict
			setup, ok = e.Value.(bus.Dict)
			kind, _ := bus.Lookup[string](setup, supplicant.SetupType)
			b.button = kind == "pbc"
		}
		if !ok {
			return fmt.Errorf("%s is a %T", e.Key, e.Value)
		}
	}
	return nil
}

// keyManagement returns how the access point says it agrees on keys.
func keyManagement(value any) ([]string, bool) {
	d, ok := value.(bus.Dict)
	if !ok {
		return nil, false
	}
	value, there := d.Get(supplicant.ProtectionKeyMgmt)
	if !there {
		return nil, true
	}
	ways, ok := value.([]string)
	return ways, ok
}

// offers reports whether the access point lets machines in one of these ways.
func (b *bss) offers(ways ...string) bool {
	return slices.ContainsFunc(ways, func(way string) bool {
		return slices.Contains(b.rsn, way) || slices.Contains(b.wpa, way)
	})
}

// The ways to agree on keys, as the supplicant calls them.
var (
	waysEAP = []string{"wpa-eap", "wpa-ft-eap", "wpa-eap-sha256"}
	waysPSK = []string{"wpa-psk", "wpa-ft-psk", "wpa-psk-sha256"}
	waysSAE = []string{"sae", "ft-sae"}
)

const wayOWE = "owe"

// security is what users see of the access point's security.
func (b *bss) security() core.Security {
	switch {
	case b.offers(waysEAP...):
		return core.SecurityEAP
	case b.offers(waysPSK...), b.offers(waysSAE...):
		return core.SecurityPSK
	case b.offers(wayOWE):
		return core.SecurityNone
	case b.privacy:
		return core.SecurityWEP
	}
	return core.SecurityNone
}

// group names the network that the access point belongs to, "" for one that
// cannot be joined.
func (b *bss) group() string {
	if b.mode != "" && b.mode != modeInfrastructure {
		return ""
	}
	name := "hidden"
	if b.ssid != "" {
		name = hex.EncodeToString([]byte(b.ssid))
	}
	return name + "_managed_" + string(b.security())
}

// strength turns a signal in dBm into what users see, 0 to 100.
func (b *bss) strength() uint8 { return uint8(min(max(120+int(b.signal), 0), 100)) }

// displayName is an SSID as text: SSIDs are any bytes, texts on the bus are
// UTF-8 without NUL.
func displayName(ssid string) string {
	const unknown = "\ufffd"
	return strings.ReplaceAll(strings.ToValidUTF8(ssid, unknown), "\x00", unknown)
}
