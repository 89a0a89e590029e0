//go:build vm

package wifi

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"

	"net.connman/integration/lab"
)

// What wpa_supplicant is called on the bus.
const (
	wpaName    = "fi.w1.wpa_supplicant1"
	wpaRoot    = dbus.ObjectPath("/fi/w1/wpa_supplicant1")
	wpaAdapter = wpaRoot + "/Interfaces/0"
	wpaLink    = wpaName + ".Interface"
	wpaBSS     = wpaName + ".BSS"
)

// scripted stands in for wpa_supplicant and does what the test wants. It hears
// what the test says is there, and lets nobody in by itself.
type scripted struct {
	t    testing.TB
	conn *dbus.Conn
	// selected has one for each network that was to be joined.
	selected chan dbus.ObjectPath

	mu      sync.Mutex // guards what follows
	scan    func()     // what is heard during a scan, before it is over
	answers map[string]any
}

// startScripted takes the supplicant's name on the session's bus.
func (s *session) startScripted() *scripted {
	s.t.Helper()
	conn, err := s.bus.Connect()
	must(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	f := &scripted{t: s.t, conn: conn, selected: make(chan dbus.ObjectPath, 64), scan: func() {}, answers: map[string]any{
		"CreateInterface": wpaAdapter, "GetInterface": wpaAdapter, "AddNetwork": wpaAdapter + "/Networks/0",
		"GetAll": map[string]dbus.Variant{"State": dbus.MakeVariant("inactive")},
	}}
	type dict = map[string]dbus.Variant
	root := map[string]any{
		"CreateInterface": func(dict) (any, *dbus.Error) { return f.answer("CreateInterface"), nil },
		"GetInterface":    func(string) (any, *dbus.Error) { return f.answer("GetInterface"), nil },
		"RemoveInterface": func(dbus.ObjectPath) *dbus.Error { return nil },
	}
	link := map[string]any{
		"AddNetwork": func(dict) (any, *dbus.Error) { return f.answer("AddNetwork"), nil },
		"SelectNetwork": func(path dbus.ObjectPath) *dbus.Error {
			f.selected <- path
			return nil
		},
		"RemoveNetwork":     func(dbus.ObjectPath) *dbus.Error { return nil },
		"RemoveAllNetworks": func() *dbus.Error { return nil },
		"Scan": func(dict) *dbus.Error {
			go f.scanned()
			return nil
		},
	}
	properties := map[string]any{
		"GetAll": func(string) (any, *dbus.Error) { return f.answer("GetAll"), nil },
		"Set":    func(string, string, dbus.Variant) *dbus.Error { return nil },
	}
	must(s.t, conn.ExportMethodTable(root, wpaRoot, wpaName))
	must(s.t, conn.ExportSubtreeMethodTable(link, wpaRoot, wpaLink))
	must(s.t, conn.ExportSubtreeMethodTable(properties, wpaRoot, "org.freedesktop.DBus.Properties"))
	reply, err := conn.RequestName(wpaName, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		s.t.Fatalf("cannot stand in for the supplicant: %v %v", reply, err)
	}
	return f
}

func (f *scripted) answer(member string) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answers[member]
}

// answerWith changes what a method returns.
func (f *scripted) answerWith(member string, value any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[member] = value
}

// onScan says what is heard during a scan.
func (f *scripted) onScan(hear func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scan = hear
}

func (f *scripted) scanned() {
	f.mu.Lock()
	hear := f.scan
	f.mu.Unlock()
	hear()
	f.emit(wpaAdapter, wpaLink+".ScanDone", true)
}

// emit sends a signal. An error is the test's end: the bus takes whatever has a
// type.
func (f *scripted) emit(path dbus.ObjectPath, member string, values ...any) {
	if err := f.conn.Emit(path, member, values...); err != nil && f.t.Context().Err() == nil {
		f.t.Errorf("cannot send %s: %v", member, err)
	}
}

// station is the path of an access point.
func station(n int) dbus.ObjectPath { return wpaAdapter + dbus.ObjectPath(fmt.Sprintf("/BSSs/%d", n)) }

// appear makes an access point heard.
func (f *scripted) appear(n int, ssid string, signal int16, more map[string]dbus.Variant) {
	about := map[string]dbus.Variant{
		"SSID": dbus.MakeVariant([]byte(ssid)), "BSSID": dbus.MakeVariant([]byte{2, 0, 0, 0, byte(n >> 8), byte(n)}),
		"Mode": dbus.MakeVariant("infrastructure"), "Privacy": dbus.MakeVariant(true),
		"Signal": dbus.MakeVariant(signal), "Frequency": dbus.MakeVariant(uint16(2412)),
		"WPA": dbus.MakeVariant(map[string]dbus.Variant{"KeyMgmt": dbus.MakeVariant([]string{})}),
		"RSN": dbus.MakeVariant(map[string]dbus.Variant{"KeyMgmt": dbus.MakeVariant([]string{"wpa-psk"})}),
		"IEs": dbus.MakeVariant(append([]byte{0, byte(len(ssid))}, ssid...)),
	}
	for key, value := range more {
		about[key] = value
	}
	f.emit(wpaAdapter, wpaLink+".BSSAdded", station(n), about)
}

// change changes properties of an object.
func (f *scripted) change(path dbus.ObjectPath, of string, about map[string]dbus.Variant) {
	f.emit(path, "org.freedesktop.DBus.Properties.PropertiesChanged", of, about, []string{})
}

// startBeside begins a session of our daemon with a scripted supplicant.
func startBeside(t *testing.T) (*session, *scripted) {
	t.Helper()
	t.Parallel()
	s := prepare(t, lab.Ours())
	f := s.startScripted()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, s.bus.WaitName(ctx, wpaName, true))
	return s, f
}
