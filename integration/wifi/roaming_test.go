//go:build vm

package wifi

import (
	"fmt"
	"net"
	"os/exec"
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

// states are those that a service has gone through since the recording began.
func states(recorder *lab.Recorder, path dbus.ObjectPath) []string {
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
	for _, state := range states(recorder, path) {
		if state != "ready" && state != "online" {
			t.Errorf("roaming led through %v", states(recorder, path))
		}
	}
	for len(addresses) > 0 {
		if a := <-addresses; !a.NewAddr && a.LinkAddress.IP.To4() != nil {
			t.Errorf("%s was taken away", a.LinkAddress.String())
		}
	}

	second.stop()
	s.wantAssociated(near)
	s.connected("Campus", "psk")
	for _, state := range states(recorder, path) {
		if state == "failure" {
			t.Errorf("going back led through %v", states(recorder, path))
		}
	}
}
