package wifi

import (
	"bytes"
	"errors"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/properties"
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
	"net.connman/pkg/logx"
)

// wpsTimeout is how long the access point's button counts as pressed (Wi-Fi
// Protected Setup 2.0.8, "walk time"), less what joining takes afterwards.
const wpsTimeout = 110 * time.Second

// maxKey is the longest key that an access point can give: one in hexadecimal
// digits.
const maxKey = 64

var errSetup = errors.New("Wi-Fi Protected Setup failed")

// setUp gets the passphrase from the access point, and joins with it. The
// supplicant only fetches: networks that it joins by itself would be none of
// ours.
func (t *attempt) setUp(c core.Credentials) {
	a := t.n.a
	t.credentials = c
	t.timer = a.b.Loop.After("setup timeout", wpsTimeout, func() { t.tell(errSetup) })
	about := bus.Dict{{Key: supplicant.WPSStartRole, Value: "enrollee"}}
	if c.PIN == "" {
		about = append(about, bus.Entry{Key: supplicant.WPSStartType, Value: "pbc"})
	} else {
		about = append(about, bus.Entry{Key: supplicant.WPSStartType, Value: "pin"},
			bus.Entry{Key: supplicant.WPSStartPin, Value: c.PIN})
	}
	refused := func(_ []any, err error) {
		if err != nil {
			t.tell(errors.Join(errSetup, err))
		}
	}
	t.inSetup = true
	a.b.Bus.Call(properties.PropertiesSetCall(a.owner, a.path, supplicant.InterfaceWPS,
		supplicant.WPSProcessCredentials, bus.Variant{Value: false}), refused)
	t.cancel = a.b.Bus.Call(supplicant.WPSStartCall(a.owner, a.path, about), refused)
}

// setup hears how Wi-Fi Protected Setup goes on.
func (a *adapter) setup(s bus.ReceivedSignal) {
	t := a.attempt
	if t == nil || !t.inSetup {
		return
	}
	switch s.Member {
	case "Event":
		if name, _ := arg[string](s, 0); name == "fail" || name == "pbc-overlap" {
			t.tell(errSetup)
		}
	case "Credentials":
		about, _ := arg[bus.Dict](s, 0)
		ssid, _ := bus.Lookup[[]byte](about, supplicant.WPSCredentialsSSID)
		key, ok := bus.Lookup[[]byte](about, supplicant.WPSCredentialsKey)
		if !ok || len(key) == 0 || len(key) > maxKey || bytes.ContainsRune(key, 0) || string(ssid) != t.n.ssid {
			t.tell(errSetup)
			return
		}
		t.endSetup()
		c := core.Credentials{Passphrase: logx.Secret(key), Hidden: t.credentials.Hidden}
		t.n.core.Learned(c.Passphrase)
		t.join(c)
	}
}

// endSetup has the supplicant stop fetching.
func (t *attempt) endSetup() {
	if !t.inSetup {
		return
	}
	t.inSetup = false
	t.timer.Stop()
	if a := t.n.a; a.path != "" && a.owner == a.b.owner {
		a.b.Bus.Call(supplicant.WPSCancelCall(a.owner, a.path), nil)
	}
}

// The element by which access points announce Wi-Fi Protected Setup: one of
// vendors (IEEE 802.11, 9.4.2.25), of Microsoft, type 4.
const vendorElement = 221

var setupVendor = []byte{0x00, 0x50, 0xf2, 0x04}

// announcesSetup reports whether the elements of a beacon announce Wi-Fi
// Protected Setup. What is cut short is not looked at.
func announcesSetup(elements []byte) bool {
	for len(elements) >= 2 {
		id, length := elements[0], int(elements[1])
		if len(elements) < 2+length {
			return false
		}
		if id == vendorElement && bytes.HasPrefix(elements[2:2+length], setupVendor) {
			return true
		}
		elements = elements[2+length:]
	}
	return false
}
