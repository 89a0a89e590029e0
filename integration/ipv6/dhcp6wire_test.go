//go:build netns

package ipv6

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"net.connman/integration/lab"
)

// waitAddresses waits until the machine has just these addresses.
func (w *world) waitAddresses(want ...string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		var got []string
		for _, a := range w.addresses() {
			got = append(got, a.IP.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("addresses %v, want %v", got, want)
		}
		return nil
	}))
}

// All addresses of an association are used; the server takes one back and adds
// another when the lease is renewed. (RFC 8415, 6.2 and 18.2.10.1)
func TestSeveralAddresses(t *testing.T) {
	w := newWorld(t)
	s := w.script(gives(lifetime{given1, 600}, lifetime{given2, 600}))
	w.radvd(w.gateway, managed)
	w.start()
	w.waitAddresses(given1, given2)
	s.now(gives(lifetime{given1, 0}, lifetime{given2, 600}, lifetime{"2001:db8:1::300", 600}))
	w.waitAddresses(given2, "2001:db8:1::300")
	w.waitState("ready")
	renewal := s.wait(dhcpv6.MessageTypeRenew, 2)[1]
	if list := renewal.Options.OneIANA().Options.Addresses(); len(list) != 2 {
		t.Errorf("renews %v", list)
	}
}

// A server that wants to be spoken to directly is spoken to as all are.
// (RFC 8415, 18.4 allows that and 21.12 has it offered)
func TestServerUnicastIsIgnored(t *testing.T) {
	w := newWorld(t)
	unicast := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionUnicast, OptionData: net.ParseIP(router1)}
	s := w.script(func(q question) [][]byte {
		return [][]byte{q.reply(q.association(lifetime{given1, 600}), unicast).ToBytes()}
	})
	w.radvd(w.gateway, managed)
	w.start()
	w.waitAddresses(given1)
	s.wait(dhcpv6.MessageTypeRenew, 2) // the socket hears only what goes to all
}

// What the server refuses when asked to keep what it offered. (RFC 8415,
// 18.2.10.1)
func TestServerThatTakesItsWordBack(t *testing.T) {
	t.Parallel()
	for _, refusal := range []*dhcpv6.OptStatusCode{
		{StatusCode: 2, StatusMessage: "no addresses"}, {StatusCode: 4, StatusMessage: "not on link"},
	} {
		t.Run(refusal.StatusMessage, func(t *testing.T) {
			w := newWorld(t)
			s := w.script(func(q question) [][]byte {
				if q.MessageType != dhcpv6.MessageTypeRequest {
					return gives(lifetime{given1, 600})(q)
				}
				if refusal.StatusCode == 4 { // of the whole message; the other is the association's
					return [][]byte{q.reply(refusal).ToBytes()}
				}
				ia := q.association().(*dhcpv6.OptIANA)
				ia.Options.Add(refusal)
				return [][]byte{q.reply(ia).ToBytes()}
			})
			w.radvd(w.gateway, managed)
			w.start()
			s.wait(dhcpv6.MessageTypeRequest, 2)
			s.now(gives(lifetime{given2, 600}))
			w.waitAddresses(given2)
		})
	}
}

// A Release is repeated until the server answers, on a link that stays; whoever
// ends the daemon does not wait for that. (RFC 8415, 18.2.7)
func TestReleaseIsRepeated(t *testing.T) {
	w := newWorld(t)
	s := w.script(gives(lifetime{given1, 600}))
	w.radvd(w.gateway, managed)
	w.start()
	w.waitAddresses(given1)
	s.now(func(q question) [][]byte {
		if n := len(s.kinds(dhcpv6.MessageTypeRelease)); n < 3 {
			return nil
		}
		return gives()(q)
	})
	must(t, w.call(service, "net.connman.Service.Disconnect").Err)
	releases := s.wait(dhcpv6.MessageTypeRelease, 3)
	for i, pause := range []time.Duration{900 * time.Millisecond, 1710 * time.Millisecond} {
		if got := releases[i+1].at.Sub(releases[i].at); got < pause || releases[i].TransactionID != releases[i+1].TransactionID {
			t.Errorf("repeated after %v, as %v", got, releases[i+1].TransactionID)
		}
	}
	w.waitNoAddress()

	s.now(gives(lifetime{given1, 600}))
	must(t, w.call(service, "net.connman.Service.Connect").Err)
	w.waitAddresses(given1)
	if n := len(s.kinds(dhcpv6.MessageTypeRelease)); n != 3 {
		t.Errorf("released %d times, once after the answer", n)
	}
	s.now(silent)
	must(t, w.daemon.Stop(patience))
	if n := len(s.wait(dhcpv6.MessageTypeRelease, 4)); n != 4 {
		t.Errorf("released %d times", n)
	}
}

// A Decline is repeated, too, and four times at most. (RFC 8415, 18.2.8)
func TestDeclineIsRepeated(t *testing.T) {
	w := newWorld(t)
	other := w.join("other", net.HardwareAddr{2, 0, 0, 0, 0, 3})
	w.addAddr(other, given1+"/64")
	s := w.script(func(q question) [][]byte {
		if q.MessageType == dhcpv6.MessageTypeDecline {
			return nil
		}
		return gives(lifetime{given1, 600})(q)
	})
	w.radvd(w.gateway, managed)
	w.start()
	declines := s.wait(dhcpv6.MessageTypeDecline, 4)
	if list := declines[3].Options.OneIANA().Options.Addresses(); len(list) != 1 || list[0].IPv6Addr.String() != given1 {
		t.Errorf("declines %v", list)
	}
	s.now(gives(lifetime{given2, 600}))
	w.waitAddresses(given2)
	if n := len(s.kinds(dhcpv6.MessageTypeDecline)); n != 4 {
		t.Errorf("declined %d times", n)
	}
}

// malformed are answers that a machine must not follow, made of a good one.
var malformed = map[string]func(b []byte) []byte{
	"option of 65532 bytes": func(b []byte) []byte { return append(b, 0, 23, 0xff, 0xfc, 1) },
	"option of 65533 bytes": func(b []byte) []byte { return append(b, 0, 23, 0xff, 0xfd, 1, 2) },
	"option of 65534 bytes": func(b []byte) []byte { return append(b, 0, 3, 0xff, 0xfe) },
	"option of 65535 bytes": func(b []byte) []byte { return append(b, 0, 1, 0xff, 0xff, 0, 0, 0, 0) },
	"no payload":            func([]byte) []byte { return nil },
	"a byte":                func(b []byte) []byte { return b[:1] },
	"half a header":         func(b []byte) []byte { return b[:3] },
	"no options":            func(b []byte) []byte { return b[:4] },
	"cut":                   func(b []byte) []byte { return b[:len(b)-1] },
	"IA of nothing":         func(b []byte) []byte { return append(b, 0, 3, 0, 0) },
	"IA of three bytes":     func(b []byte) []byte { return append(b, 0, 3, 0, 3, 1, 2, 3) },
	"IA of eleven bytes":    func(b []byte) []byte { return append(b, append([]byte{0, 3, 0, 11}, make([]byte, 11)...)...) },
	"prefix of nothing":     func(b []byte) []byte { return append(b, 0, 25, 0, 0) },
	"status of a byte":      func(b []byte) []byte { return append(b, 0, 13, 0, 1, 0) },
	"another exchange":      func(b []byte) []byte { b[3] ^= 1; return b },
	"another type":          func(b []byte) []byte { b[0] = 10; return b },
	"4,000 options": func(b []byte) []byte {
		for range 1000 {
			b = append(b, 0, 200, 0, 0)
		}
		return b
	},
}

// Answers that break the rules are not followed, cost nothing, and the next good
// one is. (CVE-2012-2322; RFC 8415, 16)
func TestMalformedAnswers(t *testing.T) {
	w := newWorld(t)
	s := w.script(func(q question) (bad [][]byte) {
		if q.MessageType != dhcpv6.MessageTypeSolicit {
			return nil
		}
		good := q.reply(q.association(lifetime{given1, 600}), &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		good.MessageType = dhcpv6.MessageTypeReply
		for _, bend := range malformed {
			bad = append(bad, bend(good.ToBytes()))
		}
		return bad
	})
	w.radvd(w.gateway, managed)
	w.start()
	s.wait(dhcpv6.MessageTypeSolicit, 3)
	if list := w.addresses(); len(list) > 0 {
		t.Errorf("addresses %v", list)
	}
	s.now(gives(lifetime{given1, 600}))
	w.waitAddresses(given1)
	if n := len(s.kinds(dhcpv6.MessageTypeSolicit)); n > 8 {
		t.Errorf("solicited %d times", n)
	}
}

// A server whose every answer is no answer is asked at the pace of silence, and
// that costs nothing: "retransmission at 100 % CPU" was a bug of the original.
func TestUselessAnswersDoNotSpin(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(question) [][]byte{
		"nothing given":      func(q question) [][]byte { return [][]byte{q.reply().ToBytes()} },
		"status unspecified": func(q question) [][]byte { return [][]byte{q.reply(&dhcpv6.OptStatusCode{StatusCode: 1}).ToBytes()} },
		"lifetimes of zero":  gives(lifetime{given1, 0}),
		"offers that are refused": func(q question) [][]byte {
			if q.MessageType == dhcpv6.MessageTypeSolicit {
				return gives(lifetime{given1, 600})(q)
			}
			return [][]byte{q.reply(q.association(lifetime{given1, 0})).ToBytes()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.script(answer)
			w.radvd(w.gateway, managed)
			w.start()
			s.wait(dhcpv6.MessageTypeSolicit, 2)
			before, began := w.cpu(), time.Now()
			must(t, lab.Eventually(patience, func() error {
				if d := time.Since(began); d < 10*time.Second {
					return fmt.Errorf("only %v so far", d)
				}
				return nil
			}))
			if used := w.cpu() - before; used > 500*time.Millisecond {
				t.Errorf("%v of processor time in 10 s", used)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if n := len(s.heard); n > 24 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// Garbage in masses on the client's port, while it listens: the daemon answers
// meanwhile, uses little, and the lease comes when the server speaks. Unlike
// advertisements, what is for the port cannot be told apart by the kernel.
func TestGarbageOnTheClientPort(t *testing.T) {
	w := newWorld(t)
	s := w.script(silent)
	w.radvd(w.gateway, managed)
	w.start()
	to := s.wait(dhcpv6.MessageTypeSolicit, 1)[0].from
	cpu, memory := w.cpu(), w.rss()
	count, began := 0, time.Now()
	for passed := time.Duration(0); passed < floodTime; passed = time.Since(began) {
		for due := int(passed * floodRate / time.Second); count < due; count++ {
			b := make([]byte, count%1200)
			for i := range b {
				b[i] = byte(count >> (i % 3 * 8))
			}
			if len(b) > 4 {
				b[0] = 7
			}
			s.send(b, to)
		}
		must(t, w.call("/", "net.connman.Manager.GetServices").Err)
	}
	used, grown := w.cpu()-cpu, w.rss()-memory
	t.Logf("%d messages: %v of processor time, %d KiB more", count, used, grown)
	if used > 2*floodCPU || grown > floodGrowth {
		t.Errorf("%v of processor time, %d KiB more", used, grown)
	}
	if strings.Count(w.log(), "\n") > 100 {
		t.Error("the log was flooded")
	}
	s.now(gives(lifetime{given1, 600}))
	w.waitAddresses(given1)
}
