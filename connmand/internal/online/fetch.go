package online

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
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
	contacted []netip.Addr
}

func (f *fetch) run(ctx context.Context) core.ProbeResult {
	reply, err := f.get(ctx)
	if err != nil {
		err = fmt.Errorf("cannot fetch %s: %w", f.req.URL, err)
		return core.ProbeResult{Err: err, Contacted: f.contacted}
	}
	result := judge(reply)
	result.Contacted = f.contacted
	return result
}

// get sends the request and returns the reply's head. Its body is gone.
func (f *fetch) get(ctx context.Context) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.req.URL, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", f.userAgent)
	r.Close = true
	conn, err := f.connect(ctx, r.URL)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer endWith(ctx, conn)()
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	return readHead(conn, r)
}

// readHead reads a reply up to its body, passing over interim replies.
func readHead(conn io.Reader, r *http.Request) (*http.Response, error) {
	limited := &io.LimitedReader{R: conn, N: maxHeadBytes}
	in := bufio.NewReader(limited)
	for {
		reply, err := http.ReadResponse(in, r)
		if err != nil {
			if limited.N == 0 {
				err = errLongHead
			}
			return nil, err
		}
		if reply.StatusCode >= 200 {
			return reply, nil
		}
	}
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
		f.contacted = append(f.contacted, a)
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

// judge says what a reply's head means. As in the reference it is the presence
// of the header that counts, not its value.
func judge(reply *http.Response) core.ProbeResult {
	asked := reply.Request.URL
	status := reply.StatusCode
	switch {
	case status == http.StatusOK && len(reply.Header.Values(statusHeader)) > 0:
		return core.ProbeResult{Online: true}
	case status == http.StatusOK:
		return portal(asked, "a reply without X-ConnMan-Status")
	case status >= 300 && status < 400:
		return portal(redirection(reply), "a redirection")
	case status == http.StatusNetworkAuthenticationRequired, status == http.StatusHTTPVersionNotSupported:
		return portal(asked, strconv.Itoa(status)+" "+http.StatusText(status))
	}
	return core.ProbeResult{Err: fmt.Errorf("%s answered %d %s", asked.Host, status, http.StatusText(status))}
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
func redirection(reply *http.Response) *url.URL {
	to, err := reply.Location()
	if err != nil || !browsable(to) {
		return reply.Request.URL
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
