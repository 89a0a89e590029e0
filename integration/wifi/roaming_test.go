//go:build vm

package wifi

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"

	"net.connman/integration/lab"
)

// associated is the address of the access point that the machine is with, ""
// for none.
func (s *session) associated() string {
	out, _ := s.machine.Output(exec.Command(peer("iw/sbin/iw"), "dev", "wlan0", "link"))
	_, rest, _ := strings.Cut(string(out), "Connected to ")
	address, _, _ := strings.Cut(rest, " ")
	return address
}

// wantAssociated waits until the machine is with an access point.
func (s *session) wantAssociated(address net.HardwareAddr) {
	s.t.Helper()
	must(s.t, lab.Eventually(patience, func() error { // no signal tells of it
		if at := s.associated(); at != address.String() {
			return fmt.Errorf("the machine is with %q, want %v", at, address)
		}
		return nil
	}))
}

// reaches says whether the machine has a connection with the house.
func (s *session) reaches() error {
	return s.machine.Do(func() error {
		conn, err := net.DialTimeout("tcp", "10.77.0.1:80", patience)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

// follow records the bus until the test ends.
func (s *session) follow() *lab.Recorder {
	s.t.Helper()
	recorder, err := s.bus.Record()
	must(s.t, err)
	s.t.Cleanup(recorder.Close)
	return recorder
}

// recorded waits until the recorder has all that the daemon has said by now: what it
// records comes to it by a connection of its own.
func (s *session) recorded(recorder *lab.Recorder) {
	s.t.Helper()
	conn, err := s.bus.Connect()
	must(s.t, err)
	defer conn.Close()
	must(s.t, conn.Object("net.connman", "/").Call("net.connman.Manager.GetProperties", 0).Err)
	ctx, cancel := s.patient()
	defer cancel()
	_, err = recorder.Wait(ctx, 0, func(m *dbus.Message) bool {
		return m.Type == dbus.TypeMethodReply && lab.Header(m, dbus.FieldDestination) == conn.Names()[0] &&
			lab.Header(m, dbus.FieldSender) != "org.freedesktop.DBus"
	})
	must(s.t, err)
}

// states are those that a service has gone through since the recording began.
func (s *session) states(recorder *lab.Recorder, path dbus.ObjectPath) []string {
	s.t.Helper()
	s.recorded(recorder)
	var all []string
	for _, record := range recorder.Records(0) {
		m := record.Message
		if signalled(m, path, "State") {
			all = append(all, m.Body[1].(dbus.Variant).Value().(string))
		}
	}
	return all
}

// Two access points of one network: the machine goes to the stronger one without
// the service, its address or a connection noticing; and when that one is gone it
// finds back to the other.
func TestRoaming(t *testing.T) {
	s := start(t)
	must(t, setSignal(s.radio(2), -79))
	t.Cleanup(func() { must(t, setSignal(s.radio(1), -30)) })
	t.Cleanup(func() { must(t, setSignal(s.radio(2), -30)) })
	s.accessPoint("wlan1", pskNetwork("Campus", "correct horse"))
	second := s.accessPoint("wlan2", pskNetwork("Campus", "correct horse")+"channel=6\n")
	path := s.join("Campus", "psk")
	near, far := s.radioAddress(1), s.radioAddress(2)
	if at := s.associated(); at != near.String() {
		t.Fatalf("the machine is with %q, want the strong one, %v", at, near)
	}
	addresses := make(chan netlink.AddrUpdate, 16)
	quit := make(chan struct{})
	must(t, s.machine.Do(func() error { return netlink.AddrSubscribe(addresses, quit) }))
	t.Cleanup(func() { close(quit) })
	recorder := s.follow()

	must(t, setSignal(s.radio(1), -79))
	must(t, setSignal(s.radio(2), -30))
	if out, err := s.ctl("scan", "wifi"); err != nil { // which the supplicant takes as an occasion
		t.Fatalf("scan: %q, %v", out, err)
	}
	s.wantAssociated(far)
	must(t, s.reaches())
	roamed := s.states(recorder, path)
	if slices.ContainsFunc(roamed, func(state string) bool { return state != "ready" && state != "online" }) {
		t.Errorf("roaming led through %v", roamed)
	}
	for len(addresses) > 0 {
		if a := <-addresses; !a.NewAddr && a.LinkAddress.IP.To4() != nil {
			t.Errorf("%s was taken away", a.LinkAddress.String())
		}
	}

	second.stop()
	s.wantAssociated(near)
	s.connected("Campus", "psk")
	if back := s.states(recorder, path); slices.Contains(back, "failure") {
		t.Errorf("going back led through %v", back)
	}
}
