package online

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"net.connman/connmand/internal/core"
)

const (
	statusHeader = "X-Connman-Status" // in any case on the wire
	maxHeadBytes = 16 << 10
	maxPortalURL = 2048
)

var errLongHead = errors.New("the reply's head is too long")

// fetch is one request for the page.
type fetch struct {
	req       core.ProbeRequest
	userAgent string
	dial      dialFunc
}

func (f *fetch) run(ctx context.Context) core.ProbeResult {
	reply, err := f.get(ctx)
	if err != nil {
		err = fmt.Errorf("cannot fetch %s: %w", f.req.URL, err)
		return core.ProbeResult{Err: err}
	}
	return judge(reply)
}

// response is the head of a reply. The body is never read.
type response struct {
	asked  *url.URL
	status int
	header textproto.MIMEHeader
}

// get sends the request and returns the head of the reply.
func (f *fetch) get(ctx context.Context) (response, error) {
	asked, err := url.Parse(f.req.URL)
	if err != nil {
		return response{}, err
	}
	conn, err := f.connect(ctx, asked)
	if err != nil {
		return response{}, err
	}
	defer conn.Close()
	defer endWith(ctx, conn)()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: close\r\n\r\n",
		asked.RequestURI(), asked.Host, f.userAgent)
	if err != nil {
		return response{}, err
	}
	return readHead(conn, asked)
}

// readHead reads a reply up to its body, passing over interim replies (RFC
// 9112, 2 to 5; RFC 9110, 15.2).
func readHead(conn io.Reader, asked *url.URL) (response, error) {
	limited := &io.LimitedReader{R: conn, N: maxHeadBytes}
	in := textproto.NewReader(bufio.NewReader(limited))
	for {
		r, err := readOne(in, asked)
		switch {
		case err != nil && limited.N == 0:
			return response{}, errLongHead
		case err != nil:
			return response{}, err
		case r.status >= 200:
			return r, nil
		}
	}
}

func readOne(in *textproto.Reader, asked *url.URL) (response, error) {
	line, err := in.ReadLine()
	if err != nil {
		return response{}, err
	}
	status, err := statusOf(line)
	if err != nil {
		return response{}, err
	}
	header, err := in.ReadMIMEHeader()
	if err != nil {
		return response{}, fmt.Errorf("malformed header: %w", err)
	}
	return response{asked, status, header}, nil
}

// statusOf reads the code of a status line such as "HTTP/1.1 200 OK". What the
// server says beyond it is not repeated to anybody.
func statusOf(line string) (int, error) {
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if !strings.HasPrefix(version, "HTTP/1.") || err != nil || len(code) != 3 || status < 100 {
		return 0, errors.New("malformed status line")
	}
	return status, nil
}

// endWith makes every wait on conn time out when ctx ends. Call what it
// returns when conn is no longer in use.
func endWith(ctx context.Context, conn net.Conn) (release func() bool) {
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

// connect resolves u's host and connects to the first of its addresses that
// answers.
func (f *fetch) connect(ctx context.Context, u *url.URL) (net.Conn, error) {
	if u.Scheme != "http" || u.Hostname() == "" {
		return nil, errors.New("not an http address")
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16)
	if err != nil {
		return nil, fmt.Errorf("bad port: %w", err)
	}
	addrs, err := f.resolve(ctx, u.Hostname())
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, a := range addrs {
		conn, err := f.connectTo(ctx, netip.AddrPortFrom(a, uint16(port)))
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func (f *fetch) connectTo(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if d := f.req.ConnectTimeout; d > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, d)
		defer stop()
	}
	return f.dial(ctx, "tcp", to)
}

func (f *fetch) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Is4() != f.req.Source.Is4() {
			return nil, fmt.Errorf("%s is not of the family of %s", a, f.req.Source)
		}
		return []netip.Addr{a}, nil
	}
	ctx, stop := context.WithTimeout(ctx, lookupTimeout)
	defer stop()
	l := lookup{servers: f.req.Nameservers, dial: f.dial}
	return l.addresses(ctx, host, f.req.Source.Is4())
}

// The statuses that say something about the way to the Internet (RFC 9110, RFC
// 6585).
const (
	statusOK                 = 200
	statusVersionUnsupported = 505
	statusNeedsLogin         = 511
)

// judge says what a reply's head means. As in the reference it is the presence
// of the header that counts, not its value.
func judge(r response) core.ProbeResult {
	switch {
	case r.status == statusOK && len(r.header.Values(statusHeader)) > 0:
		return core.ProbeResult{Online: true}
	case r.status == statusOK:
		return portal(r.asked, "a reply without X-ConnMan-Status")
	case r.status >= 300 && r.status < 400:
		return portal(redirection(r), "a redirection")
	case r.status == statusNeedsLogin, r.status == statusVersionUnsupported:
		return portal(r.asked, "status "+strconv.Itoa(r.status))
	}
	return core.ProbeResult{Err: fmt.Errorf("%s answered with status %d", r.asked.Host, r.status)}
}

func portal(to *url.URL, what string) core.ProbeResult {
	return core.ProbeResult{
		Portal: to.String(),
		Err:    fmt.Errorf("captive portal: %s", what),
	}
}

// redirection returns where reply sends a browser or, when that is no place a
// browser should be sent to, what was asked for: the portal will redirect the
// browser, too.
func redirection(r response) *url.URL {
	location := r.header.Get("Location")
	to, err := r.asked.Parse(location)
	if location == "" || err != nil || !browsable(to) {
		return r.asked
	}
	return to
}

// browsable reports whether u may be handed to a browser: a web address
// without credentials, of bearable length, in printable ASCII.
func browsable(u *url.URL) bool {
	text := u.String()
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(text) > maxPortalURL {
		return false
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
