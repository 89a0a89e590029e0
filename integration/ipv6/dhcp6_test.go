//go:build netns

package ipv6

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A lease from its beginning to its end, on a network where all traffic goes
// through the router.
func TestLeaseOfASingleAddress(t *testing.T) {
	w := newWorld(t)
	forward(t, w.gateway)
	w.web()
	w.dhcpd(stock{first: "2001:db8:1::100", last: "2001:db8:1::1ff"})
	leases := w.gateway.Path(servers["ISC"].leases)
	w.radvd(w.gateway, managed)
	w.start()
	w.waitState("ready")
	d := w.ipv6()
	address, _ := d["Address"].Value().(string)
	if !strings.HasPrefix(address, "2001:db8:1::1") || d["PrefixLength"].Value() != byte(128) {
		t.Errorf("IPv6 is %v", d)
	}
	must(t, w.machine.Do(func() error {
		conn, err := net.DialTimeout("tcp6", "["+router1+"]:80", patience)
		if err == nil {
			conn.Close()
		}
		return err
	}))
	p, err := w.properties()
	must(t, err)
	if got, _ := p["Nameservers"].Value().([]string); len(got) != 1 || got[0] != "2001:db8:1::53" {
		t.Errorf("name servers %v", got)
	}
	settings := w.machine.Path("/var/lib/connman/" + filepath.Base(string(service)) + "/settings")
	w.waitFile(settings, "IPv6.DHCP.LastAddress="+address+"\n")
	w.waitFile(settings, "IPv6.DHCP.DUID=00010001")

	must(t, w.call(service, "net.connman.Service.Disconnect").Err)
	w.waitFile(leases, "binding state released")
	w.waitNoAddress()
	must(t, w.call(service, "net.connman.Service.Connect").Err)
	w.waitAddress(address)
}

// Another machine uses the address that the server gives.
func TestDeclinedLease(t *testing.T) {
	w := newWorld(t)
	other := w.join("other", net.HardwareAddr{2, 0, 0, 0, 0, 3})
	w.addAddr(other, "2001:db8:1::100/64")
	w.dhcpd(stock{first: "2001:db8:1::100", last: "2001:db8:1::100"})
	leases := w.gateway.Path(servers["ISC"].leases)
	w.radvd(w.gateway, managed)
	w.start()
	w.waitFile(leases, "binding state abandoned")
	list, err := w.machine.Netlink.AddrList(w.eth.Link, unix.AF_INET6)
	must(t, err)
	for _, a := range list {
		if a.IP.Equal(net.ParseIP("2001:db8:1::100")) && a.Flags&unix.IFA_F_DADFAILED == 0 {
			t.Errorf("has the other machine's address: %v", a)
		}
	}
}

// Routers begin to offer DHCPv6 and cease to: the lease comes and then stays
// (RFC 4862, 5.5.2 leaves that to us).
func TestManagedFlagChanges(t *testing.T) {
	w := newWorld(t)
	forward(t, w.gateway)
	w.dhcpd(stock{first: "2001:db8:1::100", last: "2001:db8:1::100"})
	plain := advertise("medium", network, "")
	router := w.radvd(w.gateway, plain)
	w.start()
	w.waitAddress(slaac)
	if list := w.addresses(); len(list) != 1 {
		t.Errorf("addresses %v", list)
	}
	for _, config := range []string{advertise("medium", network, "AdvManagedFlag on;"), plain} {
		router.Kill()
		router = w.radvd(w.gateway, config)
		w.waitAddress("2001:db8:1::100")
		w.waitAddress(slaac)
	}
	w.waitState("ready")
}
