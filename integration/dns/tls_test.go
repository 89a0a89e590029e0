//go:build netns

package dns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"net.connman/integration/lab"
)

// roots is where programs of a machine find whom to trust.
const roots = "/run/roots.pem"

// authority signs the certificates of honest servers.
var authority = sync.OnceValue(func() *tls.Certificate {
	return certificate(nil, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
})

// certificate makes one for dns.example that by signs, or that signs itself.
func certificate(by *tls.Certificate, change func(*x509.Certificate)) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"dns.example"}, IPAddresses: []net.IP{net.IPv4(10, 80, 0, 53)},
	}
	change(template)
	parent, signer := template, any(key)
	if by != nil {
		if parent, err = x509.ParseCertificate(by.Certificate[0]); err != nil {
			panic(err)
		}
		signer = by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		panic(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func pemFiles(c *tls.Certificate) (chain, key string) {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// trust has the machine trust the authority.
func (w *world) trust() {
	w.t.Helper()
	chain, _ := pemFiles(authority())
	must(w.t, w.machine.WriteFile(roots, chain))
}

// Where an answer came from.
const (
	overTLS   = "192.0.2.85"
	clearText = "192.0.2.53"
)

// secureUnbound runs unbound on port 853 of the network's host 53. Every name
// below test has the address overTLS.
func (n *network) secureUnbound(c *tls.Certificate) *lab.Process {
	n.t.Helper()
	chain, key := pemFiles(c)
	must(n.t, n.host.WriteFile("/etc/server.pem", chain))
	must(n.t, n.host.WriteFile("/etc/server.key", key))
	p, err := unbound(n.host, fmt.Sprintf(` interface: %s@853
 tls-service-pem: /etc/server.pem
 tls-service-key: /etc/server.key
 local-zone: "test." redirect
 local-data: "test. 0 A %s"
`, n.addr(53), overTLS))
	must(n.t, err)
	return p
}

// clearServer answers on port 53 of the network's host 53 with clearText.
func (n *network) clearServer() *nameServer {
	return n.serve(53, everyName(clearText))
}

// everyName answers every question for an address, which nobody may keep.
func everyName(address string) func(*dns.Msg) *dns.Msg {
	return func(question *dns.Msg) *dns.Msg {
		reply := new(dns.Msg).SetReply(question)
		if q := question.Question[0]; q.Qtype == dns.TypeA {
			a := addressOf(q.Name, address)
			a.Header().Ttl = 0
			reply.Answer = []dns.RR{a}
		}
		return reply
	}
}

// accept has do called for every connection to port 853 of the network's host
// 53, which is closed when it returns.
func (n *network) accept(do func(net.Conn)) {
	n.t.Helper()
	var l *net.TCPListener
	must(n.t, n.host.Do(func() (err error) {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(n.addr(53), 853)))
		return err
	}))
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			all.Go(func() { defer c.Close(); do(c) })
		}
	})
	n.t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
}

// provision sets the network's service up by a provisioning file.
func (w *world) provision(keys string) {
	w.t.Helper()
	must(w.t, w.machine.WriteFile("/var/lib/connman/test.config", "[service_test]\nType=ethernet\n"+keys))
}

// relay is the process id of the daemon's relay, 0 if none runs.
func (w *world) relay() (pid int) {
	w.t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.daemon.Pid()))
	must(w.t, err)
	for _, file := range tasks {
		children, _ := os.ReadFile(file) // of a thread that has just ended
		for child := range strings.FieldsSeq(string(children)) {
			name, _ := os.ReadFile("/proc/" + child + "/comm")
			if string(name) == "connman-dns-tls\n" {
				pid, _ = strconv.Atoi(child)
			}
		}
	}
	return pid
}

// fails asks and wants to hear that there is no answer, soon.
func (w *world) fails(name string) {
	w.t.Helper()
	reply, err := w.ask(name)
	if err != nil || reply.Rcode != dns.RcodeServerFailure {
		w.t.Errorf("%s: %v, %v", name, reply, err)
	}
}

// TestOpportunistic: what can be encrypted is, with whoever it may be, and clear
// text is there when it can't.
func TestOpportunistic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53}})
	n := w.nets[0]
	plain := n.clearServer()
	server := n.secureUnbound(certificate(nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))
	w.configure("DNSOverTLS=opportunistic\n")
	w.start()
	w.untilDig(overTLS, "first.test") // in clear text until unbound listens
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.relay()))
	must(t, err)
	if !strings.Contains(string(status), "CapEff:\t0000000000000000") || !strings.Contains(string(status), "NoNewPrivs:\t1") {
		t.Errorf("the relay has rights that it doesn't need:\n%s", status)
	}
	for i := range 5 {
		if got, err := w.dig(fmt.Sprintf("n%d.test", i)); got != overTLS || plain.heard(fmt.Sprintf("n%d.test", i)) != 0 {
			t.Errorf("answered by %s, %v", got, err)
		}
	}
	must(t, server.Stop(patience))
	if got, err := w.dig("gone.test"); got != clearText {
		t.Errorf("without TLS: %s, %v", got, err)
	}
	relay := w.relay()
	w.end()
	w.until(func() error {
		if err := syscall.Kill(relay, 0); err != syscall.ESRCH {
			return fmt.Errorf("the relay outlives the daemon: %v", err)
		}
		return nil
	})
}

// TestStrict goes through what a certificate can lack. Nothing is ever said in
// clear text.
func TestStrict(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*x509.Certificate) // nil: another authority
		server string                  // as provisioned
		reason string                  // in the log; "" if the certificate is good
	}{
		{"name", func(*x509.Certificate) {}, "10.80.0.53#dns.example", ""},
		{"address", func(*x509.Certificate) {}, "10.80.0.53", ""},
		{"wrong name", func(c *x509.Certificate) { c.DNSNames = []string{"dns.test"} }, "10.80.0.53#dns.example", "not dns.example"},
		{"wrong address", func(c *x509.Certificate) { c.IPAddresses = nil }, "10.80.0.53", "doesn't contain any IP SANs"},
		{"expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "10.80.0.53#dns.example", "expired"},
		{"own authority", nil, "10.80.0.53#dns.example", "nobody that the system trusts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, place{"home.test", []int{53}})
			w.trust()
			n := w.nets[0]
			plain := n.clearServer()
			cert := certificate(nil, func(*x509.Certificate) {})
			if tt.change != nil {
				cert = certificate(authority(), tt.change)
			}
			n.secureUnbound(cert)
			w.provision("Nameservers=" + tt.server + "\nDNSOverTLS=strict\n")
			w.start()
			if tt.reason == "" {
				w.untilDig(overTLS, "www.test")
			} else {
				w.until(func() error {
					w.fails("www.test")
					if w.logged("cannot be asked over TLS", tt.reason) == 0 {
						return fmt.Errorf("the log does not say %q", tt.reason)
					}
					return nil
				})
			}
			if n := plain.heard("www.test"); n != 0 {
				t.Errorf("asked %d times in clear text", n)
			}
		})
	}
}

// TestStrictEverywhere: the mode of main.conf holds for the servers of networks
// and for the fallback ones, whose names it has.
func TestStrictEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", nil})
	w.trust()
	n := w.nets[0]
	must(t, n.port.AddAddr(n.addr(53).String()+"/32"))
	plain := n.clearServer()
	w.configure("DNSOverTLS=strict\nFallbackNameservers=10.80.0.53#dns.example\n")
	w.start()
	w.fails("none.test") // nobody has the port yet
	n.secureUnbound(certificate(authority(), func(c *x509.Certificate) { c.IPAddresses = nil }))
	w.untilDig(overTLS, "www.test")
	if n := plain.heard("none.test") + plain.heard("www.test"); n != 0 {
		t.Errorf("asked %d times in clear text", n)
	}

	// Another one takes a killed relay's place.
	first := w.relay()
	must(t, syscall.Kill(first, syscall.SIGKILL))
	w.untilDig(overTLS, "again.test")
	if second := w.relay(); second == first || second == 0 {
		t.Errorf("the relay was %d and is %d", first, second)
	}
	if n := w.logged("the program for DNS over TLS ended"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// answerFramed answers the queries on a stream.
func answerFramed(c io.ReadWriter, answer func(*dns.Msg) *dns.Msg) {
	var length [2]byte
	for {
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		question := new(dns.Msg)
		if question.Unpack(query) != nil {
			return
		}
		reply := answer(question)
		if reply == nil {
			return
		}
		raw, err := reply.Pack()
		if err != nil {
			return
		}
		_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...))
	}
}

// TestHostileTLS: a server on port 853 that is none, or bad, holds nobody up for
// longer than any silent one, and the daemon stays calm.
func TestHostileTLS(t *testing.T) {
	cert := certificate(authority(), func(*x509.Certificate) {})
	config := &tls.Config{Certificates: []tls.Certificate{*cert}}
	inside := func(do func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) { do(tls.Server(c, config)) }
	}
	for name, serve := range map[string]func(net.Conn){
		"garbage": func(c net.Conn) { _, _ = c.Write([]byte(strings.Repeat("garbage", 10000))) },
		"silence": func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"closes":  func(net.Conn) {},
		"slow": func(c net.Conn) { // a byte at a time, for ever
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := c.Write([]byte{22}); err != nil {
					return
				}
			}
		},
		"silence inside": inside(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }),
		"closes inside":  inside(func(c net.Conn) { answerFramed(c, func(*dns.Msg) *dns.Msg { return nil }) }),
		"garbage inside": inside(func(c net.Conn) {
			answerFramed(c, func(*dns.Msg) *dns.Msg {
				_, _ = c.Write([]byte("\x00\x01garbage"))
				return nil
			})
		}),
		"wrong id inside": inside(func(c net.Conn) {
			answerFramed(c, func(q *dns.Msg) *dns.Msg {
				reply := everyName("6.6.6.6")(q)
				reply.Id ^= 1
				return reply
			})
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, place{"home.test", []int{53}})
			w.trust()
			plain := w.nets[0].clearServer()
			w.nets[0].accept(serve)
			w.provision("DNSOverTLS=strict\nNameservers=10.80.0.53#dns.example\n")
			w.start()
			for i := range 3 {
				w.fails(fmt.Sprintf("strict%d.test", i))
			}
			if n := plain.heard("strict0.test"); n != 0 {
				t.Errorf("asked %d times in clear text", n)
			}
			if strings.HasSuffix(name, "inside") {
				return // who speaks TLS is believed that it can
			}
			w.provision("DNSOverTLS=opportunistic\n")
			w.untilDig(clearText, "www.test")
			w.untilCalm()
		})
	}
}

// TestServerEndsUnderWay: a question that a connection's end overtakes is asked
// on the next one.
func TestServerEndsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53}})
	w.trust()
	config := &tls.Config{Certificates: []tls.Certificate{*certificate(authority(), func(*x509.Certificate) {})}}
	w.nets[0].accept(func(c net.Conn) {
		s := tls.Server(c, config)
		answered := false
		answerFramed(s, func(q *dns.Msg) *dns.Msg {
			if answered {
				return nil // one for each connection
			}
			answered = true
			return everyName(overTLS)(q)
		})
		_ = s.CloseWrite()
	})
	w.provision("DNSOverTLS=strict\nNameservers=10.80.0.53#dns.example\n")
	w.start()
	w.untilDig(overTLS, "first.test")
	for i := range 20 {
		if got, err := w.dig(fmt.Sprintf("n%d.test", i)); got != overTLS {
			t.Errorf("question %d: %q, %v", i, got, err)
		}
	}
}

// TestRelayIsMissing: one line says so.
func TestRelayIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53}})
	w.nets[0].clearServer()
	w.configure("DNSOverTLS=strict\n")
	alone := lab.Ours()
	program, err := os.ReadFile(alone.Path)
	must(t, err)
	alone.Path = filepath.Join(t.TempDir(), "connmand")
	must(t, os.WriteFile(alone.Path, program, 0o755))
	w.daemon, err = alone.Run(w.machine, w.bus)
	must(t, err)
	w.untilConnected(1)
	for i := range 3 {
		w.fails(fmt.Sprintf("n%d.test", i))
	}
	w.provision("DNSOverTLS=opportunistic\n")
	w.untilDig(clearText, "www.test")
	if n := w.logged("no DNS over TLS"); n != 1 {
		t.Errorf("told %d times", n)
	}
}
