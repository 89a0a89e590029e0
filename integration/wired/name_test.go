//go:build netns

package wired

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

// A mute bus answers so many requests of a connection, the first of which is to
// be authenticated and the second Hello, and then says nothing more.
type muteBus struct {
	answers int
}

// serve is the bus of one connection, until the other side closes it.
func (b muteBus) serve(conn net.Conn) error {
	in := bufio.NewReader(conn)
	for line := ""; line != "BEGIN\r\n"; {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return err
		}
	}
	if b.answers > 0 {
		if _, err := io.WriteString(conn, "OK 00112233445566778899aabbccddeeff\r\n"); err != nil {
			return err
		}
	}
	for n := 2; ; n++ {
		call, err := dbus.DecodeMessage(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && n <= b.answers {
			err = welcome(call).EncodeTo(conn, binary.LittleEndian)
		}
		if err != nil {
			return err
		}
	}
}

// welcome answers Hello.
func welcome(hello *dbus.Message) *dbus.Message {
	return &dbus.Message{
		Type: dbus.TypeMethodReply,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(hello.Serial()),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf("")),
		},
		Body: []any{":1.1"},
	}
}

// start listens for one connection and returns the bus's address.
func (b muteBus) start(t *testing.T, socket string) string {
	listener, err := net.Listen("unix", socket)
	must(t, err)
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = b.serve(conn)
			conn.Close()
		}
		served <- err
	}()
	t.Cleanup(func() {
		listener.Close()
		must(t, <-served)
	})
	return "unix:path=" + socket
}

// everything that a network manager may change about the machine, as text.
func (w *world) everything() string {
	w.t.Helper()
	text, err := w.Machine.Output(exec.Command("sh", "-c", `
		ip address; ip rule; ip route show table all; ip -6 rule; ip -6 route show table all
		uname -n; cat /proc/sys/kernel/domainname
		grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf
		find /etc/resolv.conf /var/lib/connman /run/connman* -printf '%p %M %s %T@\n' -type f -exec cat {} +
		true`))
	must(w.t, err)
	return string(text)
}

// TestNothingIsTouchedWithoutTheName starts daemons that never get the bus
// name, on a machine whose links are in use by their killed predecessor and by
// others: each says so in one line and ends, and all is as it was.
func TestNothingIsTouchedWithoutTheName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, nil)
	w.startOnline()
	w.until("both connected", w.allConnected)
	w.daemon.Kill()
	must(t, w.Links[1].AddAddr("192.0.2.7/24"))
	w.shell("ip link set eth1 down; ip link set lo down; ip route add 198.51.100.0/24 dev eth0 proto static")
	must(t, w.Machine.Do(func() error { return unix.Sethostname([]byte("(none)")) }))
	w.until("addresses settled", func() error {
		if strings.Contains(w.everything(), "tentative") {
			return errors.New("the kernel still looks for duplicates")
		}
		return nil
	})
	_, err := w.bus.RequestName("net.connman", dbus.NameFlagDoNotQueue)
	must(t, err)
	// What they would make first is the key of opaque addresses.
	must(t, w.Machine.WriteFile("/etc/connman/main.conf", "[General]\nIPv6AddressGeneration = stable-privacy\n"))
	before, asked := w.everything(), len(w.Router.DHCP.Heard())

	tests := []struct {
		name    string
		address string
		says    string
	}{
		{"name taken", w.Bus.Address, "stop that one"},
		{"bus mute at once", muteBus{0}.start(t, w.Machine.Path("/run/mute0")), "dbus-daemon"},
		{"bus mute after the authentication", muteBus{1}.start(t, w.Machine.Path("/run/mute1")), "dbus-daemon"},
		{"bus mute after Hello", muteBus{2}.start(t, w.Machine.Path("/run/mute2")), "dbus-daemon"},
	}
	daemons, outputs := make([]*lab.Process, len(tests)), make([]bytes.Buffer, len(tests))
	for i, tt := range tests {
		cmd := exec.Command(lab.Ours().Path, "-n", "-r")
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+tt.address)
		daemons[i], err = w.Machine.Start(cmd)
		must(t, err)
	}
	for i, tt := range tests {
		var exit *exec.ExitError
		if err := daemons[i].Wait(patience); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s: ended with %v, want exit status 1", tt.name, err)
		}
		if err := oneLine(complaints(outputs[i].String()), tt.says); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if after := w.everything(); after != before {
		t.Errorf("the machine was\n%s\nand is\n%s", before, after)
	}
	if heard := w.Router.DHCP.Heard(); len(heard) != asked {
		t.Errorf("the router heard %v", heard[asked:])
	}
}
