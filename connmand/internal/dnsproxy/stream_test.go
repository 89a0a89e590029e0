package dnsproxy

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// dialTCP connects to the proxy.
func (w *world) dialTCP() *net.TCPConn {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(within))
	return c.(*net.TCPConn)
}

func frame(t *testing.T, m *dns.Msg) []byte {
	t.Helper()
	raw, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return framed(raw)
}

func readReply(t *testing.T, c io.Reader) *dns.Msg {
	t.Helper()
	b, err := readMessage(c)
	if err != nil {
		t.Fatalf("no reply: %v", err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFastAnswersOvertake: on one connection, a cached answer doesn't wait for
// one that takes long (RFC 7766, section 6.2.1.1).
func TestFastAnswersOvertake(t *testing.T) {
	release := make(chan struct{})
	s := newServer(t, func(q *dns.Msg, tcp bool) *dns.Msg {
		if strings.HasPrefix(q.Question[0].Name, "slow") {
			<-release
		}
		return address(t, 300)(q, tcp)
	})
	w := newWorld(t, servers(s))
	w.lookup("fast.example.com.", dns.TypeA)
	c := w.dialTCP()
	c.Write(append(frame(t, question("slow.example.com.")), frame(t, question("fast.example.com."))...))
	if m := readReply(t, c); m.Question[0].Name != "fast.example.com." {
		t.Errorf("first comes %v", m.Question)
	}
	c.CloseWrite() // all said; the answer is still to come
	close(release)
	if m := readReply(t, c); m.Question[0].Name != "slow.example.com." {
		t.Errorf("then comes %v", m.Question)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestPipelining: thousands of questions at once, in pieces, of which most have
// to be asked: each gets its answer.
func TestPipelining(t *testing.T) {
	s := newServer(t, address(t, 300))
	w := newWorld(t, servers(s))
	c := w.dialTCP()
	const count = 3000
	go func() {
		var all []byte
		for i := range count {
			q := question(fmt.Sprintf("n%d.example.com.", i%2000))
			q.Id = uint16(i)
			raw, _ := q.Pack()
			all = append(all, framed(raw)...)
		}
		for len(all) > 0 {
			n := min(len(all), 1001)
			c.Write(all[:n])
			all = all[n:]
		}
	}()
	seen := map[uint16]bool{}
	for range count {
		m := readReply(t, c)
		if m.Question[0].Name != fmt.Sprintf("n%d.example.com.", m.Id%2000) || len(m.Answer) != 1 || seen[m.Id] {
			t.Fatalf("%v", m)
		}
		seen[m.Id] = true
	}
	if st := w.proxy.Stats(); st.Failures != 0 || st.Evicted != 0 || st.InFlight != 0 {
		t.Errorf("%+v", st)
	}
}

// TestReaderWhoDoesNotRead is cut off before he takes up too much.
func TestReaderWhoDoesNotRead(t *testing.T) {
	s := newServer(t, long(t))
	w := newWorld(t, servers(s))
	q := question("long.example.com.")
	if _, err := w.ask(q, "tcp"); err != nil {
		t.Fatal(err)
	}
	c := w.dialTCP()
	c.SetReadBuffer(4096)
	b := frame(t, q)
	for range 10000 {
		if _, err := c.Write(b); err != nil {
			break
		}
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	}
	if r, err := w.ask(q, "tcp"); err != nil || len(r.Answer) != longRecords {
		t.Errorf("another client: %v", err)
	}
	if n := w.unread(); n > maxUnreadAll {
		t.Errorf("%d bytes are kept for him", n)
	}
}

// unread is how many bytes of answers wait for clients.
func (w *world) unread() (n int) {
	w.proxy.do(func(e *engine) { n = e.clients.unread })
	return n
}

const longRecords = 250

// long answers with nearly 64 KiB, and over UDP with TC.
func long(t *testing.T) func(q *dns.Msg, tcp bool) *dns.Msg {
	return func(q *dns.Msg, tcp bool) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Compress = true
		if m.Truncated = !tcp; tcp {
			for i := range longRecords {
				m.Answer = append(m.Answer, &dns.TXT{
					Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 300},
					Txt: []string{fmt.Sprintf("%0240d", i)},
				})
			}
		}
		return m
	}
}

// TestLongAnswers: what doesn't fit into a datagram is fetched over TCP, and
// handed on whole to those who take it.
func TestLongAnswers(t *testing.T) {
	s := newServer(t, long(t))
	w := newWorld(t, servers(s))
	for i := range 20 {
		q := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.example.com.", i%10), dns.TypeTXT)
		q.SetEdns0(1232, false)
		r, err := w.ask(q, "udp")
		if err != nil || !r.Truncated || len(r.Answer) != 0 {
			t.Fatalf("over UDP: %v, %v", r, err)
		}
		q.IsEdns0().SetUDPSize(65535)
		for _, network := range []string{"udp", "tcp"} {
			if r, err = w.ask(q, network); err != nil || r.Truncated || len(r.Answer) != longRecords {
				t.Fatalf("over %s: %v, %v", network, r.MsgHdr, err)
			}
		}
		if r.Answer[7].(*dns.TXT).Txt[0] != fmt.Sprintf("%0240d", 7) {
			t.Errorf("%v", r.Answer[7])
		}
	}
	if st := w.proxy.Stats(); st.Hits < 30 {
		t.Errorf("%+v", st)
	}
}

// TestServerThatClosesConnections is asked over a new one.
func TestServerThatClosesConnections(t *testing.T) {
	h := newHostile(t)
	w := newWorld(t, servers(&server{addr: h.addr}))
	h.script(func(q []byte) [][]byte {
		m := replyTo(q, 0, 0, "")
		m[2] |= flagTC
		return [][]byte{m}
	}, func(q []byte) []byte {
		return framed(replyTo(q, 1, 0, goodRecord))
	})
	for i := range 5 {
		if r := w.lookup(fmt.Sprintf("n%d.example.com.", i), dns.TypeA); len(r.Answer) != 1 {
			t.Fatalf("%v", r)
		}
		h.hangUp()
	}
}

// TestQuestionsInOneByte: TCP promises nothing about packets.
func TestQuestionsInOneByte(t *testing.T) {
	s := newServer(t, address(t, 300))
	w := newWorld(t, servers(s))
	c := w.dialTCP()
	c.SetNoDelay(true)
	for range 2 {
		for _, b := range frame(t, question("www.example.com.")) {
			c.Write([]byte{b})
		}
		if m := readReply(t, c); len(m.Answer) != 1 {
			t.Errorf("%v", m)
		}
	}
	c.Write(binary.BigEndian.AppendUint16(nil, maxQuery+1))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a question longer than any is awaited")
	}
}
