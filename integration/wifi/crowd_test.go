//go:build vm

package wifi

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"net.connman/integration/lab"
)

const (
	inRange    = 500
	remembered = 1000
	maxRss     = 20 << 10 // KiB
)

// remember has the daemon know networks from earlier runs, which it does not join
// by itself.
func (s *session) remember(ssids ...string) {
	s.t.Helper()
	for _, ssid := range ssids {
		id := filepath.Base(string(s.path(ssid, "psk")))
		must(s.t, s.machine.WriteFile("/var/lib/connman/"+id+"/settings", fmt.Sprintf(
			"[%s]\nName=%s\nSSID=%s\nFrequency=2412\nFavorite=true\nAutoConnect=false\nPassphrase=correct horse\nIPv4.method=dhcp\n",
			id, ssid, hex.EncodeToString([]byte(ssid)))))
	}
}

// order lists the services as they come.
func (s *session) order() (paths []dbus.ObjectPath, err error) {
	var services []struct {
		Path  dbus.ObjectPath
		About map[string]dbus.Variant
	}
	err = s.call("/", "net.connman.Manager.GetServices").Store(&services)
	for _, service := range services {
		paths = append(paths, service.Path)
	}
	return paths, err
}

// memory is a field of the daemon's /proc/PID/status, in KiB.
func (s *session) memory(field string) int {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.daemon.Pid()))
	must(s.t, err)
	_, rest, _ := strings.Cut(string(text), field+":")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	must(s.t, err)
	return n
}

// cpu is how long the daemon has had a processor, as /proc/PID/stat says.
func (s *session) cpu() time.Duration {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.daemon.Pid()))
	must(s.t, err)
	_, rest, _ := strings.Cut(string(text), ") ")
	var ticks int
	for _, field := range strings.Fields(rest)[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		must(s.t, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// wantQuiet waits for the daemon to rest: to need a processor for 5 % of the time at
// most, once what it was given to do is done.
func (s *session) wantQuiet() {
	s.t.Helper()
	const look = 2 * time.Second
	deadline := time.Now().Add(patience)
	for {
		before := s.cpu()
		time.Sleep(look) // what is measured is a length of time
		used := s.cpu() - before
		if used <= look/20 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("the daemon does not come to rest: it used a processor for %v of %v", used, look)
			return
		}
	}
}

// reordered tells that the list of services was sent.
func reordered(m *dbus.Message) bool {
	return m.Type == dbus.TypeSignal && lab.Header(m, dbus.FieldMember) == "ServicesChanged"
}

// reorderings are how often the list was sent since the recording's position.
func reorderings(recorder *lab.Recorder, from int) (n int) {
	for _, record := range recorder.Records(from) {
		if reordered(record.Message) {
			n++
		}
	}
	return n
}

// 500 networks in range, 1,000 known ones: each scan is one ServicesChanged at
// most, and none when nothing changes places; memory stays in bounds.
func TestCrowd(t *testing.T) {
	s, f := startBeside(t)
	ssid := func(n int) string { return fmt.Sprintf("crowd %03d", n) }
	for n := range remembered {
		s.remember(ssid(n * 2)) // a half of those in range among them
	}
	f.onScan(func() {
		for n := range inRange {
			f.appear(n, ssid(n), int16(-90+n%60), nil)
		}
	})
	s.run()
	all := func() (any, error) {
		paths, err := s.order()
		return len(paths), err
	}
	s.eventually("the number of services", inRange, all)
	f.onScan(func() {})
	scan := func(signal func(n int) int16) {
		t.Helper()
		heard := make(chan bool, 1)
		f.onScan(func() {
			f.onScan(func() {})
			for n := range inRange {
				f.change(station(n), wpaBSS, map[string]dbus.Variant{"Signal": dbus.MakeVariant(signal(n))})
			}
			heard <- true
		})
		// Scan is answered when a scan that had begun by itself is over, too, and on a
		// slow machine when it has waited long enough.
		for begun := time.Now(); time.Since(begun) < patience; {
			err := s.call("/net/connman/technology/wifi", "net.connman.Technology.Scan").Err
			if err != nil && !strings.Contains(err.Error(), "timeout") {
				t.Fatal(err)
			}
			select {
			case <-heard:
				return
			default:
			}
		}
		t.Fatal("nobody was heard")
	}
	scan(func(n int) int16 { return int16(-90 + n%60) })
	before, err := s.order()
	must(t, err)
	recorder := s.follow()
	cpu := s.cpu()

	const scans = 3
	for range scans {
		scan(func(n int) int16 { return int16(-90 + n%60) })
	}
	if after, err := s.order(); err != nil || !slices.Equal(before, after) {
		t.Errorf("nothing changed but the order, %v", err)
	}
	s.recorded(recorder)
	if n := reorderings(recorder, 0); n > 0 {
		t.Errorf("%d times ServicesChanged though nothing changed", n)
	}
	mark := recorder.Mark()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range scans {
		from := recorder.Mark()
		scan(func(n int) int16 { return int16(-90 + (n*7+i)%60) })
		_, err := recorder.Wait(ctx, from, reordered)
		must(t, err)
	}
	if after, err := s.order(); err != nil || slices.Equal(before, after) || len(after) != inRange {
		t.Errorf("the order did not follow: %d services, %v", len(after), err)
	}
	t.Logf("%v of a processor for each scan; memory %d KiB, %d at most", (s.cpu()-cpu)/(2*scans), s.memory("VmRSS"), s.memory("VmHWM"))
	if n := s.memory("VmRSS"); n > maxRss {
		t.Errorf("the daemon has %d KiB of memory, want %d at most", n, maxRss)
	}
	s.wantQuiet()
	s.recorded(recorder)
	if n := reorderings(recorder, mark); n != scans {
		t.Errorf("%d times ServicesChanged for %d scans", n, scans)
	}
}

// A supplicant that talks nonsense: nothing of it becomes a service or does harm,
// and what makes sense serves.
func TestNonsense(t *testing.T) {
	s, f := startBeside(t)
	variant := dbus.MakeVariant
	good := map[string]dbus.Variant{"State": variant("inactive")}
	for _, reply := range []struct {
		member string
		value  any
	}{
		{"CreateInterface", "no path"}, {"CreateInterface", uint32(1)}, {"CreateInterface", dbus.ObjectPath("/")},
		{"GetAll", "nothing"}, {"GetAll", map[string]dbus.Variant{"State": variant(uint32(3)), "BSSs": variant("x"), "Capabilities": variant(true)}},
		{"GetAll", map[string]dbus.Variant{"BSSs": variant([]dbus.ObjectPath{"/", wpaAdapter, station(999)})}},
	} {
		right := f.answer(reply.member)
		f.answerWith(reply.member, reply.value)
		s.launch()
		s.call("/net/connman/technology/wifi", "net.connman.Technology.SetProperty", "Powered", dbus.MakeVariant(true))
		if paths, err := s.order(); err != nil || len(paths) > 0 {
			t.Errorf("after %s answered %v: services %v, %v", reply.member, reply.value, paths, err)
		}
		must(t, s.daemon.Stop(patience))
		f.answerWith(reply.member, right)
	}
	f.answerWith("GetAll", good)
	must(t, os.RemoveAll(s.machine.Path("/var/lib/connman")))
	s.run()

	about := func(key string, value any) map[string]dbus.Variant {
		return map[string]dbus.Variant{key: variant(value)}
	}
	for n, more := range []map[string]dbus.Variant{
		about("SSID", "a text"), about("SSID", strings.Repeat("x", 33)), about("SSID", []byte(strings.Repeat("x", 33))),
		about("Signal", "strong"), about("Signal", int64(1)), about("Mode", 7), about("Privacy", "yes"),
		about("RSN", "none"), about("RSN", about("KeyMgmt", uint32(1))), about("WPA", []string{"x"}), about("WPS", uint32(1)),
		about("Mode", "ad-hoc"), about("IEs", "elements"), about("Frequency", "2.4 GHz"), about("BSSID", "00:00"),
	} {
		f.appear(n, "nonsense", -50, more)
	}
	for _, path := range []dbus.ObjectPath{"/", wpaRoot, wpaAdapter, station(3), station(777)} {
		for _, values := range [][]any{{}, {"x"}, {uint32(1), "y"}, {station(5)}, {station(5), "z"}, {wpaAdapter, good}, {true}} {
			for _, member := range []string{wpaLink + ".BSSAdded", wpaLink + ".BSSRemoved", wpaLink + ".ScanDone", wpaLink + ".EAP",
				wpaLink + ".WPS.Event", wpaLink + ".WPS.Credentials", "org.freedesktop.DBus.Properties.PropertiesChanged"} {
				f.emit(path, member, values...)
			}
		}
		for _, of := range []string{wpaLink, wpaBSS, "no.such"} {
			f.change(path, of, about("State", uint32(1)))
			f.change(path, of, about("State", "no such state"))
			f.change(path, of, about("SSID", about("SSID", []byte("x"))))
			f.change(path, of, about("Signal", []string{"x"}))
		}
	}
	f.appear(100, "", -50, nil)
	f.appear(101, "bare", -50, nil)
	f.appear(102, "odd elements", -50, about("IEs", []byte{0, 200, 221, 255, 0, 0x50, 0xf2}))
	must(t, s.call("/net/connman/technology/wifi", "net.connman.Technology.Scan").Err)
	s.eventually("what makes sense is there", true, func() (any, error) {
		paths, err := s.order()
		hidden := dbus.ObjectPath(strings.Replace(string(s.path("", "psk")), "__", "_hidden_", 1))
		return len(paths) == 3 && slices.Contains(paths, s.path("bare", "psk")) &&
			slices.Contains(paths, s.path("odd elements", "psk")) && slices.Contains(paths, hidden), err
	})
	s.wantQuiet()

	s.agent("Passphrase", "correct horse")
	f.answerWith("AddNetwork", uint32(1))
	if err := s.call(s.path("bare", "psk"), "net.connman.Service.Connect").Err; err == nil {
		t.Error("connected though the supplicant takes no network")
	}
	f.answerWith("AddNetwork", wpaAdapter+"/Networks/0")
	s.conn.Object("net.connman", s.path("bare", "psk")).Go("net.connman.Service.Connect", 0, nil)
	select {
	case <-f.selected:
	case <-time.After(patience):
		t.Fatal("no network was joined")
	}
	for _, state := range []string{"no such state", "completed", "", "completed"} {
		f.change(wpaAdapter, wpaLink, about("State", state))
	}
	s.wantState(s.path("bare", "psk"), "configuration", "ready")
	s.wantQuiet()
}
