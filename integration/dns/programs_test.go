//go:build netns

package dns

import (
	"crypto"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"net.connman/integration/lab"
)

// resolve is a program that looks a name up as most programs do, and prints its
// addresses.
const resolve = `
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
int main(int argc, char **argv) {
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
	char text[64];
	int err = getaddrinfo(argv[1], NULL, &hints, &list);
	if (err) {
		puts(gai_strerror(err));
		return 1;
	}
	for (a = list; a; a = a->ai_next) {
		void *address = a->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)a->ai_addr)->sin_addr
							: (void *)&((struct sockaddr_in6 *)a->ai_addr)->sin6_addr;
		puts(inet_ntop(a->ai_family, address, text, sizeof text));
	}
	return 0;
}
`

// compile builds the program with a C library.
func compile(t *testing.T, compiler ...string) string {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "resolve.c"), filepath.Join(dir, "resolve")
	must(t, os.WriteFile(source, []byte(resolve), 0o644))
	if out, err := exec.Command(compiler[0], append(compiler[1:], "-o", program, source)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// upstreams are real name servers that know the same names.
var upstreams = map[string]func(*network) (*lab.Process, error){
	"unbound": func(n *network) (*lab.Process, error) {
		return unbound(n.host, ` local-zone: "home.test." static
 local-data: "www.home.test. 300 A 10.80.0.80"
 local-data: "www.home.test. 300 AAAA fd00::80"
 local-data: "text.home.test. 300 TXT one"
 local-data: "odd.home.test. 300 TYPE65280 \# 4 01020304"
`, n.addr(53))
	},
	"dnsmasq": func(n *network) (*lab.Process, error) {
		return dnsmasq(n.host, "--bind-interfaces", "--listen-address", n.addr(53).String(), "--local=/home.test/",
			"--host-record=www.home.test,10.80.0.80,fd00::80,300", "--txt-record=text.home.test,one", "--dns-rr=odd.home.test,65280,01020304")
	},
}

// TestProgramsResolve has the C libraries' resolvers and dig ask for names that
// real servers know, twice: from there and from the cache.
func TestProgramsResolve(t *testing.T) {
	libraries := map[string]string{
		"glibc": compile(t, "gcc"),
		"musl":  compile(t, "musl-gcc", "-static"),
	}
	for name, serve := range upstreams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, place{domain: "home.test", servers: []int{53}})
			_, err := serve(w.nets[0])
			must(t, err)
			w.start()
			w.untilResolv("search home.test", proxy4, proxy6)
			w.untilDig("10.80.0.80", "www.home.test")
			for range 2 {
				for library, program := range libraries {
					w.resolves(library, program)
				}
				w.digs()
			}
		})
	}
}

// resolves has a C library look names up.
func (w *world) resolves(library, program string) {
	w.t.Helper()
	for _, name := range []string{"www.home.test", "www", "WWW.home.test."} {
		out, err := w.run(program, name)
		lines := strings.Fields(out)
		slices.Sort(lines)
		if err != nil || !slices.Equal(lines, []string{"10.80.0.80", "fd00::80"}) {
			w.t.Errorf("%s resolves %s to %q, %v", library, name, out, err)
		}
	}
	if out, err := w.run(program, "missing.home.test"); err == nil {
		w.t.Errorf("%s resolves a name that does not exist to %q", library, out)
	}
}

// digs asks for what is no address.
func (w *world) digs() {
	w.t.Helper()
	for _, c := range []struct {
		want string
		args []string
	}{
		{"fd00::80", []string{"www.home.test", "AAAA"}},
		{`"one"`, []string{"text.home.test", "TXT"}},
		{`"one"`, []string{"+tcp", "text.home.test", "TXT"}},
		{`\# 4 01020304`, []string{"odd.home.test", "TYPE65280"}},
		{"10.80.0.80", []string{"@::1", "+tcp", "+nocookie", "www.home.test"}},
		{"127.0.0.1", []string{"localhost"}},
		{"::1", []string{"a.localhost", "AAAA"}},
		{"127.0.0.1", []string{"machine"}}, // its host name
	} {
		if got, err := w.dig(c.args...); err != nil || got != c.want {
			w.t.Errorf("dig %v says %q, %v; want %q", c.args, got, err, c.want)
		}
	}
	out, err := w.run("dig", "missing.home.test")
	if err != nil || !strings.Contains(out, "NXDOMAIN") {
		w.t.Errorf("a name that does not exist: %v\n%s", err, out)
	}
}

// TestSignedAnswersSurvive has delv verify the signatures of what came through
// the proxy.
func TestSignedAnswersSurvive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{servers: []int{53}})
	zone, anchor := signedZone(t)
	must(t, w.nets[0].host.WriteFile("/etc/signed.zone", zone))
	must(t, w.machine.WriteFile("/etc/anchors", anchor))
	_, err := unbound(w.nets[0].host, " local-zone: test. nodefault\nauth-zone:\n name: signed.test\n zonefile: /etc/signed.zone\n for-downstream: yes\n for-upstream: no\n", w.nets[0].addr(53))
	must(t, err)
	w.start()
	w.untilDig("192.0.2.80", "www.signed.test")
	for _, c := range []struct{ name, verdict string }{
		{"www.signed.test", "; fully validated"},
		{"missing.signed.test", "; negative response, fully validated"},
	} {
		for range 2 { // the second time from the cache
			// delv ends with an error for a name that does not exist.
			out, err := w.run("sh", "-c", "delv @127.0.0.1 -a /etc/anchors +root=signed.test "+c.name+" 2>&1")
			if !strings.Contains(out, c.verdict) {
				t.Errorf("%s: %v\n%s", c.name, err, out)
			}
		}
	}
	if out, err := w.dig("www.signed.test"); err != nil || out != "192.0.2.80" {
		t.Errorf("who does not ask for signatures gets %q, %v", out, err)
	}
}

// signedZone returns a small signed zone and delv's trust in it.
func signedZone(t *testing.T) (zone, anchor string) {
	t.Helper()
	const name = "signed.test."
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: name, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ED25519,
	}
	private, err := key.Generate(256)
	must(t, err)
	sets := [][]dns.RR{
		{rr(t, "signed.test. 300 SOA ns.signed.test. root.signed.test. 1 3600 900 86400 300")},
		{rr(t, "signed.test. 300 NS www.signed.test.")},
		{key},
		{rr(t, "www.signed.test. 300 A 192.0.2.80")},
		{rr(t, "signed.test. 300 NSEC www.signed.test. NS SOA RRSIG NSEC DNSKEY")},
		{rr(t, "www.signed.test. 300 NSEC signed.test. A RRSIG NSEC")},
	}
	var b strings.Builder
	now := time.Now()
	for _, set := range sets {
		sig := &dns.RRSIG{
			Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(time.Hour).Unix()),
			KeyTag: key.KeyTag(), SignerName: name, Algorithm: key.Algorithm,
		}
		must(t, sig.Sign(private.(crypto.Signer), set))
		for _, record := range append(set, sig) {
			fmt.Fprintln(&b, record)
		}
	}
	return b.String(), fmt.Sprintf("trust-anchors { signed.test. static-key %d %d %d %q; };\n", key.Flags, key.Protocol, key.Algorithm, key.PublicKey)
}

func rr(t *testing.T, text string) dns.RR {
	t.Helper()
	record, err := dns.NewRR(text)
	must(t, err)
	return record
}

// TestLargeAnswers: an answer as large as there can be reaches its client, who
// asked over UDP first.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{servers: []int{53}})
	const count = 240 // of 263 bytes each
	w.nets[0].serve(53, func(question *dns.Msg) *dns.Msg {
		reply := new(dns.Msg).SetReply(question)
		reply.Compress = true
		for i := range count {
			reply.Answer = append(reply.Answer, &dns.TXT{
				Hdr: dns.RR_Header{Name: question.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 300},
				Txt: []string{fmt.Sprintf("%0250d", i)},
			})
		}
		return reply
	})
	w.start()
	w.until(func() error {
		out, err := w.dig("large.test", "TXT")
		if n := strings.Count(out, "\n") + 1; err == nil && n != count {
			err = fmt.Errorf("%d of %d records: %.200s", n, count, out)
		}
		return err
	})
	for _, args := range [][]string{{"+tcp"}, {"+noedns"}, {"+bufsize=1232"}, {"+ignore", "+bufsize=512"}} {
		out, err := w.run("dig", append(args, "large.test", "TXT")...)
		switch truncated := strings.Contains(out, "flags: qr tc"); {
		case err != nil:
			t.Errorf("%v: %v", args, err)
		case args[0] == "+ignore" && !truncated:
			t.Error("a datagram of 512 bytes is not marked as cut")
		case args[0] != "+ignore" && strings.Count(out, "IN\tTXT\t") != count:
			t.Errorf("%v: %v", args, errors.New(out))
		}
	}
}
