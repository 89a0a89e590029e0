package main

import (
	"testing"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/lab"
)

// TestNoVPNDaemon: a machine without the VPN daemon has all but the VPNs.
func TestNoVPNDaemon(t *testing.T) {
	bus := lab.StartBus(t)
	w := &world{bus, lab.StartDaemon(t, bus, "net.connman")}
	w.script()
	w.Answer("RegisterAgent", lab.Answer{})
	for args, status := range map[string]command.Status{"services": command.Worked, "state": command.Worked, "vpnconnections": command.NoDaemon} {
		got := finish(t, client(deadline(t), bus, args))
		if got.status != int(status) || (got.Stderr == "") != (status == command.Worked) {
			t.Errorf("%s: status %d, %q", args, got.status, got.Stderr)
		}
	}
	c := openConsole(t, bus)
	c.expect(prompt)
	c.typeIn("technologies\r")
	c.expect("/net/connman/technology/wifi\r\n")
	c.typeIn("connect ether\t")
	c.expect("connect ethernet_027702000002_cable ")
	c.typeIn("\x15")
	c.typeIn("vpnagent on\r")
	c.expect("Error registering VPN Agent: ")
	c.expect(prompt)
	c.typeIn("agent on\r")
	c.expect("Agent registered\r\n")
	c.typeIn("monitor\r")
	c.typeIn("quit\r")
	c.expectEnd(command.Worked)
}
