package dnsproxy

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// reset forgets all questions, answers and packets.
func (r *rig) reset() {
	for len(r.e.flights.active) > 0 {
		r.e.end(r.e.flights.active[0])
	}
	r.e.cache.trim(0)
	r.e.asks.n, r.e.asks.used = 0, 0
	r.e.replies.n, r.e.replies.used = 0, 0
}

// said returns the packets in b, unread.
func said(b *outbox) (all [][]byte) {
	for i := range b.n {
		all = append(all, unsafeBytes(&b.iovs[i]))
	}
	return all
}

func pack(f *testing.F, m *dns.Msg) []byte {
	f.Helper()
	raw, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	return raw
}

func unhex(f *testing.F, s string) []byte {
	f.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil {
		f.Fatal(err)
	}
	return raw
}

// FuzzQuery: whatever a client sends, he is sent at most one message, which
// fits, and servers get nothing but what he sent.
func FuzzQuery(f *testing.F) {
	q := question("www.example.com.")
	f.Add(pack(f, q))
	q.SetEdns0(4096, true)
	f.Add(pack(f, q))
	f.Add(pack(f, question(".")))
	f.Add(pack(f, question("printer.")))
	f.Add(pack(f, question("1.0.0.127.in-addr.arpa.").SetEdns0(1232, false)))
	f.Add(pack(f, new(dns.Msg).SetQuestion("example.", dns.TypeAXFR)))
	f.Add(unhex(f, "000001000001000000000000"))                                       // no question
	f.Add(unhex(f, "0000010000010000000000003f61"))                                   // a label past the end
	f.Add(unhex(f, "000001000001000000000000ff"))                                     // no label at all
	f.Add(unhex(f, "000001000001000000000000c00c00010001"))                           // a name that is itself
	f.Add(unhex(f, "00000100000100000000000003777777"))                               // no end
	f.Add(unhex(f, "0000010000010000000000000377777700"))                             // no type
	f.Add(unhex(f, "000001000001000000000001000001000100002904d0000000000003000a00")) // an option past the end
	c := oneServer()
	c.Scopes[0].Search = []string{"home.arpa"}
	c.Hostname = "box"
	r := newRig(f, c)
	f.Fuzz(func(t *testing.T, msg []byte) {
		r.t = t
		defer r.reset()
		for range 2 { // the second one joins
			r.askRaw(msg)
		}
		asked, answered := said(&r.e.asks), said(&r.e.replies)
		if len(asked)+len(answered) > 2 || len(asked) > 1 && !r.e.question.solo {
			t.Fatalf("%d questions, %d answers", len(asked), len(answered))
		}
		for _, a := range asked {
			searched := bytes.Contains(a, []byte("\x04home\x04arpa\x00"))
			if !searched && !bytes.Equal(a[2:], msg[2:]) {
				t.Errorf("asked %x", a)
			}
		}
		if padded, ok := pad(msg); ok {
			var before, after query
			parseQuery(msg, &before)
			if parseQuery(padded, &after) != serve || !after.padded || after.solo || after.do != before.do ||
				len(padded)%padBlock != 0 || !bytes.Equal(padded[headerLen:after.end], msg[headerLen:before.end]) {
				t.Errorf("padded %x", padded)
			}
		}
		for _, a := range answered {
			if !bytes.Equal(a[:2], msg[:2]) || a[2]&flagQR == 0 || msg[2]&flagQR != 0 {
				t.Errorf("answered %x", a)
			}
			if err := new(dns.Msg).Unpack(a); err != nil {
				t.Errorf("answered %x: %v", a, err)
			}
		}
	})
}

// FuzzReply: whatever a server sends, clients get one message each, which is
// that of the server or an error, and what the cache holds afterwards can be
// read, and says what the server said.
func FuzzReply(f *testing.F) {
	const name = "a.example."
	packed := func(records ...string) []byte {
		m := answer(f, question(name), records...)
		m.Compress = true
		return pack(f, m)
	}
	f.Add(packed(name + " 300 IN A 192.0.2.1"))
	f.Add(packed(name+" 300 IN CNAME b.example.", "b.example. 300 IN MX 1 mx.b.example."))
	f.Add(packed(name+" 300 IN DNAME test.", name+" 300 IN A 192.0.2.1"))
	f.Add(packed("", "example. 900 IN SOA ns.example. root.example. 1 1 1 1 60"))
	withOPT := answer(f, question(name), name+" 300 IN A 192.0.2.1")
	f.Add(pack(f, withOPT.SetEdns0(1232, true)))
	head := "000081800001000100000000" + "0161076578616d706c650000010001"
	f.Add(unhex(f, head+"c00c0001000100000e10ffff01020304")) // data past the end
	f.Add(unhex(f, head+"c01b0001000100000e1000040102"))     // data cut off; a name that leads to itself
	f.Add(unhex(f, head+"c00c"))
	f.Add(unhex(f, "000081800001000200000000"+"0161076578616d706c650000010001"+"c00e0027000100000e1000023f61"+"c00c0001000100000e100004c0000201")) // a domain's alias that is no name
	f.Add(unhex(f, "000081830001000000010000"+"0161076578616d706c650000010001"+"c00e0006000100000e10000500000000ff"))                              // a short SOA
	long := append(unhex(f, head), bytes.Repeat([]byte("\x3f"+string(bytes.Repeat([]byte("a"), 63))), 20)...)
	f.Add(append(long, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 1, 2, 3, 4)) // a name too long
	chained := unhex(f, head)
	for i := range 12 {
		chained = append(chained, 63)
		chained = append(chained, bytes.Repeat([]byte{'a'}, 63)...)
		chained = append(chained, 0xc0, byte(0x1b+i))
	}
	f.Add(append(chained, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 1, 2, 3, 4))

	c := twoServers()
	c.ServeStale = true
	c.Scopes[0].Search = []string{"example"}
	r := newRig(f, c)
	first, _ := question(name).Pack()
	single, _ := question("a.").Pack()
	f.Fuzz(func(t *testing.T, msg []byte) {
		r.t = t
		defer r.reset()
		if len(msg) > maxMessage {
			return
		}
		for _, q := range [][]byte{first, single} {
			r.reset()
			r.askRaw(q)
			r.askRaw(q)
			asked := r.asked()
			a := one(t, asked)
			// What an attacker has to guess, or a server knows.
			forged := bytes.Clone(msg)
			head, _ := answer(t, a.Msg).Pack()
			copy(forged, head[:3])
			if len(forged) > 5 {
				forged[4], forged[5] = 0, 1
			}
			if len(forged) > headerLen {
				copy(forged[headerLen:], head[headerLen:])
			}
			a.s.take(r.e, forged)
			for _, b := range said(&r.e.replies) {
				if !bytes.Equal(b[2:], forged[2:]) && len(b) > 512 && len(b) > len(forged)+64 {
					t.Errorf("%d bytes make %d", len(forged), len(b))
				}
			}
			r.e.replies.n, r.e.replies.used = 0, 0
			names := r.e.cache.names
			for _, age := range []time.Duration{0, time.Second, time.Hour} {
				r.e.now += age
				r.askRaw(q)
				for _, b := range said(&r.e.replies) {
					var rep reply
					if err := parseReply(b, &rep); err != nil && b[3]&maskRcode != rcodeServFail {
						t.Errorf("from the cache, with %d names: %x: %v", names, b, err)
					}
				}
				r.e.replies.n, r.e.replies.used = 0, 0
			}
		}
	})
}

// TestSocketAddresses guards the layout that sockaddr relies on.
func TestSocketAddresses(t *testing.T) {
	a := sockaddr{unix.AF_INET, 0, 0, 53, 192, 0, 2, 1}
	l := &listener{}
	if a.family() != unix.AF_INET || a.len() != unix.SizeofSockaddrInet4 || l.allows(&a) {
		t.Errorf("%v", a)
	}
}
