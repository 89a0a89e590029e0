//go:build netns

package wired

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"net.connman/integration/home"
	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// onlineCheck is a configuration that checks continuously and comes to its
// conclusions within seconds.
const onlineCheck = "[General]\nOnlineCheckMode=%s\nOnlineCheckInitialInterval=1\nOnlineCheckMaxInterval=2\n" +
	"OnlineCheckIntervalStyle=%s\nOnlineCheckFailuresThreshold=2\nOnlineCheckSuccessesThreshold=2\n"

// TestRepliesToTheOnlineCheck: what makes a machine online, and what does not
// but is recovered from by the next good reply.
func TestRepliesToTheOnlineCheck(t *testing.T) {
	t.Parallel()
	good := "X-ConnMan-Status"
	for _, tt := range []struct {
		name   string
		page   router.Page
		online bool
	}{
		{"a body", router.Page{Header: http.Header{good: {"online"}}, Body: strings.Repeat("<p>hello", 10_000)}, true},
		{"lower case", router.Page{Header: http.Header{"x-connman-status": {"online"}}}, true},
		{"upper case", router.Page{Header: http.Header{"X-CONNMAN-STATUS": {"online"}}, Body: "x"}, true},
		{"no header", router.Page{Body: "welcome"}, false},
		{"portal", router.Page{Status: http.StatusFound, Header: http.Header{"Location": {"http://10.77.0.1/login"}}}, false},
		{"portal that claims to be none", router.Page{Status: http.StatusFound, Header: http.Header{"Location": {"/"}, good: {"online"}}}, false},
		{"authentication required", router.Page{Status: http.StatusNetworkAuthenticationRequired}, false},
		{"error", router.Page{Status: http.StatusServiceUnavailable}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, nil)
			w.Router.Web.Serve(tt.page)
			w.start()
			if !tt.online {
				w.untilState(0, "ready")
				w.until("two checks", func() error {
					if w.Router.Web.Requests() < 2 {
						return errors.New("not asked again")
					}
					return nil
				})
				must(t, expect("state", text(w.service(0)["State"]), "ready"))
				w.Router.Web.Serve(router.Online)
			}
			w.untilState(0, "online")
		})
	}
}

// TestModesOfTheOnlineCheck: none never asks, one-shot asks until it succeeds
// and then no more, continuous goes on.
func TestModesOfTheOnlineCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode, style, state string
		least, most        int // requests in the time that follows
	}{
		{"none", "geometric", "ready", 0, 0},
		{"one-shot", "geometric", "online", 0, 0},
		{"continuous", "geometric", "online", 1, 2}, // every 2² s
		{"continuous", "fibonacci", "online", 4, 7}, // every second
	} {
		t.Run(tt.mode+" "+tt.style, func(t *testing.T) {
			t.Parallel()
			const watched = 6 * time.Second
			w := newWorld(t, 1, nil)
			w.configure(fmt.Sprintf(onlineCheck, tt.mode, tt.style))
			w.start()
			w.untilState(0, tt.state)
			before := w.Router.Web.Requests()
			watch(watched)
			if n := w.Router.Web.Requests() - before; n < tt.least || n > tt.most {
				t.Errorf("%d requests in %v, want %d to %d", n, watched, tt.least, tt.most)
			}
			must(t, expect("state", text(w.service(0)["State"]), tt.state))
		})
	}
}

// web answers the online check on a server of the test's, one page for each
// client address.
type web struct {
	mu    sync.Mutex // guards what follows
	dead  map[string]bool
	asked map[string]int
}

// serve takes the place of the router's web server.
func (w *world) serve() *web {
	w.t.Helper()
	s := &web{dead: map[string]bool{}, asked: map[string]int{}}
	var listener net.Listener
	must(w.t, w.Gateway.Do(func() (err error) {
		listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(home.Address.Addr(), 8080)))
		return err
	}))
	server := &http.Server{Handler: s}
	go func() { _ = server.Serve(listener) }()
	w.t.Cleanup(func() { server.Close() })
	return s
}

func (s *web) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	client, _, _ := net.SplitHostPort(in.RemoteAddr)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[client]++
	if s.dead[client] {
		out.WriteHeader(http.StatusBadGateway)
		return
	}
	out.Header().Set("X-ConnMan-Status", "online")
}

func (s *web) set(client string, dead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead[client] = dead
}

func (s *web) requests(client string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[client]
}

// TestDeadUplinkGivesWayAndComesBack: behind the default link the Internet
// dies; within seconds the other link has the default route. When the first
// works again it has it back.
func TestDeadUplinkGivesWayAndComesBack(t *testing.T) {
	t.Parallel()
	for _, style := range []string{"geometric", "fibonacci"} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2, nil)
			s := w.serve()
			w.configure(fmt.Sprintf(onlineCheck, "continuous", style) + "OnlineCheckIPv4URL=http://10.77.0.1:8080/status\n")
			must(t, w.Ports[1].Down())
			w.start()
			w.untilState(0, "online")
			must(t, w.Ports[1].Up())
			w.untilState(1, "ready")
			w.untilDefaults("eth0 0", fmt.Sprint("eth1 ", lowMetric(w.Links[1])))
			address := w.addressOf(0)

			s.set(address, true)
			w.within(patience, "the other link takes over", func() error {
				return expect("order", w.order(), "eth1 eth0")
			})
			w.untilDefaults("eth1 0", fmt.Sprint("eth0 ", lowMetric(w.Links[0])))
			w.untilState(0, "ready")
			w.untilState(1, "online")
			must(t, expect("why", text(w.service(0)["Error"]), "online-check-failed"))
			if s.requests(w.addressOf(1)) == 0 {
				t.Error("nobody asked through the other link")
			}

			s.set(address, false)
			w.until("the service is trusted again", func() error {
				return expect("error", text(w.service(0)["Error"]), "")
			})
			s.set(w.addressOf(1), true)
			w.untilDefaults("eth0 0", fmt.Sprint("eth1 ", lowMetric(w.Links[1])))
			w.untilState(0, "online")
		})
	}
}

// lowMetric is the metric of default routes that nothing should choose.
func lowMetric(end lab.End) uint32 { return ^uint32(0) - uint32(end.Index())<<10 }

// addressOf is the only address of link i.
func (w *world) addressOf(i int) string {
	w.t.Helper()
	has, err := addresses(w.Links[i])
	must(w.t, err)
	if len(has) != 1 {
		w.t.Fatalf("addresses of %s are %v", w.Links[i].Name(), has)
	}
	return netip.MustParsePrefix(has[0]).Addr().String()
}

// TestHostileWebServers: whatever the server of the online check does, the
// daemon lives, rests, stays ready, and believes the next good reply.
func TestHostileWebServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.configure(fmt.Sprintf(onlineCheck, "one-shot", "fibonacci") + "OnlineCheckIPv4URL=http://10.77.0.1:8080/status\n")
	var listener net.Listener
	must(t, w.Gateway.Do(func() (err error) {
		listener, err = net.Listen("tcp4", "10.77.0.1:8080")
		return err
	}))
	defer listener.Close()
	w.start()
	guard := w.guard()
	for _, parts := range [][]string{
		{""}, // closes at once
		{"\r\nHTTP/1.1 200 OK\r\nX-ConnMan-Status: online\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nX-A: b", "\x00", "\n", "\x00\r\n", "\r\n"},
		{"HTTP/1.1 302 Found\r\nLoca", "tion: http://", strings.Repeat("a", 70_000), "\r\n\r\n"},
		{"HTTP/1.1 401 X\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"},
		{"HTTP/1.1 505 X\r\n", "Content-Length: -1\r\n\r\n<WISPAccessGatewayParam>", "\x00"},
		{"HTTP/1.1 200 OK\r\n", strings.Repeat("A: b\r\n", 100_000)},
		{strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20_000)},
		{"\xff\xfe\x00\x01"},
	} {
		conn, err := listener.Accept()
		must(t, err)
		talk(conn, parts)
	}
	must(t, expect("state", text(w.service(0)["State"]), "ready"))
	conn, err := listener.Accept()
	must(t, err)
	talk(conn, []string{"HTTP/1.1 200 OK\r\nx-connman-status: online\r\n\r\n"})
	w.untilState(0, "online")
	guard()
}

// talk reads a request and answers it in parts.
func talk(conn net.Conn, parts []string) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Read(make([]byte, 4096))
	for _, part := range parts {
		if _, err := io.WriteString(conn, part); err != nil {
			return // it has heard enough
		}
		watch(5 * time.Millisecond) // a segment each
	}
}
