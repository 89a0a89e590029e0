package online

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const pageURL = "http://192.0.2.80/online/status.html"

// probe asks for pageURL from server, which has the other end of the
// connection, and returns what the prober reports.
func probe(t *testing.T, server func(net.Conn)) core.ProbeResult {
	t.Helper()
	return probeURL(t, pageURL, func(_ context.Context, network string, _ netip.AddrPort) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go server(theirs)
		return ours, nil
	})
}

func probeURL(t *testing.T, url string, dial dialFunc) core.ProbeResult {
	t.Helper()
	l := loop.New(slog.New(slog.DiscardHandler))
	p := New(l, "1.2")
	p.dialer = func(core.ProbeRequest) dialFunc { return dial }
	var result core.ProbeResult
	l.Post("begin", func() {
		req := core.ProbeRequest{
			URL:         url,
			Source:      netip.MustParseAddr("192.0.2.1"),
			Nameservers: []netip.Addr{server1, server2},
		}
		p.Probe(req, func(r core.ProbeResult) { result = r; l.Quit() })
	})
	l.Run(context.Background())
	l.Wait()
	return result
}

// answer reads a request and answers it with reply.
func answer(reply string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		readRequest(c)
		io.WriteString(c, reply)
	}
}

func readRequest(c net.Conn) string {
	var b strings.Builder
	part := make([]byte, 1024)
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		n, err := c.Read(part)
		if err != nil {
			break
		}
		b.Write(part[:n])
	}
	return b.String()
}

// Servers know the check by these bytes: they are the reference's, captured.
func TestRequestOnTheWire(t *testing.T) {
	var got string
	probe(t, func(c net.Conn) {
		defer c.Close()
		got = readRequest(c)
	})
	want := "GET /online/status.html HTTP/1.1\r\nHost: 192.0.2.80\r\nUser-Agent: ConnMan/1.2 wispr\r\nConnection: close\r\n\r\n"
	if got != want {
		t.Errorf("sent %q\nwant %q", got, want)
	}
}

func TestReplies(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name, reply string
		online      bool
		portal      string
		err         string // a part of it
	}{
		{name: "online", reply: ok + "X-ConnMan-Status: online\r\n\r\n", online: true},
		{name: "another case", reply: ok + "x-connman-STATUS: online\r\n\r\n", online: true},
		{name: "another value", reply: ok + "X-ConnMan-Status: yes\r\n\r\n", online: true},
		{name: "a body", reply: ok + "X-ConnMan-Status: online\r\nContent-Length: 5\r\n\r\nhello", online: true},
		{name: "less body than promised", reply: ok + "X-ConnMan-Status: online\r\nContent-Length: 5000\r\n\r\nhe", online: true},
		{name: "chunks and trailers", reply: ok + "X-ConnMan-Status: online\r\nTransfer-Encoding: chunked\r\nTrailer: Location\r\n\r\nfffffffffffffffff\r\nx\r\n0\r\nLocation: /\r\n\r\n", online: true},
		{name: "HTTP/1.0", reply: "HTTP/1.0 200 OK\r\nX-ConnMan-Status: online\r\n\r\n", online: true},
		{name: "an interim reply first", reply: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "X-ConnMan-Status: online\r\n\r\n", online: true},

		{name: "header missing", reply: ok + "\r\n<html>", portal: pageURL, err: "without X-ConnMan-Status"},
		{name: "header in the trailer only", reply: ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-ConnMan-Status: online\r\n\r\n", portal: pageURL, err: "without"},
		{name: "redirection", reply: "HTTP/1.1 302 Found\r\nLocation: https://login.example/?a=b\r\n\r\n", portal: "https://login.example/?a=b", err: "captive portal"},
		{name: "marked redirection", reply: "HTTP/1.1 302 Found\r\nX-ConnMan-Status: online\r\nLocation: http://login.example/\r\n\r\n", portal: "http://login.example/", err: "captive portal"},
		{name: "relative redirection", reply: "HTTP/1.1 307 X\r\nLocation: /login\r\n\r\n", portal: "http://192.0.2.80/login", err: "captive portal"},
		{name: "redirection nowhere", reply: "HTTP/1.1 301 X\r\n\r\n", portal: pageURL, err: "captive portal"},
		{name: "redirection to a program", reply: "HTTP/1.1 302 X\r\nLocation: file:///etc/passwd\r\n\r\n", portal: pageURL, err: "captive portal"},
		{name: "redirection with a password", reply: "HTTP/1.1 302 X\r\nLocation: http://bank.example@evil.example/\r\n\r\n", portal: pageURL, err: "captive portal"},
		{name: "redirection not in ASCII", reply: "HTTP/1.1 302 X\r\nLocation: http://a.example/?\xff\r\n\r\n", portal: pageURL, err: "captive portal"},
		{name: "long redirection", reply: "HTTP/1.1 302 X\r\nLocation: http://a.example/" + strings.Repeat("a", maxPortalURL) + "\r\n\r\n", portal: pageURL, err: "captive portal"},
		{name: "authentication required", reply: "HTTP/1.1 511 X\r\n\r\n", portal: pageURL, err: "511"},
		{name: "version not supported", reply: "HTTP/1.1 505 X\r\n\r\n", portal: pageURL, err: "505"},

		{name: "not found", reply: "HTTP/1.1 404 X\r\nX-ConnMan-Status: online\r\n\r\n", err: "status 404"},
		{name: "unavailable", reply: "HTTP/1.1 503 X\r\n\r\n", err: "status 503"},
		{name: "nothing", reply: "", err: "EOF"},
		{name: "cut short", reply: ok + "X-ConnMan-Status: onl", err: "EOF"},
		{name: "blank first line", reply: "\r\n" + ok + "X-ConnMan-Status: online\r\n\r\n", err: "malformed"},
		{name: "blank first header", reply: ok + " \r\nX-ConnMan-Status: online\r\n\r\n", err: "malformed"},
		{name: "no HTTP", reply: "220 mail.example ESMTP\r\n\r\n", err: "malformed"},
		{name: "endless header", reply: ok + strings.Repeat("A: b\r\n", maxHeadBytes/6), err: "too long"},
		{name: "endless line", reply: ok + "A: " + strings.Repeat("b", 4*maxHeadBytes), err: "too long"},
		{name: "endless interim replies", reply: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxHeadBytes/20), err: "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := probe(t, answer(tt.reply))
			if got.Online != tt.online || got.Portal != tt.portal {
				t.Errorf("online %v, portal %q; want %v, %q", got.Online, got.Portal, tt.online, tt.portal)
			}
			if (tt.err == "") != (got.Err == nil) || tt.err != "" && !strings.Contains(got.Err.Error(), tt.err) {
				t.Errorf("error %v, want %q", got.Err, tt.err)
			}
		})
	}
}

// CVE-2022-32292: a NUL before the line's end, over several segments.
func TestNULInHeader(t *testing.T) {
	for _, parts := range [][]string{
		{"HTTP/1.1 200 OK\r\nX-A: b", "\x00", "c", "\x00\r", "\n", "X-ConnMan-Status: online\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nX-A", "\x00: b\n", "X-ConnMan-Status: online\r\n\r\n"},
		{"HTTP/1.1 200 OK\x00", "\n\x00\n", "\n\n"},
	} {
		got := probe(t, func(c net.Conn) {
			defer c.Close()
			readRequest(c)
			for _, p := range parts {
				io.WriteString(c, p)
			}
		})
		if got.Portal != "" || got.Online != (got.Err == nil) {
			t.Errorf("%q: got %+v", parts, got)
		}
	}
	got := probe(t, answer("HTTP/1.1 200 OK\r\nX-ConnMan-Status: online\r\n\r\n"))
	if !got.Online {
		t.Errorf("the next good reply: %v", got.Err)
	}
}

// Whoever sends a byte now and then does not hold the probe.
func TestSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ended := make(chan struct{})
		got := probe(t, func(c net.Conn) {
			defer close(ended)
			defer c.Close()
			readRequest(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "A"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		if took := time.Since(begin); got.Err == nil || took != probeTimeout {
			t.Errorf("after %v: %+v", took, got)
		}
		<-ended
	})
}

func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fetch{
			req: core.ProbeRequest{URL: pageURL, Source: netip.MustParseAddr("192.0.2.1"), ConnectTimeout: 2 * time.Second},
			dial: func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		}
		begin := time.Now()
		got := f.run(t.Context())
		if took := time.Since(begin); got.Err == nil || took != 2*time.Second {
			t.Errorf("after %v: %v", took, got.Err)
		}
	})
}

func TestCancelledProbeNeverReports(t *testing.T) {
	l := loop.New(slog.New(slog.DiscardHandler))
	p := New(l, "1.2")
	asked := make(chan struct{})
	p.dialer = func(core.ProbeRequest) dialFunc {
		return func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
			close(asked)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	l.Post("begin", func() {
		cancel := p.Probe(core.ProbeRequest{URL: pageURL, Source: netip.MustParseAddr("192.0.2.1")},
			func(core.ProbeResult) { t.Error("a cancelled probe reported") })
		<-asked
		cancel()
		l.Quit()
	})
	l.Run(t.Context())
	l.Wait()
}

func TestRefusedURLs(t *testing.T) {
	for _, u := range []string{
		"", "x", "https://192.0.2.80/", "ftp://192.0.2.80/", "http://", "http://192.0.2.80:99999/",
		"http://[2001:db8::1]/", "http://bad name/", "http://" + strings.Repeat("a", 300) + "/",
	} {
		got := probeURL(t, u, func(context.Context, string, netip.AddrPort) (net.Conn, error) {
			t.Errorf("%q: connected", u)
			return nil, io.EOF
		})
		if got.Err == nil || got.Online {
			t.Errorf("%q: %+v", u, got)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nX-ConnMan-Status: online\r\n\r\n")
	f.Add("HTTP/1.1 302 Found\r\nLocation: //\x00/%zz\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
	f.Add("HTTP/1.1 103 X\r\n\r\nHTTP/1.1 511 X\r\n\r\n")
	f.Add("\r\nHTTP/1.1 200\r\n \r\n")
	f.Fuzz(func(t *testing.T, reply string) {
		asked, err := url.Parse(pageURL)
		if err != nil {
			t.Fatal(err)
		}
		head, err := readHead(strings.NewReader(reply), asked)
		if err != nil {
			return
		}
		got := judge(head)
		if got.Online == (got.Err != nil) || got.Online && got.Portal != "" {
			t.Errorf("%q: contradicting %+v", reply, got)
		}
		if len(got.Portal) > maxPortalURL || strings.ContainsFunc(got.Portal, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Errorf("%q: portal %q", reply, got.Portal)
		}
	})
}
