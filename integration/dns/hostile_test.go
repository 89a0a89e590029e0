//go:build netns

package dns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// attack is a reply of a hostile server to a query, as bytes.
type attack func(query []byte) []byte

// head is the header and question of a reply with so many answers.
func head(query []byte, answers int) []byte {
	reply := bytes.Clone(query[:questionEnd(query)])
	reply[2], reply[3] = 0x81, 0x80
	binary.BigEndian.PutUint16(reply[6:], uint16(answers))
	binary.BigEndian.PutUint32(reply[8:], 0)
	return reply
}

func questionEnd(query []byte) int {
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	return end + 5
}

// record is an answer with any length said of its data.
func record(name []byte, kind uint16, length int, data ...byte) []byte {
	b := binary.BigEndian.AppendUint16(bytes.Clone(name), kind)
	b = append(b, 0, 1, 0, 0, 1, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	return append(b, data...)
}

var asked = []byte{0xc0, 12} // the question's name

// datagrams are attacks over UDP that broke other proxies, by the name that is
// asked for.
var datagrams = map[string]attack{
	// A name of labels and jumps that expands past what a buffer holds.
	"expands": func(q []byte) []byte {
		reply := head(q, 11)
		at := len(reply)
		reply = append(reply, record(append(bytes.Repeat(append([]byte{63}, bytes.Repeat([]byte{'x'}, 63)...), 3), 0), 1, 4, 6, 6, 6, 6)...)
		for range 10 {
			name := append(append([]byte{63}, bytes.Repeat([]byte{'y'}, 63)...), 0xc0|byte(at>>8), byte(at))
			at = len(reply)
			reply = append(reply, record(name, 1, 4, 6, 6, 6, 6)...)
		}
		return reply
	},
	"loops": func(q []byte) []byte {
		reply := head(q, 1)
		return append(reply, record([]byte{0xc0, byte(len(reply))}, 1, 4, 6, 6, 6, 6)...)
	},
	"jumps-out": func(q []byte) []byte { return append(head(q, 1), record([]byte{0xff, 0xff}, 1, 4, 6, 6, 6, 6)...) },
	"many": func(q []byte) []byte {
		return append(head(q, 0xffff), bytes.Repeat(record(asked, 1, 4, 6, 6, 6, 6), 60)...)
	},
	"rdlength":     func(q []byte) []byte { return append(head(q, 1), record(asked, 1, 0xffff, 6, 6, 6, 6)...) },
	"rdlength-one": func(q []byte) []byte { return append(head(q, 1), record(asked, 1, 5, 6, 6, 6, 6)...) },
	"soa": func(q []byte) []byte {
		reply := head(q, 0)
		reply[3], reply[9] = 0x83, 1
		return append(reply, record(asked, 6, 12, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0)...)
	},
	"ends-in-name":  func(q []byte) []byte { return append(head(q, 1), 3, 'a', 'b', 'c') },
	"label-past":    func(q []byte) []byte { return append(q[:12:12], 0x3f, 'a') },
	"label-ff":      func(q []byte) []byte { return append(q[:12:12], 0xff, 'a') },
	"unterminated":  func(q []byte) []byte { return append(head(q, 0)[:12], bytes.Repeat([]byte{1, 'a'}, 20)...) },
	"no-type":       func(q []byte) []byte { return head(q, 0)[:questionEnd(q)-4] },
	"header-only":   func(q []byte) []byte { return head(q, 1)[:12] },
	"empty":         func(q []byte) []byte { return []byte{} },
	"two-questions": func(q []byte) []byte { r := head(q, 0); r[5] = 2; return append(r, r[12:questionEnd(q)]...) },
	"other-name": func(q []byte) []byte {
		return append(head(q, 1), record([]byte{6, 'v', 'i', 'c', 't', 'i', 'm', 4, 't', 'e', 's', 't', 0}, 1, 4, 6, 6, 6, 6)...)
	},
	"echo": func(q []byte) []byte { return q },
}

// streams are attacks over TCP: what follows a query that was cut over UDP.
var streams = map[string]func(net.Conn, []byte){
	"tcp-short":  func(c net.Conn, q []byte) { _, _ = c.Write(append([]byte{0, 200}, q[:5]...)) },
	"tcp-zero":   func(c net.Conn, _ []byte) { _, _ = c.Write([]byte{0, 0}) },
	"tcp-one":    func(c net.Conn, _ []byte) { _, _ = c.Write([]byte{0, 1, 7}) },
	"tcp-huge":   func(c net.Conn, q []byte) { _, _ = c.Write(append([]byte{0xff, 0xff}, q...)) },
	"tcp-silent": func(c net.Conn, _ []byte) { _, _ = io.Copy(io.Discard, c) },
	"tcp-close":  func(net.Conn, []byte) {},
}

// hostile serves the attacks, and good answers for good names: 192.0.2.1.
func (n *network) hostile(last int) {
	n.t.Helper()
	var packets *net.UDPConn
	var listener *net.TCPListener
	at := netip.AddrPortFrom(n.addr(last), 53)
	must(n.t, n.host.Do(func() (err error) {
		if packets, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err != nil {
			return err
		}
		listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		return err
	}))
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		buf := make([]byte, 65536)
		for {
			size, from, err := packets.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if reply := misbehave(buf[:size]); reply != nil {
				_, _ = packets.WriteToUDPAddrPort(reply, from)
			}
		}
	})
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() { defer conn.Close(); misbehaveStream(conn) })
		}
	})
	n.t.Cleanup(func() {
		packets.Close()
		listener.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
}

// firstLabel is that of a query's name, in small letters, "" of the root's.
func firstLabel(query []byte) string {
	n := int(query[12])
	return strings.ToLower(string(query[13 : 13+n]))
}

func misbehave(query []byte) []byte {
	label := firstLabel(query)
	if do, ok := datagrams[label]; ok {
		return do(query)
	}
	if _, ok := streams[label]; ok || label == "" {
		reply := head(query, 0)
		reply[2] |= 2 // cut
		return reply
	}
	return append(head(query, 1), record(asked, 1, 4, 192, 0, 2, 1)...)
}

func misbehaveStream(conn net.Conn) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return
	}
	if do, ok := streams[firstLabel(query)]; ok {
		do(conn, query)
		return
	}
	reply := append(head(query, 1), record(asked, 1, 4, 192, 0, 2, 1)...)
	_, _ = conn.Write(append([]byte{byte(len(reply) >> 8), byte(len(reply))}, reply...))
}

// ask asks the proxy, over UDP, and returns its reply.
func (w *world) ask(name string) (*dns.Msg, error) {
	var conn *net.UDPConn
	if err := w.machine.Do(func() (err error) {
		conn, err = net.DialUDP("udp", nil, &net.UDPAddr{IP: loopback.AsSlice(), Port: 53})
		return err
	}); err != nil {
		return nil, err
	}
	defer conn.Close()
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	client := dns.Client{Timeout: patience}
	reply, _, err := client.ExchangeWithConn(question, &dns.Conn{Conn: conn})
	return reply, err
}

// TestHostileServer asks for names whose answers broke other proxies, twice and
// all at once, as names of one label with a search domain, too. Nobody gets an
// address that is none, and afterwards all is well.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53}})
	w.nets[0].hostile(53)
	w.start()
	w.untilDig("192.0.2.1", "good.test")
	before := w.usage()

	names := []string{"."}
	for label := range datagrams {
		names = append(names, label+".test", label)
	}
	for label := range streams {
		names = append(names, label+".test", label)
	}
	for range 2 {
		w.askAll(names)
	}
	after := w.usage()
	if grown := after.rss - before.rss; grown > 4<<20 {
		t.Errorf("grown by %d KB", grown>>10)
	}
	w.untilCalm()
	w.untilDig("192.0.2.1", "better.test")
	if got, err := w.dig("victim.test"); err != nil || got != "192.0.2.1" {
		t.Errorf("victim.test has %q, %v", got, err)
	}
}

// askAll asks for all names at once. A failure or silence is a good answer, and
// an address that the server gave for the name.
func (w *world) askAll(names []string) {
	w.t.Helper()
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			reply, err := w.ask(name)
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
			case err != nil:
				w.t.Errorf("%s: %v", name, err)
			case reply.Rcode == dns.RcodeServerFailure || reply.Rcode == dns.RcodeNameError || len(reply.Answer) == 0:
			default:
				for _, record := range reply.Answer {
					if a, ok := record.(*dns.A); ok && a.A.Equal(net.IPv4(6, 6, 6, 6)) {
						w.t.Errorf("%s got %v", name, record)
					}
				}
			}
		})
	}
	all.Wait()
}

// usage is what the daemon uses.
type usage struct {
	rss int // bytes
	cpu time.Duration
	fds int
}

func (w *world) usage() usage {
	w.t.Helper()
	dir := filepath.Join("/proc", fmt.Sprint(w.daemon.Pid()))
	pages, err := os.ReadFile(filepath.Join(dir, "statm"))
	must(w.t, err)
	var size, resident int
	_, err = fmt.Sscan(string(pages), &size, &resident)
	must(w.t, err)
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	must(w.t, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var user, system int
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	must(w.t, err)
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	must(w.t, err)
	return usage{resident * os.Getpagesize(), time.Duration(user+system) * 10 * time.Millisecond, len(fds)}
}

// untilCalm waits for a second in which the daemon uses next to no processor.
func (w *world) untilCalm() {
	w.t.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := w.usage()
	w.until(func() error {
		<-tick.C
		now := w.usage()
		used := now.cpu - last.cpu
		last = now
		if used > 50*time.Millisecond {
			return fmt.Errorf("the daemon used %v of a second", used)
		}
		return nil
	})
}

// TestForgedReplies: who sees where a question comes from, but neither its
// number nor the server's address, puts nothing into the cache; nor does the
// right server for names that are not its to tell.
func TestForgedReplies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53, 66}})
	n := w.nets[0]
	var server, other, stranger *net.UDPConn
	must(t, n.host.Do(func() (err error) {
		for _, s := range []struct {
			conn **net.UDPConn
			last int
			port uint16
		}{{&server, 53, 53}, {&other, 53, 5353}, {&stranger, 66, 53}} {
			if *s.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.addr(s.last), s.port))); err != nil {
				return err
			}
		}
		return nil
	}))
	var done sync.WaitGroup
	t.Cleanup(func() { server.Close(); other.Close(); stranger.Close(); done.Wait() })
	done.Go(func() {
		query := make([]byte, 4096)
		for {
			size, from, err := server.ReadFromUDPAddrPort(query)
			if err != nil {
				return
			}
			forge(server, other, stranger, query[:size], from)
		}
	})
	w.start()
	w.set(0, "Nameservers.Configuration", []string{n.addr(53).String()})
	w.untilDig("192.0.2.1", "first.test")
	for i := range 10 {
		if got, err := w.dig(fmt.Sprintf("n%d.test", i)); err != nil || got != "192.0.2.1" {
			t.Errorf("n%d.test has %q, %v", i, got, err)
		}
	}
	if got, err := w.dig("victim.test"); err != nil || got != "192.0.2.1" {
		t.Errorf("victim.test has %q, %v", got, err)
	}
	w.untilCalm()
}

// forge sends false replies to a query, then the right one with more in it than
// was asked.
func forge(server, other, stranger *net.UDPConn, query []byte, to netip.AddrPort) {
	lie := append(head(query, 1), record(asked, 1, 4, 6, 6, 6, 6)...)
	for _, wrong := range []*net.UDPConn{other, stranger} {
		_, _ = wrong.WriteToUDPAddrPort(lie, to)
	}
	id := binary.BigEndian.Uint16(query)
	for i := range 500 { // more would drop the right one from the socket's buffer
		guess := bytes.Clone(lie)
		binary.BigEndian.PutUint16(guess, id+1+uint16(i)*131)
		_, _ = server.WriteToUDPAddrPort(guess, to)
	}
	misled := bytes.Clone(lie)
	misled[13] ^= 1 // another name
	_, _ = server.WriteToUDPAddrPort(misled, to)
	mistyped := bytes.Clone(lie)
	mistyped[questionEnd(query)-3] = 28
	_, _ = server.WriteToUDPAddrPort(mistyped, to)

	right := append(head(query, 1), record(asked, 1, 4, 192, 0, 2, 1)...)
	victim := []byte{6, 'v', 'i', 'c', 't', 'i', 'm', 4, 't', 'e', 's', 't', 0}
	right[9], right[11] = 1, 1
	right = append(append(right, record(victim, 1, 4, 6, 6, 6, 6)...), record(victim, 1, 4, 6, 6, 6, 6)...)
	_, _ = server.WriteToUDPAddrPort(right, to)
}
