package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/dnstls"
)

const within = 20 * time.Second

var authority = newAuthority()

// TestMain has the system trust the tests' authority.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "roots")
	if err != nil {
		panic(err)
	}
	file := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate[0]}), 0o600); err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", file)
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		println(err.Error())
		code = 1
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func newAuthority() tls.Certificate {
	return certificate(nil, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
}

// certificate makes one that by signs, or that signs itself.
func certificate(by *tls.Certificate, change func(*x509.Certificate)) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"dns.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
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
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// daemon is the other side of a relay.
type daemon struct {
	t       *testing.T
	control *os.File
	fd      int
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, fd: pair[0], control: os.NewFile(uintptr(pair[0]), "control")}
	r := &relay{control: pair[1], sessions: tls.NewLRUClientSessionCache(maxSessions)}
	ended := make(chan error)
	go func() { ended <- r.serve() }()
	t.Cleanup(func() {
		d.control.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		unix.Close(pair[1])
	})
	return d
}

// carry has a connection to the server carried, and returns our end of it.
func (d *daemon) carry(server net.Addr, p dnstls.Peer) *os.File {
	d.t.Helper()
	c, err := net.Dial("tcp", server.String())
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	tcp, err := c.(*net.TCPConn).File()
	if err != nil {
		d.t.Fatal(err)
	}
	defer tcp.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer unix.Close(pair[1])
	if err := unix.SetNonblock(int(tcp.Fd()), true); err != nil {
		d.t.Fatal(err)
	}
	if err := unix.Sendmsg(d.fd, p.Message(), unix.UnixRights(int(tcp.Fd()), pair[1]), nil, 0); err != nil {
		d.t.Fatal(err)
	}
	stream := os.NewFile(uintptr(pair[0]), "stream")
	d.t.Cleanup(func() { stream.Close() })
	if err := stream.SetDeadline(time.Now().Add(within)); err != nil {
		d.t.Fatal(err)
	}
	return stream
}

// reason waits for what the relay reports of the server.
func (d *daemon) reason(p dnstls.Peer) string {
	d.t.Helper()
	if err := d.control.SetDeadline(time.Now().Add(within)); err != nil {
		d.t.Fatal(err)
	}
	b := make([]byte, 2048)
	n, err := d.control.Read(b)
	if err != nil {
		d.t.Fatal(err)
	}
	reason, ok := strings.CutPrefix(string(b[:n]), string(p.Message())+"\x00")
	if !ok {
		d.t.Fatalf("a report of another server: %q", b[:n])
	}
	return reason
}

// listen runs a server that does the same with each connection.
func listen(t *testing.T, serve func(net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr()
}

// echo speaks TLS and says what it hears, and tells states of it.
func echo(c *tls.Config, states chan<- tls.ConnectionState) func(net.Conn) {
	return func(conn net.Conn) {
		s := tls.Server(conn, c)
		if err := s.Handshake(); err != nil {
			return
		}
		if states != nil {
			states <- s.ConnectionState()
		}
		_, _ = io.Copy(s, s)
		_ = s.CloseWrite()
	}
}

func TestDemands(t *testing.T) {
	nothing := func(*x509.Certificate) {}
	other := certificate(nil, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	for _, tt := range []struct {
		name string
		cert tls.Certificate
		peer string // "" for its address
		want string // why it is no good in the strict mode, "" if it is
	}{
		{"name", certificate(&authority, nothing), "dns.example", ""},
		{"address", certificate(&authority, nothing), "", ""},
		{"wrong name", certificate(&authority, nothing), "dns.test", "not dns.test"},
		{"wrong address", certificate(&authority, func(c *x509.Certificate) { c.IPAddresses = nil }), "", "127.0.0.1"},
		{"unknown authority", certificate(&other, nothing), "dns.example", "nobody that the system trusts"},
		{"own authority", certificate(nil, nothing), "dns.example", "nobody that the system trusts"},
		{"expired", certificate(&authority, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "dns.example", "expired"},
		{"not yet", certificate(&authority, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), "dns.example", "not yet valid"},
		{"no server", certificate(&authority, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "dns.example", "usage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := listen(t, echo(&tls.Config{Certificates: []tls.Certificate{tt.cert}}, nil))
			d := newDaemon(t)
			for _, strict := range []bool{true, false} {
				p := dnstls.Peer{Addr: netip.MustParseAddr("127.0.0.1"), Name: tt.peer, Strict: strict}
				stream := d.carry(at, p)
				want := tt.want
				if !strict {
					want = ""
				}
				if got := d.reason(p); want == "" && got != "" || !strings.Contains(got, want) {
					t.Errorf("strict %v: %q, want %q", strict, got, want)
				}
				said, heard := []byte("\x00\x04ping"), make([]byte, 6)
				if _, err := stream.Write(said); err != nil && want == "" {
					t.Fatal(err)
				}
				_, err := io.ReadFull(stream, heard)
				if want == "" && (err != nil || !bytes.Equal(heard, said)) || want != "" && !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
					t.Errorf("strict %v: heard %q, %v", strict, heard, err)
				}
				stream.Close()
			}
		})
	}
}

// TestSessionsAreResumed where the same is demanded of the same server.
func TestSessionsAreResumed(t *testing.T) {
	states := make(chan tls.ConnectionState, 1)
	at := listen(t, echo(&tls.Config{Certificates: []tls.Certificate{certificate(&authority, func(*x509.Certificate) {})}}, states))
	d := newDaemon(t)
	strict := dnstls.Peer{Addr: netip.MustParseAddr("127.0.0.1"), Name: "dns.example", Strict: true}
	lenient := strict
	lenient.Strict = false
	elsewhere := strict
	elsewhere.Link = "eth1"
	for i, step := range []struct {
		peer    dnstls.Peer
		resumed bool
	}{{lenient, false}, {lenient, true}, {strict, false}, {strict, true}, {elsewhere, false}} {
		stream := d.carry(at, step.peer)
		if reason := d.reason(step.peer); reason != "" {
			t.Fatal(reason)
		}
		s := <-states
		if s.DidResume != step.resumed || s.Version != tls.VersionTLS13 {
			t.Errorf("step %d: resumed %v, version %x", i, s.DidResume, s.Version)
		}
		// The ticket has come by the time of the first answer.
		if _, err := stream.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(stream, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		stream.Close()
	}
}

// TestHostileServers end nothing but their own stream, with a reason.
func TestHostileServers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
		want  string
	}{
		{"clear text", func(c net.Conn) { _, _ = c.Write(bytes.Repeat([]byte("garbage\r\n"), 1000)) }, "handshake"},
		{"ends", func(net.Conn) {}, "ends the connection"},
		{"silent", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "does not answer"},
		{"old", echo(&tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{authority}}, nil), "protocol version"},
		{"name with a line feed", echo(&tls.Config{Certificates: []tls.Certificate{
			certificate(&authority, func(c *x509.Certificate) { c.DNSNames = []string{"a\nb"} }),
		}}, nil), `certificate`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t)
			p := dnstls.Peer{Addr: netip.MustParseAddr("127.0.0.1"), Name: "dns.example", Strict: true}
			stream := d.carry(listen(t, tt.serve), p)
			if got := d.reason(p); !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if n, err := stream.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the stream goes on: %d, %v", n, err)
			}
		})
	}
}

// TestEnds: either end of a connection ends the other one.
func TestEnds(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(&authority, func(*x509.Certificate) {})}}
	p := dnstls.Peer{Addr: netip.MustParseAddr("127.0.0.1"), Name: "dns.example", Strict: true}
	heard := make(chan error, 1)
	d := newDaemon(t)
	stream := d.carry(listen(t, func(c net.Conn) {
		_, err := tls.Server(c, config).Read(make([]byte, 1))
		heard <- err
	}), p)
	d.reason(p)
	stream.Close()
	if err := <-heard; err != io.EOF {
		t.Errorf("the server hears %v", err)
	}

	stream = d.carry(listen(t, func(c net.Conn) { _, _ = tls.Server(c, config).Write([]byte("last")) }), p)
	d.reason(p)
	if text, err := io.ReadAll(stream); string(text) != "last" || err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the daemon hears %q, %v", text, err)
	}
}

// TestNonsenseFromTheDaemon is passed over, and what came with it is closed.
func TestNonsenseFromTheDaemon(t *testing.T) {
	d := newDaemon(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := dnstls.Peer{Addr: netip.MustParseAddr("127.0.0.1")}
	for _, m := range [][]byte{[]byte("nonsense"), p.Message()} {
		if err := unix.Sendmsg(d.fd, m, unix.UnixRights(int(w.Fd())), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the pipe is kept: %v", err)
	}
}
