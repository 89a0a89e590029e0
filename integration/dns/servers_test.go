//go:build netns

package dns

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
	"net.connman/integration/lab"
)

// nameServer is one in Go, for what real ones cannot be made to do.
type nameServer struct {
	mu      sync.Mutex
	asked   []string // the names, in small letters
	servers []*dns.Server
	done    chan error
}

// serve runs a name server on a host of the network: answer returns the reply
// to a question, nil for silence.
func (n *network) serve(last int, answer func(*dns.Msg) *dns.Msg) *nameServer {
	n.t.Helper()
	s := &nameServer{done: make(chan error, 2)}
	var packets *net.UDPConn
	var streams *net.TCPListener
	at := netip.AddrPortFrom(n.addr(last), 53)
	must(n.t, n.host.Do(func() (err error) {
		if packets, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err != nil {
			return err
		}
		streams, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		return err
	}))
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		s.note(question)
		if reply := answer(question); reply != nil {
			if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
				truncate(question, reply)
			}
			_ = w.WriteMsg(reply)
		}
	})
	s.servers = []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: streams, Handler: handler}}
	for _, server := range s.servers {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { s.done <- server.ActivateAndServe() }()
		<-started
	}
	n.t.Cleanup(s.stop)
	return s
}

// truncate cuts a reply to what the client takes in a datagram.
func truncate(question, reply *dns.Msg) {
	size := dns.MinMsgSize
	if opt := question.IsEdns0(); opt != nil {
		size = int(opt.UDPSize())
	}
	reply.Truncate(size)
}

func (s *nameServer) note(question *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range question.Question {
		s.asked = append(s.asked, strings.ToLower(q.Name))
	}
}

// heard says how often a name was asked for.
func (s *nameServer) heard(name string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, asked := range s.asked {
		if asked == dns.Fqdn(name) {
			n++
		}
	}
	return n
}

// stop ends the server, if it is not ended yet.
func (s *nameServer) stop() {
	for _, server := range s.servers {
		_ = server.Shutdown()
		<-s.done
	}
	s.servers = nil
}

// answers answers questions for the addresses of some names; other names don't
// exist.
func answers(addresses map[string]string) func(*dns.Msg) *dns.Msg {
	return func(question *dns.Msg) *dns.Msg {
		reply := new(dns.Msg).SetReply(question)
		q := question.Question[0]
		address, ok := addresses[strings.TrimSuffix(strings.ToLower(q.Name), ".")]
		switch {
		case !ok:
			reply.Rcode = dns.RcodeNameError
		case q.Qtype == dns.TypeA:
			reply.Answer = []dns.RR{addressOf(q.Name, address)}
		}
		return reply
	}
}

func addressOf(name, address string) dns.RR {
	return &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.ParseIP(address)}
}

// unbound runs the program on a host of the network, or of the machine, to
// listen at the addresses.
func unbound(host *lab.Host, config string, at ...netip.Addr) (*lab.Process, error) {
	var b strings.Builder
	b.WriteString("server:\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n directory: \"/run\"\n use-syslog: no\n" +
		" access-control: 0.0.0.0/0 allow\n module-config: \"iterator\"\n do-daemonize: no\n")
	for _, a := range at {
		fmt.Fprintf(&b, " interface: %s\n", a)
	}
	b.WriteString(config)
	if err := host.WriteFile("/etc/unbound-test.conf", b.String()); err != nil {
		return nil, err
	}
	program := filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "unbound/usr/sbin/unbound")
	return host.Start(exec.Command(program, "-d", "-c", "/etc/unbound-test.conf"))
}

// dnsmasq runs the program on a host.
func dnsmasq(host *lab.Host, args ...string) (*lab.Process, error) {
	args = slices.Concat([]string{"-k", "-C", "/dev/null", "-u", "root", "-R", "-h", "-x", "/run/dnsmasq.pid"}, args)
	return host.Start(exec.Command("dnsmasq", args...))
}
