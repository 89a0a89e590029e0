package dnsproxy

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// hostile is a name server that says on UDP and TCP whatever its script makes
// of a question. A script that returns nil is silent.
type hostile struct {
	addr netip.AddrPort
	mu   sync.Mutex
	udp  func(q []byte) [][]byte
	tcp  func(q []byte) []byte // with the length before it

	conns []net.Conn
}

// hangUp closes the connections that it has.
func (h *hostile) hangUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		c.Close()
	}
	h.conns = nil
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{addr: freePort(t)}
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(h.addr))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(h.addr))
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		b := make([]byte, 65535)
		for {
			n, from, err := u.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			h.mu.Lock()
			for _, m := range h.udp(bytes.Clone(b[:n])) {
				u.WriteToUDPAddrPort(m, from)
			}
			h.mu.Unlock()
		}
	})
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns = append(h.conns, c)
			h.mu.Unlock()
			done.Go(func() {
				for {
					q, err := readMessage(c)
					if err != nil {
						return
					}
					h.mu.Lock()
					if h.tcp != nil {
						c.Write(h.tcp(q))
					}
					h.mu.Unlock()
				}
			})
		}
	})
	t.Cleanup(func() { u.Close(); l.Close(); h.hangUp(); done.Wait() })
	return h
}

func (h *hostile) script(udp func(q []byte) [][]byte, tcp func(q []byte) []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.udp, h.tcp = udp, tcp
}

func readMessage(c io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(c, b)
	return b, err
}

func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// replyTo makes a reply of a question's bytes: its header's counts, and what
// follows the question.
func replyTo(q []byte, an, ns byte, rest string) []byte {
	end, _ := plainName(q, headerLen)
	m := bytes.Clone(q[:end+4])
	m[2], m[3] = 0x81, 0x80
	m[7], m[9], m[11] = an, ns, 0
	tail, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
	if err != nil {
		panic(err)
	}
	return append(m, tail...)
}

const goodRecord = "c00c 0001 0001 0000012c 0004 c0000201"

// TestHostileReplies replays what broke others: afterwards, the client has
// heard of a failure or nothing strange, and the next good answer works.
func TestHostileReplies(t *testing.T) {
	label := "3f" + strings.Repeat("61", 63)
	root := func(q []byte) [][]byte {
		m := replyTo(q, 0, 0, "")
		m[2] |= flagTC
		return [][]byte{m}
	}
	of := func(an, ns byte, rest string) func(q []byte) [][]byte {
		return func(q []byte) [][]byte { return [][]byte{replyTo(q, an, ns, rest)} }
	}
	hops := ""
	for i := range 10 {
		hops += label + fmt.Sprintf("c0%02x", 0x2a+i)
	}
	var done sync.WaitGroup
	for name, tt := range map[string]struct {
		name   string // asked for
		script func(q []byte) [][]byte
		tcp    func(q []byte) []byte
	}{
		"a name that expands past all bounds (CVE-2017-12865)":      {script: of(1, 0, strings.Repeat(label, 18)+"00 0001 0001 0000012c 0004 c0000201")},
		"a name of labels and hops (CVE-2017-12865)":                {script: of(11, 0, strings.Repeat("c00c 0010 0001 0000012c 0042 "+label+"c00c", 10)+hops)},
		"a name that leads to itself":                               {script: of(1, 0, "c021 0001 0001 0000012c 0004 c0000201")},
		"a name that leads ahead":                                   {script: of(1, 0, "c0ff 0001 0001 0000012c 0004 c0000201")},
		"many records with pointers (CVE-2021-26675)":               {name: "box.", script: of(200, 0, strings.Repeat("c00c 0001 0001 0000012c 0004 c0000201", 199))},
		"search, and data past the end (CVE-2021-33833)":            {name: "box.", script: of(1, 0, "c00c 0001 0001 0000012c ffff c0000201")},
		"search, and an alias that is no name":                      {name: "box.", script: of(1, 0, "c00c 0005 0001 0000012c 0002 ffff")},
		"search, and an alias past the end":                         {name: "box.", script: of(1, 0, "c00c 0005 0001 0000012c 0004 3f616161")},
		"a SOA with 19 bytes left (CVE-2021-33833)":                 {script: of(0, 1, "c00c 0006 0001 0000012c 0013 "+strings.Repeat("00", 19))},
		"a name that ends at the end":                               {script: of(1, 0, "0161")},
		"a first label past the end (CVE-2022-23097)":               {script: func(q []byte) [][]byte { return [][]byte{append(replyTo(q, 1, 0, "")[:headerLen], 0x3f)} }},
		"a label of 255 (CVE-2022-23097)":                           {script: func(q []byte) [][]byte { return [][]byte{append(replyTo(q, 1, 0, "")[:headerLen], 0xff)} }},
		"no type (CVE-2022-23097)":                                  {script: func(q []byte) [][]byte { m := replyTo(q, 0, 0, ""); return [][]byte{m[:len(m)-4]} }},
		"half a header":                                             {script: func(q []byte) [][]byte { return [][]byte{q[:6]} }},
		"nothing at all":                                            {script: func(q []byte) [][]byte { return [][]byte{{}} }},
		"data longer than the packet, asked again (CVE-2025-32366)": {script: of(1, 0, "c00c 0001 0001 0000012c 7fff c0000201")},
		"TC for the root (CVE-2025-32743), no TCP":                  {name: ".", script: root, tcp: func([]byte) []byte { return nil }},
		"TC, and TCP says a length and no more (CVE-2022-23096)":    {script: root, tcp: func([]byte) []byte { return []byte{0, 11, 1, 2, 3} }},
		"TC, and TCP says length 0 (CVE-2022-23096)":                {script: root, tcp: func([]byte) []byte { return []byte{0, 0} }},
		"TC, and TCP says length 1 (CVE-2022-23096)":                {script: root, tcp: func([]byte) []byte { return []byte{0, 1, 7} }},
		"TC, and TCP says length 65535 and stops (CVE-2022-23096)":  {script: root, tcp: func([]byte) []byte { return []byte{0xff, 0xff, 7} }},
		"TC, and TCP is silent (CVE-2022-23098)":                    {script: root},
		"TC, and TCP answers another question":                      {script: root, tcp: func(q []byte) []byte { q[headerLen+1] ^= 1; return framed(replyTo(q, 1, 0, goodRecord)) }},
		"an answer without the name":                                {script: of(1, 0, "0178 00 0001 0001 0000012c 0004 c0000201")},
		"an OPT record for no one": {script: func(q []byte) [][]byte {
			m := replyTo(q, 0, 0, "c00c 0029 04d0 00000000 0000")
			m[11] = 1
			return [][]byte{m}
		}},
		"bytes behind the end": {script: of(1, 0, goodRecord+"00")},
	} {
		h := newHostile(t)
		w := newWorld(t, Config{Scopes: []Scope{{Servers: []netip.AddrPort{h.addr}, Search: []string{"example"}}}})
		asked := tt.name
		if asked == "" {
			asked = "www.example.com."
		}
		h.script(tt.script, tt.tcp)
		done.Go(func() { // each may take until it gives up
			for range 2 {
				r, err := w.ask(question(asked), "udp")
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				if r.Rcode != dns.RcodeServerFailure && !r.Truncated && !strings.Contains(name, "many records") {
					t.Errorf("%s: %v", name, r)
				}
			}
			good := func(q []byte) [][]byte { return [][]byte{replyTo(q, 1, 0, goodRecord)} }
			h.script(good, func(q []byte) []byte { return framed(good(q)[0]) })
			if r, err := w.ask(question("next.example.com."), "udp"); err != nil || r.Rcode != 0 || len(r.Answer) != 1 {
				t.Errorf("after %s: %v, %v", name, r, err)
			}
		})
	}
	done.Wait()
}

func waitFor(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s: %v", what, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestPoisoning: whoever is not the server gets nothing into the cache, though
// he knows the question, and even the id and the port.
func TestPoisoning(t *testing.T) {
	evil := strings.TrimSuffix(goodRecord, "c0000201") + "06060606"
	strangers := map[string]string{"another port": "127.0.0.1:0", "another address": "127.0.0.66:0"}
	seen := make(chan netip.AddrPort, 1)
	u, err := net.ListenPacket("udp", "127.0.0.1:0") // a server that lets others speak first
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	w := newWorld(t, servers(&server{addr: u.LocalAddr().(*net.UDPAddr).AddrPort()}))
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			q := bytes.Clone(b[:n])
			for _, local := range strangers {
				c, err := net.ListenPacket("udp", local)
				if err != nil {
					t.Error(err)
					return
				}
				c.WriteTo(replyTo(q, 1, 0, evil), from)
				c.Close()
			}
			for id := range 100 { // from the right place, by guessing; more would not fit into the buffer
				m := replyTo(q, 1, 0, evil)
				binary.BigEndian.PutUint16(m, binary.BigEndian.Uint16(q)+uint16(id)+1)
				u.WriteTo(m, from)
			}
			m := replyTo(q, 1, 0, evil)
			m[headerLen+1] ^= 0x01 // another name
			u.WriteTo(m, from)
			m = replyTo(q, 1, 0, evil)
			m[len(m)-20] ^= 0x1d // another type
			u.WriteTo(m[:headerLen+5], from)
			u.WriteTo(replyTo(q, 1, 0, goodRecord), from)
			select {
			case seen <- from.(*net.UDPAddr).AddrPort():
			default:
			}
		}
	}()
	for i := range 20 {
		name := fmt.Sprintf("n%d.example.com.", i)
		for range 2 {
			r := w.lookup(name, dns.TypeA)
			if len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != "192.0.2.1" {
				t.Fatalf("poisoned: %v", r)
			}
		}
	}
	if st := w.proxy.Stats(); st.CacheNames != 20 || st.Unexpected < 20*50 {
		t.Errorf("%+v", st)
	}
	// Late packets to a port that is not in use any more.
	from := <-seen
	for range 10 {
		u.WriteTo(make([]byte, 100), net.UDPAddrFromAddrPort(from))
	}
	w.lookup("n0.example.com.", dns.TypeA)
}

// TestHostileClients: nonsense is answered with an error or not at all, and the
// next client is served.
func TestHostileClients(t *testing.T) {
	s := newServer(t, address(t, 300))
	w := newWorld(t, servers(s))
	for _, raw := range []string{"", "00", "000001000001", "000081800001000000000000", "ffff01000001000000000000ff", "000001000001000000000000c00c00010001",
		"000001000001000000000000" + strings.Repeat("3f"+strings.Repeat("61", 63), 4) + "0000010001", "00002800000100000000000003777777000001000100"} {
		b, err := hex.DecodeString(raw)
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.Dial("udp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		u.Write(b)
		u.Close()
		for _, stream := range [][]byte{framed(b), {0}, {0, 0}, {0, 1, 1}, {0xff, 0xff, 1}, append([]byte{0, 200}, b...)} {
			c, err := net.Dial("tcp", w.addr)
			if err != nil {
				t.Fatal(err)
			}
			c.Write(stream)
			c.(*net.TCPConn).CloseWrite()
			c.SetDeadline(time.Now().Add(within))
			if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("%x: %v", stream, err)
			}
			c.Close()
		}
	}
	u, _ := net.Dial("udp", w.addr)
	u.Write(make([]byte, 60000))
	u.Close()
	for _, network := range []string{"udp", "tcp"} {
		if r, err := w.ask(question("www.example.com."), network); err != nil || len(r.Answer) != 1 {
			t.Errorf("%s: %v, %v", network, r, err)
		}
	}
	waitFor(t, "end of the connections", func() error {
		if n := w.proxy.Stats().Connections; n > 0 {
			return fmt.Errorf("%d left", n)
		}
		return nil
	})
}

// TestCrowdOfConnections: connections that say nothing, or half of something,
// don't keep others out.
func TestCrowdOfConnections(t *testing.T) {
	s := newServer(t, address(t, 300))
	w := newWorld(t, servers(s))
	var idle []net.Conn
	for i := range 2 * maxConns {
		c, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
		if i%4 != 0 {
			c.Write([]byte{0, 40, 1, 2, 3})
		}
	}
	for i := range 5 {
		if r, err := w.ask(question(fmt.Sprintf("n%d.example.com.", i)), "tcp"); err != nil || len(r.Answer) != 1 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	if n := w.proxy.Stats().Connections; n > maxConns {
		t.Errorf("%d connections", n)
	}
	idle[1].SetDeadline(time.Now().Add(within))
	if _, err := idle[1].Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("the oldest connection is still there: %v", err)
	}
}

// TestFlood: one client asks for thousands of names that no server answers.
// Others get what is cached at once, and new names in time.
func TestFlood(t *testing.T) {
	s := newServer(t, func(q *dns.Msg, tcp bool) *dns.Msg {
		if strings.HasSuffix(q.Question[0].Name, ".silent.example.") {
			return nil
		}
		return address(t, 300)(q, tcp)
	})
	w := newWorld(t, servers(s))
	w.lookup("cached.example.com.", dns.TypeA)
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		u, err := net.Dial("udp", w.addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer u.Close()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			raw, _ := question(fmt.Sprintf("n%d.silent.example.", i)).Pack()
			u.Write(raw)
			if i%50 == 0 {
				<-time.After(time.Millisecond)
			}
		}
	})
	waitFor(t, "flood", func() error {
		if n := w.proxy.Stats().Evicted; n < 100 {
			return fmt.Errorf("%d evicted", n)
		}
		return nil
	})
	for i := range 50 {
		for _, name := range []string{"cached.example.com.", fmt.Sprintf("new%d.example.com.", i)} {
			c := dns.Client{Timeout: time.Second}
			answered := false
			for try := 0; try < 5 && !answered; try++ { // the kernel's buffer may be full of the flood
				r, _, err := c.Exchange(question(name), w.addr)
				answered = err == nil && len(r.Answer) == 1
			}
			if !answered {
				t.Errorf("%s is not answered", name)
			}
		}
	}
	if n := w.proxy.Stats().InFlight; n > maxFlights {
		t.Errorf("%d questions in flight", n)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil || len(fds) > 200 {
		t.Errorf("%d descriptors open: %v", len(fds), err)
	}
	close(stop)
	done.Wait()
}
