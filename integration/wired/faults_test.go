//go:build netns

package wired

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"net.connman/integration/home"
	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// answer is a router's last word on each of its DHCP answers.
type answer func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4

// script is a router whose answers change while the test goes on.
type script struct{ now atomic.Pointer[answer] }

// say has the router answer by a from now on; nil is honesty.
func (s *script) say(a answer) {
	if a == nil {
		a = func(_, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 { return reply }
	}
	s.now.Store(&a)
}

// silence is a router that hears and says nothing.
func silence(_, _ *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 { return nil }

// shortest is the shortest lease that the daemon takes as it is given: it asks
// again after 5 s, asks everybody after 8.75 s and gives up after 10.
const shortest = 10 * time.Second

// scripted is a world whose router follows a script and gives short leases.
func scripted(t *testing.T, links int) (*world, *script) {
	t.Helper()
	s := &script{}
	s.say(nil)
	w := newWorld(t, links, func(c *router.Config) {
		c.Lease = shortest
		c.Answer = func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 { return (*s.now.Load())(request, reply) }
	})
	return w, s
}

// heard waits for a DHCP message from position from on.
func (w *world) heard(from int, kind dhcpv4.MessageType, more ...func(*dhcpv4.DHCPv4) bool) *dhcpv4.DHCPv4 {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := w.Router.DHCP.Wait(ctx, from, func(m *dhcpv4.DHCPv4) bool {
		return m.MessageType() == kind && !slices.ContainsFunc(more, func(ok func(*dhcpv4.DHCPv4) bool) bool { return !ok(m) })
	})
	if err != nil {
		w.t.Fatalf("no %v: %v", kind, err)
	}
	return m
}

// extends accepts requests for more time, directly or from everybody.
func extends(m *dhcpv4.DHCPv4) bool { return !m.ClientIPAddr.IsUnspecified() }

func (w *world) asked() int { return len(w.Router.DHCP.Heard()) }

// refusal is the server's NAK.
func refusal(request *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	reply, err := dhcpv4.NewReplyFromRequest(request, dhcpv4.WithMessageType(dhcpv4.MessageTypeNak),
		dhcpv4.WithServerIP(net.IPv4zero), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(home.Address.Addr().AsSlice())))
	if err != nil {
		panic(err) // only for a request that is none
	}
	return reply
}

// neighbour is another host at the router's switch.
func (w *world) neighbour(address string) (*lab.Host, lab.End) {
	w.t.Helper()
	h, err := w.lab.Host("neighbour")
	must(w.t, err)
	own, port, err := w.lab.Cable(h, "eth0", nil, w.Gateway, "portn")
	must(w.t, err)
	bridge, err := w.Gateway.Netlink.LinkByName("home")
	must(w.t, err)
	must(w.t, w.Gateway.Netlink.LinkSetMaster(port.Link, bridge))
	must(w.t, errors.Join(own.AddAddr(address), own.FullChecksums(), port.FullChecksums(), own.Up(), port.Up()))
	return h, own
}

func TestTwoServersOneLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	second, port := w.neighbour("10.77.0.2/20")
	var other *router.Router
	must(t, second.Do(func() (err error) {
		other, err = router.Start(router.Config{
			Interface: port.Name(), Address: netip.MustParsePrefix("10.77.0.2/20"),
			First: netip.MustParseAddr("10.77.8.0"), Count: 9, Lease: time.Hour, DHCPOnly: true,
		})
		return err
	}))
	defer other.Close()
	for range 5 {
		w.start()
		w.until("connected", w.allConnected)
		has, err := addresses(w.Links[0])
		must(t, err)
		if len(has) != 1 || has[0] != "10.77.1.0/20" && has[0] != "10.77.8.0/20" {
			t.Errorf("addresses are %v, want one server's", has)
		}
		w.end()
	}
}

func TestServerThatRefusesThenGrants(t *testing.T) {
	t.Parallel()
	w, s := scripted(t, 1)
	var refused atomic.Int32
	s.say(func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if request.MessageType() == dhcpv4.MessageTypeRequest && refused.Add(1) <= 3 {
			return refusal(request)
		}
		return reply
	})
	w.startOnline()
	if n := w.asked(); n > 10 {
		t.Errorf("%d messages for 3 refusals and a lease", n)
	}
}

// TestRefusedRenewal: the server takes the address away; the daemon gives it
// up at once and has the next one a moment later.
func TestRefusedRenewal(t *testing.T) {
	t.Parallel()
	w, s := scripted(t, 1)
	w.startOnline()
	from := w.recorder.Mark()
	s.say(func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if extends(request) {
			return refusal(request)
		}
		return reply
	})
	w.waitSignal(from, "Service.PropertyChanged", `"State" <"configuration">`)
	s.say(nil)
	w.untilSignals(from, `Service.PropertyChanged "State" <"configuration">`, `Service.PropertyChanged "State" <"ready">`)
	w.untilState(0, "online")
	must(t, withAddress(w.Links[0]))
}

// TestSilenceBetweenT1AndT2: the server that gave the lease does not answer any
// more, and everybody is asked; nobody notices.
func TestSilenceBetweenT1AndT2(t *testing.T) {
	t.Parallel()
	w, s := scripted(t, 1)
	w.startOnline()
	losses := w.watchLosses()
	var first atomic.Pointer[time.Time]
	s.say(func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if now := time.Now(); extends(request) && first.CompareAndSwap(nil, &now) || time.Since(*first.Load()) < shortest*3/8 {
			return nil
		}
		return reply
	})
	asked := w.asked()
	w.heard(asked, dhcpv4.MessageTypeRequest, extends, func(*dhcpv4.DHCPv4) bool { return time.Since(*first.Load()) > shortest*3/8 })
	must(t, expect("state", text(w.service(0)["State"]), "online"))
	if lost := losses(); len(lost) > 0 {
		t.Errorf("taken away meanwhile: %v", lost)
	}
}

// TestSilenceToTheEndOfTheLease covers a server that is gone before T1 and one
// that stays away after T2: with the lease the address goes, and when a server
// is back so is the address.
func TestSilenceToTheEndOfTheLease(t *testing.T) {
	t.Parallel()
	w, s := scripted(t, 1)
	w.startOnline()
	s.say(silence)
	from := w.recorder.Mark()
	w.waitSignal(from, "Service.PropertyChanged", `"State" <"configuration">`)
	w.until("no address", func() error { return w.gone(w.Links[0]) })
	s.say(nil)
	w.untilState(0, "online")
	must(t, withAddress(w.Links[0]))
}

func TestOfferOfAnAddressInUse(t *testing.T) {
	t.Parallel()
	w, _ := scripted(t, 1)
	w.configure("[General]\nAddressConflictDetection=true\n")
	_, holder := w.neighbour("10.77.1.0/20")
	w.start()
	declined := w.heard(0, dhcpv4.MessageTypeDecline)
	must(t, expect("declined", declined.RequestedIPAddress(), "10.77.1.0"))
	w.untilState(0, "online")
	w.untilAddress(0, "10.77.1.1/20")
	p := w.service(0)
	must(t, expect("address in conflict", field(p, "LastAddressConflict", "IPv4"), map[string]dbus.Variant{"Address": val("10.77.1.0")}))
	must(t, expect("its holder", field(p, "LastAddressConflict", "Ethernet"),
		map[string]dbus.Variant{"Address": val(strings.ToUpper(holder.Link.Attrs().HardwareAddr.String()))}))
	must(t, expect("resolved", field(p, "LastAddressConflict", "Resolved"), true))
}

// TestGarbageFromTheServer sends rubbish before each good answer.
func TestGarbageFromTheServer(t *testing.T) {
	t.Parallel()
	w, s := scripted(t, 1)
	s.say(func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		for _, payload := range rubbish(request, reply) {
			_ = w.Router.DHCP.Send(request, payload)
		}
		return reply
	})
	w.startOnline("-r")
	w.untilAddress(0, "10.77.1.0/20")
	w.until("resolv.conf", func() error {
		return expect("resolv.conf", w.resolv(), "search home.test\nnameserver 10.77.0.1")
	})
}

// rubbish is what looks more or less like an answer and is none.
func rubbish(request, reply *dhcpv4.DHCPv4) [][]byte {
	list := [][]byte{nil, {2}, bytes.Repeat([]byte{0xff}, 1400), make([]byte, 300)}
	if reply == nil {
		return list
	}
	good := reply.ToBytes()
	altered := func(at int, with ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], with)
		return b
	}
	const options = 240
	list = append(list,
		altered(0, 1),                          // a request
		altered(1, 6),                          // not Ethernet
		altered(4, request.TransactionID[0]+1), // to somebody else's question
		altered(28, 0x66),                      // to somebody else
		altered(options-4, 0, 0, 0, 0),         // not DHCP
		altered(16, 224, 0, 0, 1),              // an address that no host has
		altered(16, 127, 0, 0, 1),              //
		altered(16, 0, 0, 0, 0),                //
		good[:options-1], good[:options], good[:options+1], good[:options+2],
		append(bytes.Clone(good[:options+3]), 51, 255), // an option without its bytes
		append(bytes.Clone(good[:options+3]), 51, 4),
		altered(options+1, 200), // a message type of 200 bytes
	)
	return list
}

// TestOfferWithoutServerIdentifier: such an offer cannot be accepted by name; a
// complete one can.
func TestOfferWithoutServerIdentifier(t *testing.T) {
	t.Parallel()
	w, s := scripted(t, 1)
	s.say(func(_, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if reply != nil {
			reply.Options.Del(dhcpv4.OptionServerIdentifier)
		}
		return reply
	})
	w.start()
	w.heard(0, dhcpv4.MessageTypeDiscover)
	w.heard(w.asked(), dhcpv4.MessageTypeDiscover) // goes on asking
	for _, m := range w.Router.DHCP.Heard() {
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			t.Errorf("requested from %v", m.ServerIdentifier())
		}
	}
	s.say(nil)
	w.untilState(0, "online")
}

// TestInfiniteLease is never renewed, whatever T1 and T2 say.
func TestInfiniteLease(t *testing.T) {
	t.Parallel()
	w, s := scripted(t, 1)
	s.say(func(_, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if reply != nil {
			reply.UpdateOption(dhcpv4.OptIPAddressLeaseTime(0xffffffff * time.Second))
			reply.UpdateOption(dhcpv4.OptRenewTimeValue(time.Second))
			reply.UpdateOption(dhcpv4.OptRebindingTimeValue(2 * time.Second))
		}
		return reply
	})
	w.startOnline()
	before := w.asked()
	watch(4 * time.Second)
	if n := w.asked(); n != before {
		t.Errorf("%d messages about a lease that lasts for ever", n-before)
	}
}

// TestFlapInEachState pulls and plugs the cable while the client waits for an
// answer to each of its messages, and while it has a lease.
func TestFlapInEachState(t *testing.T) {
	t.Parallel()
	w, s := scripted(t, 1)
	deafTo := func(kind dhcpv4.MessageType, more func(*dhcpv4.DHCPv4) bool) answer {
		return func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
			if request.MessageType() == kind && more(request) {
				return nil
			}
			return reply
		}
	}
	any := func(*dhcpv4.DHCPv4) bool { return true }
	chosen := func(m *dhcpv4.DHCPv4) bool { return m.ServerIdentifier() != nil }
	again := func(m *dhcpv4.DHCPv4) bool { return m.ServerIdentifier() == nil && !extends(m) }
	flap := func() {
		must(t, w.Unplug())
		w.untilState(0, "")
		must(t, w.Plug())
	}
	finish := func() {
		s.say(nil)
		w.untilState(0, "online")
		w.untilAddress(0, "10.77.1.0/20")
	}
	must(t, w.Unplug())
	w.start()

	for _, state := range []struct {
		name string
		kind dhcpv4.MessageType
		more func(*dhcpv4.DHCPv4) bool
	}{
		{"selecting", dhcpv4.MessageTypeDiscover, any},
		{"requesting", dhcpv4.MessageTypeRequest, chosen},
		{"rebooting", dhcpv4.MessageTypeRequest, again},
	} {
		if state.name == "requesting" { // which a client without a history does
			w.end()
			must(t, w.Unplug())
			w.shell("rm -rf " + stateDir + "*")
			w.start()
		} else {
			must(t, w.Unplug())
			w.untilState(0, "")
		}
		s.say(deafTo(state.kind, state.more))
		asked := w.asked()
		must(t, w.Plug())
		w.heard(asked, state.kind, state.more)
		flap()
		w.heard(w.asked(), state.kind, state.more)
		finish()
	}
	flap() // bound
	finish()
	s.say(deafTo(dhcpv4.MessageTypeRequest, extends))
	w.heard(w.asked(), dhcpv4.MessageTypeRequest, extends)
	flap() // renewing
	finish()

	// A lease to be renewed after a second, and by anybody after the next.
	deaf := deafTo(dhcpv4.MessageTypeRequest, extends)
	s.say(func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if reply != nil {
			reply.UpdateOption(dhcpv4.OptRenewTimeValue(time.Second))
			reply.UpdateOption(dhcpv4.OptRebindingTimeValue(2 * time.Second))
		}
		return deaf(request, reply)
	})
	flap()
	requests := 0
	w.heard(w.asked(), dhcpv4.MessageTypeRequest, extends, func(*dhcpv4.DHCPv4) bool { requests++; return requests == 2 })
	w.untilState(0, "online")
	flap() // rebinding
	finish()
}

// TestPartialChecksums gets a lease from a server whose end of the cable leaves
// UDP checksums to hardware that is not there, as containers' do.
func TestPartialChecksums(t *testing.T) {
	t.Parallel()
	l := lab.ForTest(t)
	machine, err := l.Host("machine")
	must(t, err)
	gateway, err := l.Host("gateway")
	must(t, err)
	bus, err := machine.StartBus()
	must(t, err)
	link, port, err := l.Cable(machine, "eth0", nil, gateway, "lan0")
	must(t, err)
	must(t, errors.Join(port.AddAddr(home.Address.String()), port.Up()))
	_, err = gateway.Start(exec.Command("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0",
		"--interface=lan0", "--bind-interfaces", "--no-ping", "--dhcp-leasefile=/run/leases", "--pid-file=",
		"--dhcp-range=10.77.1.0,10.77.1.200,1h"))
	must(t, err)
	cable := listen(t, link)
	_, err = lab.Ours().Run(machine, bus)
	must(t, err)
	if checksumFits(cable.wait(patience, false, dhcpAnswer)) {
		t.Error("the answers have whole checksums: this proves nothing")
	}
	must(t, lab.Eventually(patience, func() error { return withAddress(link) }))
}
