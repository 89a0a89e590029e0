package ppp

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
)

// reason is what pppd's scripts report for: it does not tell them itself whether
// the link goes up or down.
const reason = "ppp"

// maxName is the longest name of a link (IFNAMSIZ without its end).
const maxName = 15

// Down is what follows when pppd's link goes down.
type Down int

const (
	Ends    Down = iota // the program that pppd belongs to
	Redials             // it makes another one
	Stays               // it does nothing
)

var errDown = errors.New("the link went down")

// Heard reads what pppd tells its scripts. server is the far end outside the
// tunnel.
func Heard(server netip.Addr, then Down) func(string, map[string]string) (child.News, error) {
	return func(_ string, env map[string]string) (child.News, error) {
		switch down := env["CONNECT_TIME"] != ""; { // only ip-down has it
		case down && then == Redials:
			return child.News{Event: core.Reconnecting{}}, nil
		case down && then == Stays:
			return child.News{}, errDown
		case down:
			return child.News{}, nil
		}
		return up(env, server)
	}
}

func up(env map[string]string, server netip.Addr) (child.News, error) {
	news := child.News{Link: env["IFNAME"]}
	if news.Link == "" || len(news.Link) > maxName || strings.ContainsAny(news.Link, "/ \t\n") {
		return child.News{}, errors.New("pppd does not name its link")
	}
	own, err := netip.ParseAddr(env["IPLOCAL"])
	if err != nil || !own.Is4() || own.IsUnspecified() || own.IsMulticast() || own.IsLoopback() {
		return child.News{}, errors.New("the server gave no IPv4 address")
	}
	var t core.Tunnel
	t.IPv4.Prefix = netip.PrefixFrom(own, own.BitLen())
	if peer, err := netip.ParseAddr(env["IPREMOTE"]); err == nil && peer.Is4() {
		t.IPv4.Peer = peer
	}
	if server.Is4() {
		t.IPv4.Gateway = server
	} else {
		t.IPv6.Gateway = server
	}
	for _, name := range []string{"DNS1", "DNS2"} {
		text := env[name]
		if text == "" {
			continue
		}
		address, err := netip.ParseAddr(text)
		if err != nil || address.IsUnspecified() || address.IsMulticast() || address.IsLoopback() || address.Zone() != "" {
			news.Skipped = append(news.Skipped, errors.New(name+" is not the address of a server"))
			continue
		}
		if !slices.Contains(t.DNS.Servers, address) { // pppd repeats one for two
			t.DNS.Servers = append(t.DNS.Servers, address)
		}
	}
	news.Event = core.Up{Tunnel: t}
	return news, nil
}

// Ear listens to what pppd writes, for why it fails.
type Ear struct {
	cause core.Cause
	why   error
}

// refusals are parts of lines of pppd's that say that the server does not take
// the credentials.
var refusals = []string{"PAP authentication failed", "CHAP authentication failed", "EAP: Failure", "E=691"}

// Output gets a line. refused is true when it says that the server does not take
// the credentials.
func (e *Ear) Output(line string) (refused bool) {
	for _, r := range refusals {
		if strings.Contains(line, r) {
			e.cause, e.why = core.AuthFailed, ErrRefused
			return true
		}
	}
	return false
}

// ErrRefused says that the server does not take the credentials.
var ErrRefused = errors.New("the server refuses the credentials")

// Outcome says why a program that pppd belongs to has ended.
func (e *Ear) Outcome(exit proc.Exit) (core.Cause, error) {
	if e.why != nil {
		return e.cause, e.why
	}
	return core.ConnectFailed, errors.New("the program ended: " + exit.String())
}
